//! Where in the Dockerfile something stands.

/// A stretch of the Dockerfile's text: bytes `start..end`, on lines `first_line..=last_line`.
///
/// Lines count from 1. A span that crosses continuation lines covers the comments and blank lines
/// between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
    /// Line of the first byte, from 1.
    pub first_line: u32,
    /// Line of the last byte, from 1.
    pub last_line: u32,
}

/// A piece of text with the place it was written at.
///
/// The text may differ from what stands there: continuations are joined, flag words have lost their
/// quotes, JSON strings are decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Word {
    /// The text, before variable expansion.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

impl Word {
    /// The text, before variable expansion.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}
