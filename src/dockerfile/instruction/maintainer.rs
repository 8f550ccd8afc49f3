//! `MAINTAINER <name>`, deprecated.

use crate::dockerfile::Error;
use crate::dockerfile::Word;
use crate::dockerfile::instruction::arguments::Arguments;

/// `MAINTAINER`: names the image's author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintainer {
    /// The author.
    pub author: Word,
}

impl Maintainer {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        arguments.flags(&[])?;
        let author = arguments.line_of_text("MAINTAINER <name>")?;
        Ok(Self { author })
    }
}
