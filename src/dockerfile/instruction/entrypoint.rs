//! `ENTRYPOINT <command>`.

use crate::dockerfile::Error;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::command::Command;

/// `ENTRYPOINT`: says what a container of the image always runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrypoint {
    /// The command.
    pub command: Command,
}

impl Entrypoint {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        arguments.flags(&[])?;
        let command = Command::parse(arguments, "ENTRYPOINT <command>")?;
        Ok(Self { command })
    }
}
