//! The integration tests: one binary, one module a room.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests start programs, among them rbuild, and are told by the environment what is there"
)]

mod agents;
mod architecture;
mod bombs;
mod builds;
mod cache;
mod change_set;
mod checks;
mod ci;
mod cli;
mod crash;
mod direct;
mod dockerfile;
mod doctor;
mod escape;
mod examples;
mod faults;
mod hello;
mod isolation;
mod ladder;
mod layer;
mod listed;
mod oracles;
mod plan;
mod platforms;
mod proc_self;
mod remote;
mod remote_faults;
mod routed;
mod run;
mod sandbox;
mod secrets;
mod snapshot;
mod solver;
mod speed;
mod store;
mod supervised;
mod support;
mod sys;
mod transfer;
mod ungrouped;
