//! `CMD <command>`.

use crate::dockerfile::instruction::command::Command;

/// `CMD`: says what a container of the image runs, or the default arguments of its entry point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cmd {
    /// The command.
    pub command: Command,
}
