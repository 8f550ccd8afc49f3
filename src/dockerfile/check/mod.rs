//! Build checks: what is accepted but should not be written.
//!
//! The rules, their names, texts and order are BuildKit's. Rules about how a file is written look
//! at the parsed file ([`written`]); the rest are asked where the file's meaning is worked out, in
//! `globals`, `stage` and `lower`, and all go to a [`Linter`], which knows which rules are on.
//!
//! Start reading at [`check`], then [`Rule`].

mod base;
mod linter;
mod rule;
mod run;
mod secret;
mod settings;
mod table;
mod written;

pub use self::rule::Rule;
pub use self::run::Checked;
pub use self::run::check;

pub(super) use self::base::constant_platform;
pub(super) use self::base::expand;
pub(super) use self::base::redundant_platform;
pub(super) use self::linter::Linter;
pub(super) use self::rule::Finding;
pub(super) use self::secret::sounds_secret;

use crate::dockerfile::Dockerfile;
use crate::dockerfile::Options;

/// Checks how a Dockerfile is written, before anything in it is evaluated.
pub(super) fn written(dockerfile: &Dockerfile, options: &Options, linter: &mut Linter) {
    written::statements(dockerfile, linter);
    written::stage_names(&dockerfile.stages, linter);
    written::keywords(&dockerfile.stages, linter);
    base::default_args(dockerfile, options, linter);
}
