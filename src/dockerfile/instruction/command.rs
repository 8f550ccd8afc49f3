//! The command of `RUN`, `CMD`, `ENTRYPOINT` and `HEALTHCHECK CMD`.

use crate::dockerfile::span::Word;

/// A command in one of its two forms. Its text is never expanded by the builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Text for the shell in force; `None` when nothing was written.
    Shell(Option<Word>),
    /// The words of a JSON array, run as they are.
    Exec(Vec<Word>),
}
