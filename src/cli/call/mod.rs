//! `--check` and `--call`: questions about a build, answered on standard output.

mod json;
mod text;

use serde_json::Value;

use super::error::Error;
use super::print;
use super::value;
use crate::build::Answer;
use crate::build::Found;
use crate::build::Place;
use crate::build::Question;

/// What is asked instead of a build.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Instead of building")]
pub(super) struct CallFlags {
    /// Check the Dockerfile; short for --call=check.
    #[arg(long)]
    pub check: bool,
    /// Check the Dockerfile (check), or list what it can be given (outline) or its stages (targets).
    #[arg(long, value_name = "check|outline|targets[,format=json]", value_parser = value::call::call)]
    pub call: Option<Call>,
}

/// The value of `--call`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// What is asked; none for a build.
    pub(super) question: Option<Question>,
    /// Whether the answer is for a program.
    pub(super) json: bool,
}

impl CallFlags {
    /// Gives what is asked, if it is no build.
    pub(super) fn asked(&self) -> Result<Option<(Question, Form)>, Error> {
        let call = self.call.unwrap_or(Call {
            question: None,
            json: false,
        });
        let form = if call.json { Form::Json } else { Form::Text };
        match (call.question, self.check) {
            (None, false) => Ok(None),
            (None | Some(Question::Check), _) => Ok(Some((Question::Check, form))),
            (Some(question), false) => Ok(Some((question, form))),
            (Some(_), true) => Err(Error::Exclusive {
                one: "--check",
                other: "--call with another question",
            }),
        }
    }
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Text,
    /// For programs, in the shape that BuildKit gives it.
    Json,
}

/// Prints an answer. That a Dockerfile is wrong, or that the checks found something in it, is an
/// error here too, but not before all is printed.
pub(super) fn tell(answer: Answer, form: Form) -> Result<(), Error> {
    let Answer { file, text, found } = answer;
    let place = |bytes| Place {
        file: file.clone(),
        text: text.clone(),
        bytes,
    };
    match (&found, form) {
        (Found::Checked(checked), Form::Json) => print_json(&json::checked(checked, &file, &text))?,
        (Found::Checked(checked), Form::Text) => {
            print::styled(&text::checked(checked, &file, &text))?;
        }
        (Found::Outline(outline), Form::Json) => print_json(&json::outline(outline, &text))?,
        (Found::Outline(outline), Form::Text) => print::text(&text::outline(outline))?,
        (Found::Targets(targets), Form::Json) => print_json(&json::targets(targets, &text))?,
        (Found::Targets(targets), Form::Text) => print::text(&text::targets(targets))?,
    }
    match found {
        Found::Checked(checked) => match checked.error {
            Some(source) => Err(Error::Dockerfile {
                place: Box::new(place(source.span.start..source.span.end)),
                source,
            }),
            None => match checked.warnings.len() {
                0 => Ok(()),
                count => Err(Error::Warnings { count }),
            },
        },
        Found::Outline(_) | Found::Targets(_) => Ok(()),
    }
}

fn print_json(value: &Value) -> Result<(), Error> {
    print::line(&serde_json::to_string_pretty(value).expect("JSON values have string keys"))
}
