//! Questions about a build that are answered without building, and without asking a registry.

use crate::build::Error;
use crate::build::Request;
use crate::build::agents::Agents;
use crate::build::bases;
use crate::build::context::Context;
use crate::build::local::Local;
use crate::build::lower_options;
use crate::build::source;
use crate::build::source::Text;
use crate::dockerfile;
use crate::dockerfile::Base;
use crate::dockerfile::Checked;
use crate::dockerfile::Outline;
use crate::dockerfile::Target;
use crate::dockerfile::Wanted;
use crate::solver::Cancel;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which rules the Dockerfile violates.
    Check,
    /// What the target takes.
    Outline,
    /// Which targets there are.
    Targets,
}

/// An answer, with the Dockerfile it is about.
#[derive(Debug)]
pub struct Answer {
    /// What the Dockerfile is called.
    pub file: String,
    /// What it says.
    pub text: String,
    /// The answer.
    pub found: Found,
}

/// What was found.
#[derive(Debug)]
pub enum Found {
    /// Violations, and what ended the search for them.
    Checked(Checked),
    /// What the target takes.
    Outline(Outline),
    /// The targets.
    Targets(Vec<Target>),
}

/// Answers a question about the build that `request` asks for. An image that is not in the store
/// counts as one that sets nothing but `PATH`.
/// Of several platforms the first is asked about.
///
/// # Errors
/// [`Error`]; what is wrong with the Dockerfile is among the findings of [`Question::Check`] instead.
pub fn ask(request: &Request, question: Question, cancel: &Cancel) -> Result<Answer, Error> {
    let local = Local::open(request, cancel)?;
    let agents = Agents::open(request, &local)?;
    let context = Context::open(request, &local, &agents)?;
    let text = source::read(request, &local, &context)?;
    let options = lower_options(request, &context, &text.ignore);
    let options = options.first().expect("there is a platform");
    let find = |wanted: &Wanted| at_hand(wanted, (request, &local, &text));
    let place = |source: dockerfile::Error| text.error(source);
    let found = match question {
        Question::Check => Found::Checked(dockerfile::check(&text.text, options, &find)),
        Question::Outline => {
            let parsed = dockerfile::parse(&text.text).map_err(place)?;
            let outline = dockerfile::outline(&parsed, options, &find);
            Found::Outline(outline.map_err(place)?)
        }
        Question::Targets => {
            let parsed = dockerfile::parse(&text.text).map_err(place)?;
            Found::Targets(dockerfile::targets(&parsed))
        }
    };
    Ok(Answer {
        file: text.name,
        text: text.text,
        found,
    })
}

/// Gives an image that the store has. What is wrong with it is a build's concern.
fn at_hand(wanted: &Wanted, place: (&Request, &Local, &Text)) -> Option<Base> {
    bases::find(wanted, place).ok().flatten()
}
