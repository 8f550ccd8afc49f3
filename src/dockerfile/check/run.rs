//! Checking a Dockerfile without building it.

use crate::dockerfile::Base;
use crate::dockerfile::Dockerfile;
use crate::dockerfile::Error;
use crate::dockerfile::Options;
use crate::dockerfile::Wanted;
use crate::dockerfile::Warning;
use crate::dockerfile::check::Linter;
use crate::dockerfile::check::written;
use crate::dockerfile::lower;
use crate::dockerfile::lower::Extent;
use crate::dockerfile::lower::Input;
use crate::dockerfile::parser;
use crate::dockerfile::parser::Failure;

/// What the checks say of a Dockerfile.
#[derive(Debug)]
pub struct Checked {
    /// The violations in the order in which they were found.
    pub warnings: Vec<Warning>,
    /// What ended the checks early, or makes violations an error.
    pub error: Option<Error>,
}

/// Checks a Dockerfile: the stages that the target needs, or all stages if no target is named.
///
/// `find` gives the images that are at hand; one that is not counts as one that sets nothing but
/// `PATH`.
pub fn check(text: &str, options: &Options, find: &dyn Fn(&Wanted) -> Option<Base>) -> Checked {
    let (dockerfile, failure) = parser::parse_partly(text);
    let mut linter = match Linter::new(&dockerfile, options) {
        Ok(linter) => linter,
        Err(error) => {
            return Checked {
                warnings: Vec::new(),
                error: Some(error),
            };
        }
    };
    let error = match failure {
        Some(failure) => Some(partly(&dockerfile, failure, &mut linter)),
        None => match wholly(&dockerfile, options, find, &mut linter) {
            Ok(()) => linter.violations(),
            Err(error) => Some(error),
        },
    };
    let mut warnings = linter.warnings;
    warnings.retain(|warning| warning.rule.is_some());
    Checked { warnings, error }
}

/// Checks what stands before something that cannot be understood.
fn partly(dockerfile: &Dockerfile, failure: Failure, linter: &mut Linter) -> Error {
    if let Some(line) = failure.line {
        written::statements(dockerfile, linter);
        written::rejected(&line.source, &line.arguments, linter);
    }
    failure.error
}

fn wholly(
    dockerfile: &Dockerfile,
    options: &Options,
    find: &dyn Fn(&Wanted) -> Option<Base>,
    linter: &mut Linter,
) -> Result<(), Error> {
    let extent = match options.target {
        Some(_) => Extent::Target,
        None => Extent::Everything,
    };
    let input = Input {
        dockerfile,
        options,
        bases: &lower::bases_at_hand((dockerfile, options), extent, find),
        extent,
    };
    lower::lower_noting(&input, linter).map(drop)
}
