//! From a parsed Dockerfile to a plan.
//!
//! [`bases`] says which images the target needs; when they are resolved, [`lower`] goes through the
//! needed stages in order. Each instruction changes the state of its stage (config, environment,
//! history) and, if it does something to files, adds a vertex to the graph.
//!
//! The rules, the texts of the history and the names that progress shows are those of BuildKit's
//! `dockerfile2llb`. Start reading at [`lower`], then `Cursor`.

mod arg;
mod base;
mod copy;
mod cursor;
mod declared;
mod expose;
mod golang;
mod metadata;
mod mode;
mod mount;
mod paths;
mod problem;
mod remote;
mod run;
mod signal;
mod target;
mod title;
mod walk;
mod workdir;

pub(super) use self::golang::quote;
pub use self::problem::PlanProblem;
pub(super) use self::remote::Source;
pub use self::remote::context as context_op;
pub(super) use self::remote::read as read_source;
pub(super) use self::walk::Extent;
pub(super) use self::walk::Input;
pub(super) use self::walk::bases_at_hand;
pub(super) use self::walk::lower_noting;

use crate::dockerfile::Bases;
use crate::dockerfile::Dockerfile;
use crate::dockerfile::Error;
use crate::dockerfile::Options;
use crate::dockerfile::Wanted;
use crate::dockerfile::Warning;
use crate::dockerfile::check::Linter;
use crate::graph::Plan;

/// What lowering gave: warnings, whether or not it came to its end.
#[derive(Debug)]
pub struct Lowering {
    /// What is accepted but should not be written, up to the error if there is one.
    pub warnings: Vec<Warning>,
    /// What the Dockerfile comes to; or what is wrong with it, which may be that rules are violated
    /// and it makes an error of that.
    pub outcome: Result<Lowered, Error>,
}

/// What a Dockerfile comes to.
#[derive(Debug)]
pub struct Lowered {
    /// What is to be done.
    pub plan: Plan,
    /// The time that stands for all times, in seconds since 1970: `SOURCE_DATE_EPOCH`.
    pub epoch: Option<i64>,
}

/// Gives the images that the target needs and `known` does not have.
///
/// Ask again with these until the answer is empty: a base may have triggers that name more images.
///
/// # Errors
///
/// What is wrong with a `FROM` or with what an instruction names, in any stage.
pub fn bases(
    dockerfile: &Dockerfile,
    options: &Options,
    known: &Bases,
) -> Result<Vec<Wanted>, Error> {
    walk::missing(&Input {
        dockerfile,
        options,
        bases: known,
        extent: Extent::Target,
    })
}

/// Lowers the stages that the target needs, with the images in `bases`.
#[must_use]
pub fn lower(dockerfile: &Dockerfile, bases: &Bases, options: &Options) -> Lowering {
    let mut linter = match Linter::new(dockerfile, options) {
        Ok(linter) => linter,
        Err(error) => {
            return Lowering {
                warnings: Vec::new(),
                outcome: Err(error),
            };
        }
    };
    let input = Input {
        dockerfile,
        options,
        bases,
        extent: Extent::Target,
    };
    let noted = lower_noting(&input, &mut linter);
    let outcome = noted.and_then(|noted| match noted.refused.or(linter.violations()) {
        Some(error) => Err(error),
        None => Ok(Lowered {
            plan: noted.plan,
            epoch: noted.epoch,
        }),
    });
    Lowering {
        warnings: linter.warnings,
        outcome,
    }
}
