//! `RUN [flags] <command>`.

use crate::dockerfile::instruction::command::Command;
use crate::dockerfile::instruction::heredoc::Heredoc;
use crate::dockerfile::span::Word;

/// `RUN`: runs a command while building.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The command.
    pub command: Command,
    /// The here-documents its line names, in order.
    pub heredocs: Vec<Heredoc>,
    /// The values of `--mount` as written; `MountOptions::parse` expands and reads one.
    pub mounts: Vec<Word>,
    /// `--network`.
    pub network: Network,
    /// `--security`.
    pub security: Security,
    /// `--device`.
    pub devices: Vec<Device>,
}

/// The network of a `RUN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are the Dockerfile's")]
pub enum Network {
    #[default]
    Default,
    None,
    Host,
}

/// The privileges of a `RUN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are the Dockerfile's")]
pub enum Security {
    #[default]
    Sandbox,
    Insecure,
}

/// A device a `RUN` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its CDI name.
    pub name: String,
    /// Whether the build fails without it.
    pub required: bool,
}
