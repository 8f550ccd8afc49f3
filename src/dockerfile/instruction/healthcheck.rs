//! `HEALTHCHECK NONE` and `HEALTHCHECK [flags] CMD <command>`.

use std::time::Duration;

use crate::dockerfile::instruction::command::Command;

/// `HEALTHCHECK`: says how to test that a container still works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: takes back the check of the base image.
    None,
    /// `CMD`.
    Probe(Probe),
}

/// The test of a `HEALTHCHECK CMD`. Zero means the runtime's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The command; never empty.
    pub command: Command,
    /// `--interval`.
    pub interval: Duration,
    /// `--timeout`.
    pub timeout: Duration,
    /// `--start-period`.
    pub start_period: Duration,
    /// `--start-interval`.
    pub start_interval: Duration,
    /// `--retries`.
    pub retries: u32,
}
