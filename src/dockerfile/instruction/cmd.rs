//! `CMD <command>`.

use crate::dockerfile::Error;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::command::Command;

/// `CMD`: says what a container of the image runs, or the default arguments of its entry point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cmd {
    /// The command.
    pub command: Command,
}

impl Cmd {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        arguments.flags(&[])?;
        let command = Command::parse(arguments, "CMD <command>")?;
        Ok(Self { command })
    }
}
