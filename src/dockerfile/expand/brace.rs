//! What a substitution with an operator results in.

use crate::dockerfile::ExpandError;
use crate::dockerfile::expand::TOO_LONG;
use crate::dockerfile::expand::pattern::Pattern;
use crate::dockerfile::expand::pattern::Replacement;

type Result<T> = std::result::Result<T, ExpandError>;

/// Up to this length, holding a pattern against a value is as cheap as copying it.
const PATTERN_BYTES: usize = 32;

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
    /// How many bytes of the value a pattern is held against; a long one counts them several times,
    /// as it may look at each more than once.
    pub(super) fn looked_through(&self, word: &str, value: Option<&str>) -> usize {
        let pattern = match &self.part {
            Part::Replacement { pattern, .. } => pattern.len(),
            _ if matches!(self.operator, "#" | "%") => word.len(),
            _ => return 0,
        };
        let times = 1 + pattern / PATTERN_BYTES;
        value.map_or(0, |value| value.len().saturating_mul(times))
    }

    /// What to put in place of `word`, `longest` bytes at most; `None` to leave it.
    pub(super) fn result(
        &self,
        word: &str,
        value: Option<&str>,
        longest: usize,
    ) -> Result<Option<String>> {
        let colon = self.operator.len() > 1;
        let usable = value.is_some_and(|value| !(colon && value.is_empty()));
        let text = value.unwrap_or_default();
        match self.operator {
            "-" | ":-" => Ok(value.filter(|_| usable).map(str::to_owned)),
            "+" | ":+" => Ok((!usable).then(String::new)),
            "?" | ":?" if usable => Ok(value.map(str::to_owned)),
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
