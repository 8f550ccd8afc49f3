//! Here-documents: `<<EOF` on an instruction's line, the text on the lines after it.

use crate::dockerfile::span::Span;
use crate::dockerfile::span::Word;

/// A here-document of a `RUN`, `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter without its quotes; the span is that of the word with `<<`.
    pub name: Word,
    /// The number before `<<`.
    pub descriptor: Option<u32>,
    /// The lines before the terminator, as written: tabs and line ends kept.
    pub data: String,
    /// Where these lines stand.
    pub body: Span,
    /// Whether leading tabs are to be removed (`<<-`).
    pub chomp: bool,
    /// Whether variables are to be expanded (no part of the delimiter was quoted).
    pub expand: bool,
}
