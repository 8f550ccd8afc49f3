//! What a substitution with an operator results in.

use crate::dockerfile::ExpandError;
use crate::dockerfile::expand::TOO_LONG;
use crate::dockerfile::expand::pattern::Pattern;
use crate::dockerfile::expand::pattern::Replacement;

type Result<T> = std::result::Result<T, ExpandError>;

/// An open `${name…`.
pub(super) struct Brace<'a> {
    pub(super) name: &'a str,
    /// What follows the name: `-`, `:-`, `%`, `/` …
    pub(super) operator: &'a str,
    /// Unset, and to stay as written.
    pub(super) kept: bool,
    pub(super) part: Part,
}

/// Which part of a substitution is being read.
pub(super) enum Part {
    /// The word up to `}`.
    Word,
    /// The pattern of `/` up to the next `/`.
    Pattern { all: bool },
    /// The replacement up to `}`, with the pattern read before.
    Replacement { all: bool, pattern: String },
}

impl Brace<'_> {
    /// What to put in place of `word`, `longest` bytes at most; `None` to leave it.
    pub(super) fn result(
        &self,
        word: &str,
        value: Option<String>,
        longest: usize,
    ) -> Result<Option<String>> {
        let colon = self.operator.len() > 1;
        let usable = value
            .as_deref()
            .is_some_and(|value| !(colon && value.is_empty()));
        let text = value.as_deref().unwrap_or_default();
        match self.operator {
            "-" | ":-" => Ok(value.filter(|_| usable)),
            "+" | ":+" => Ok((!usable).then(String::new)),
            "?" | ":?" if usable => Ok(value),
            "?" | ":?" => Err(self.required(word, value.is_some())),
            "#" => trim(word, '#', text, Pattern::trim_prefix).map(Some),
            "%" => trim(word, '%', text, Pattern::trim_suffix).map(Some),
            operator => match &self.part {
                Part::Replacement { all, pattern } => {
                    let pattern = Pattern::parse(pattern)?;
                    let replacement = Replacement {
                        text: word,
                        all: *all,
                        longest,
                    };
                    let replaced = pattern.replace(text, &replacement);
                    replaced.ok_or(TOO_LONG).map(Some)
                }
                _ => Err(ExpandError::Modifier {
                    modifier: operator.to_owned(),
                }),
            },
        }
    }

    fn required(&self, message: &str, set: bool) -> ExpandError {
        let state = if set { "empty" } else { "unset" };
        let message = match message {
            "" => format!("is not allowed to be {state}"),
            message => message.to_owned(),
        };
        ExpandError::Required {
            name: self.name.to_owned(),
            message,
        }
    }
}

/// Removes the shortest match of the pattern, or the longest when the operator stands twice.
fn trim(
    word: &str,
    operator: char,
    value: &str,
    trim: fn(&Pattern, &str, bool) -> String,
) -> Result<String> {
    let (pattern, longest) = match word.strip_prefix(operator) {
        Some(pattern) => (pattern, true),
        None => (word, false),
    };
    Ok(trim(&Pattern::parse(pattern)?, value, longest))
}
