//! What a build can be given: the arguments, secrets and ssh agents that a target asks for, and the
//! targets there are.
//!
//! `lower` takes [`Notes`] of each stage as it goes; [`outline`] puts those together that the target
//! needs. Start reading at [`outline`].

mod gather;
mod targets;

pub(super) use self::gather::Notes;
pub(super) use self::gather::gather;
pub use self::targets::Target;
pub use self::targets::targets;

use crate::dockerfile::Base;
use crate::dockerfile::Dockerfile;
use crate::dockerfile::Error;
use crate::dockerfile::Options;
use crate::dockerfile::Span;
use crate::dockerfile::Wanted;
use crate::dockerfile::check::Linter;
use crate::dockerfile::lower;
use crate::dockerfile::lower::Extent;
use crate::dockerfile::lower::Input;

/// What a target asks for, each in the order of the lines it stands on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The target's name; empty if it has none.
    pub name: String,
    /// What the comment above says of the target.
    pub description: Option<String>,
    /// The build arguments.
    pub args: Vec<OutlineArg>,
    /// The secrets.
    pub secrets: Vec<Request>,
    /// The ssh agents.
    pub ssh: Vec<Request>,
}

/// A build argument that a target takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineArg {
    /// Its name.
    pub name: String,
    /// The value it has in this build, which is its default unless one is given.
    pub value: String,
    /// What the comment above says of it.
    pub description: Option<String>,
    /// The `ARG` that declares it.
    pub span: Span,
}

/// A secret or an ssh agent that a `RUN --mount` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub name: String,
    /// Whether the command fails without it.
    pub required: bool,
    /// The first `RUN` that asks for it.
    pub span: Span,
}

/// Says what the target asks for. `find` gives the images that are at hand.
///
/// # Errors
///
/// What is wrong with the Dockerfile.
pub fn outline(
    dockerfile: &Dockerfile,
    options: &Options,
    find: &dyn Fn(&Wanted) -> Option<Base>,
) -> Result<Outline, Error> {
    let mut linter = Linter::new(dockerfile, options)?;
    let input = Input {
        dockerfile,
        options,
        bases: &lower::bases_at_hand((dockerfile, options), Extent::Target, find),
        extent: Extent::Target,
    };
    let noted = lower::lower_noting(&input, &mut linter)?;
    linter.violations().map_or(Ok(noted.outline), Err)
}
