//! `WORKDIR <path>`.

use crate::dockerfile::Error;
use crate::dockerfile::Word;
use crate::dockerfile::instruction::arguments::Arguments;

/// `WORKDIR`: changes the directory of the following instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workdir {
    /// The path; a relative one continues the previous.
    pub path: Word,
}

impl Workdir {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        arguments.flags(&[])?;
        let path = arguments.line_of_text("WORKDIR <path>")?;
        Ok(Self { path })
    }
}
