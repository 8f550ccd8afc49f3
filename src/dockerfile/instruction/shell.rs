//! `SHELL ["<executable>", "<parameter>", ...]`.

use crate::dockerfile::span::Word;

/// `SHELL`: replaces the shell that runs commands in shell form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    /// The words before the command; never empty.
    pub words: Vec<Word>,
}
