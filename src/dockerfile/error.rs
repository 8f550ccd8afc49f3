//! What can be wrong with a Dockerfile.

use crate::dockerfile::span::Span;

/// Something is wrong at a place of the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Error {
    /// Where.
    pub span: Span,
    /// What.
    pub problem: Box<Problem>,
}

impl Error {
    /// Says what is wrong at a place.
    #[must_use]
    pub fn new(span: Span, problem: Problem) -> Self {
        Self {
            span,
            problem: Box::new(problem),
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file holds comments and blank lines at most.
    #[error("the Dockerfile has no instructions")]
    Empty,
}

/// Why a text cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// `'` without its end.
    #[error("unexpected end of statement while looking for matching single-quote")]
    MissingSingleQuote,
    /// `"` without its end.
    #[error("unexpected end of statement while looking for matching double-quote")]
    MissingDoubleQuote,
    /// `${` without its end.
    #[error("syntax error: missing '}}'")]
    MissingBrace,
    /// `${v/pattern` without the slash behind it.
    #[error("syntax error: missing '/' in ${{}}")]
    MissingSlash,
    /// `${}`, `${:…` or `${{…`.
    #[error("syntax error: bad substitution")]
    BadSubstitution,
    /// `${v` followed by something other than the known operators.
    #[error("unsupported modifier ({modifier}) in substitution")]
    Modifier {
        /// What follows.
        modifier: String,
    },
    /// `${v?message}` of a variable that is not set, or `${v:?message}` of an empty one.
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// The message written there, or ours.
        message: String,
    },
    /// A pattern escapes a character that needs none.
    #[error("invalid pattern ({pattern}) in substitution: invalid escape '\\{escaped}'")]
    PatternEscape {
        /// The pattern.
        pattern: String,
        /// What is escaped; nothing when the pattern ends there.
        escaped: String,
    },
}
