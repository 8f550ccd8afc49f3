//! `WORKDIR <path>`.

use crate::dockerfile::span::Word;

/// `WORKDIR`: changes the directory of the following instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workdir {
    /// The path; a relative one continues the previous.
    pub path: Word,
}
