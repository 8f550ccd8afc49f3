//! `STOPSIGNAL <signal>`.

use crate::dockerfile::Error;
use crate::dockerfile::Word;
use crate::dockerfile::instruction::arguments::Arguments;

/// `STOPSIGNAL`: says which signal stops a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopsignal {
    /// A name or a number.
    pub signal: Word,
}

impl Stopsignal {
    /// Flags are let through, as other builders do.
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        let signal = arguments.line_of_text("STOPSIGNAL <signal>")?;
        Ok(Self { signal })
    }
}
