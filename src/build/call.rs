//! Questions about a build that are answered without building, and without asking a registry.

use crate::build::Error;
use crate::build::Request;
use crate::build::agents::Agents;
use crate::build::bases;
use crate::build::context::Context;
use crate::build::local::Local;
use crate::build::lower_options;
use crate::build::said::Said;
use crate::build::source;
use crate::build::source::Text;
use crate::dockerfile;
use crate::dockerfile::Base;
use crate::dockerfile::Checked;
use crate::dockerfile::Options;
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
/// The rules are asked about all platforms; the rest is asked about the first of several.
///
/// # Errors
/// [`Error`]; what is wrong with the Dockerfile is among the findings of [`Question::Check`] instead.
pub fn ask(request: &Request, question: Question, cancel: &Cancel) -> Result<Answer, Error> {
    let local = Local::open(request, cancel)?;
    let agents = Agents::open(request, &local)?;
    let context = Context::open(request, &local, &agents)?;
    let text = source::read(request, &local, &context)?;
    let options = lower_options(request, &context, &text.ignore);
    let first = options.first().expect("there is a platform");
    let find = |wanted: &Wanted| at_hand(wanted, (request, &local, &text));
    let place = |source: dockerfile::Error| text.error(source);
    let found = match question {
        Question::Check => Found::Checked(check(&text.text, &options, &find)),
        Question::Outline => {
            let parsed = dockerfile::parse(&text.text).map_err(place)?;
            let outline = dockerfile::outline(&parsed, first, &find);
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

/// Checks the Dockerfile for each platform. The error is what a build would end with: the first.
fn check(text: &str, platforms: &[Options], find: &dyn Fn(&Wanted) -> Option<Base>) -> Checked {
    let mut said = Said::default();
    let mut all = Checked {
        warnings: Vec::new(),
        error: None,
    };
    for options in platforms {
        let checked = dockerfile::check(text, options, find);
        all.warnings.extend(said.add(checked.warnings));
        all.error = all.error.or(checked.error);
    }
    all
}

/// Gives an image that the store has. What is wrong with it is a build's concern.
fn at_hand(wanted: &Wanted, place: (&Request, &Local, &Text)) -> Option<Base> {
    bases::find(wanted, place).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::dockerfile::Base;
    use crate::dockerfile::Options;
    use crate::dockerfile::Rule;
    use crate::dockerfile::Wanted;
    use crate::oci::ImageConfig;
    use crate::oci::Platform;

    #[test]
    fn every_platform_is_checked_and_told_of_once() {
        let found = Platform::new("linux", "amd64", None);
        let find = |wanted: &Wanted| {
            Some(Base {
                name: wanted.name.clone(),
                source: None,
                layers: Vec::new(),
                config: ImageConfig::scratch(&found),
            })
        };
        let options = ["amd64", "arm64"].map(|architecture| Options {
            platform: Some(Platform::new("linux", architecture, None)),
            ..Options::plain(found.clone())
        });
        let text = "# check=error=true\nFROM bb\n";
        let checked = check(text, &options, &find);
        let rules: Vec<_> = checked.warnings.iter().map(|found| found.rule).collect();
        assert_eq!(rules, [Some(Rule::InvalidBaseImagePlatform)]);
        assert!(checked.error.is_some());
        let checked = check("FROM bb\nLABEL a=$V b=$V\n", &options[..1], &find);
        assert_eq!(checked.warnings.len(), 2, "both are told");
        let checked = check("FROM scratch\nLABEL a=$V b=$V\n", &options, &find);
        assert_eq!(checked.warnings.len(), 2, "they are told once");
    }
}
