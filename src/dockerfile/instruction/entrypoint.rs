//! `ENTRYPOINT <command>`.

use crate::dockerfile::instruction::command::Command;

/// `ENTRYPOINT`: says what a container of the image always runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrypoint {
    /// The command.
    pub command: Command,
}
