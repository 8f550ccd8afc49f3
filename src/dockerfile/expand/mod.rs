//! Variable expansion and word splitting, as the builder (not the shell of a `RUN`) does it.
//!
//! [`expand`] knows `$v`, `${v}`, `${v:-w}`, `${v:+w}`, `${v:?w}` (each also without the colon),
//! `${v#p}`, `${v##p}`, `${v%p}`, `${v%%p}`, `${v/p/r}` and `${v//p/r}`; single quotes, double
//! quotes and the escape character. Words nest without bound: the lexer keeps its own stack and one
//! output buffer, so it takes time in proportion to the text and no call depth.

mod brace;
mod lexer;
mod pattern;
mod substitution;
mod words;

use std::collections::BTreeSet;

use crate::dockerfile::Escape;
use crate::dockerfile::ExpandError;

/// How a text is lexed. All `false` is the expansion of an instruction's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lexing {
    /// The escape character.
    pub escape: Escape,
    /// Quotes stay in the result.
    pub raw_quotes: bool,
    /// Escape characters stay in the result.
    pub raw_escapes: bool,
    /// Quotes are ordinary characters.
    pub skip_quotes: bool,
    /// Variables that are not set stay as written.
    pub keep_unset: bool,
}

impl Lexing {
    /// The lexing of an instruction's words.
    #[must_use]
    pub fn words(escape: Escape) -> Self {
        Self {
            escape,
            ..Self::default()
        }
    }

    /// The lexing of a here-document's body: quotes mean nothing in it, and its escape character is
    /// always `\`.
    #[must_use]
    pub fn heredoc() -> Self {
        Self {
            skip_quotes: true,
            ..Self::default()
        }
    }
}

/// An expanded text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expansion {
    /// The text as one word.
    pub text: String,
    /// The text split at white space that was neither quoted nor escaped; no word is empty.
    pub words: Vec<String>,
    /// The variables it names that are set.
    pub matched: BTreeSet<String>,
    /// The variables it names that are not set.
    pub unmatched: BTreeSet<String>,
}

/// Expands `text` with the variables `lookup` finds.
///
/// # Errors
///
/// A substitution that is malformed or asks to fail (`${v:?message}`), or a quote without its end.
pub fn expand(
    text: &str,
    lexing: Lexing,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Expansion, ExpandError> {
    // Go's text/scanner, which other builders read words with, drops a leading byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.contains(['$', '<', '\'', '"', '\\', '`']) {
        let words = text.split_whitespace().map(str::to_owned).collect();
        return Ok(Expansion {
            text: text.to_owned(),
            words,
            ..Expansion::default()
        });
    }
    lexer::Lexer::new(text, lexing, lookup).run()
}
