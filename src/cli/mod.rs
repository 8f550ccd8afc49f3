//! The command line: the only room that reads arguments, environment and clock, and the only one
//! that prints.
//!
//! Arguments become plain values (`build::Request` and its like), a story is started with them, and
//! what comes back is shown: progress on standard error, results on standard output, an error as a
//! message with its causes, the place in the file and what to do. Nothing is decided here about
//! images, caches or sandboxes.
//!
//! Start reading at [`main`], then `arguments.rs`; each subcommand has a file of its own.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "this room is where the process meets its user"
)]

mod arguments;
mod build;
mod call;
mod completion;
mod config;
mod containers;
mod detach;
mod doctor;
mod environment;
mod error;
mod images;
mod inspect;
mod interrupt;
mod limits;
mod options;
mod outcome;
mod parse;
mod print;
mod printable;
mod progress;
mod prune;
mod pull;
mod report;
mod request;
mod reserved;
mod rootless;
mod run;
mod runtime;
mod table;
mod tag;
mod value;
mod when;

use std::process::ExitCode;

use clap::CommandFactory;

use crate::sandbox;
use crate::sys;

use self::arguments::Arguments;
use self::arguments::Asked;
use self::arguments::Command;
use self::arguments::Usual;
use self::environment::Environment;
use self::error::Error;

/// The exit code for a wrong command line, but for `run`'s, whose process may exit so.
const MISUSE: u8 = 2;

/// Does what the process's arguments ask for, and gives its exit code. Nothing but to say so is done
/// if the process did not begin as it should.
#[must_use]
pub fn main(begun: Result<(), sandbox::Error>) -> ExitCode {
    report::panics_as_bugs();
    // Secrets will be in its memory. Where it cannot be forbidden there is no harm in going on.
    let _ = sys::process::forbid_core_files();
    // Each layer of a root file system is an open file while it is mounted.
    let _ = sys::process::raise_open_files();
    let environment = Environment::read();
    let (arguments, misuse) = match arguments::asked(&environment.arguments) {
        Asked::Help => {
            let help = Arguments::command().render_help();
            return finish(print::styled(&help.ansi().to_string()));
        }
        Asked::Command(arguments) => (arguments, MISUSE),
        Asked::Run(arguments) => (arguments, run::NOT_STARTED),
    };
    match Arguments::read(&arguments) {
        Ok(arguments) => finish(run(arguments, &environment, begun)),
        // Help and version come this way too; clap knows which stream each has.
        Err(error) => {
            // A reader that went away needs no help.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { misuse } else { 0 })
        }
    }
}

fn run(
    arguments: Arguments,
    environment: &Environment,
    begun: Result<(), sandbox::Error>,
) -> Result<ExitCode, Error> {
    let home = arguments.home;
    let begun = match (begun, &arguments.command) {
        (begun, Command::Doctor(_)) | (begun @ Ok(()), _) => begun,
        (Err(error), Command::Run(_)) => return run::failed(Error::Rootless(error)),
        (Err(error), _) => return Err(Error::Rootless(error)),
    };
    match arguments.command {
        Command::Usual(Usual::Build(build)) => build::run(*build, &home, environment)?,
        Command::Run(run) => {
            return run::run(*run, &home, environment)
                .map(ExitCode::from)
                .or_else(run::failed);
        }
        Command::Push(push) => pull::push(&push, &home, environment)?,
        Command::Pull(pull) => pull::pull(&pull, &home, environment)?,
        Command::Images(images) => images::run(&images, &home, environment)?,
        Command::Tag(tag) => tag::tag(&tag, &home, environment)?,
        Command::Rmi(remove) => tag::remove(&remove, &home, environment)?,
        Command::Inspect(inspect) => inspect::inspect(&inspect, &home, environment)?,
        Command::History(history) => inspect::history(&history, &home, environment)?,
        Command::Du(usage) => prune::usage(&usage, &home, environment)?,
        Command::Ps(ps) => containers::ps(&ps, &home, environment)?,
        Command::Logs(logs) => containers::logs(&logs, &home, environment)?,
        Command::Stop(stop) => return containers::stop(&stop, &home, environment),
        Command::Rm(remove) => return containers::remove(&remove, &home, environment),
        Command::Prune(prune) => prune::prune(&prune, &home, environment)?,
        Command::Doctor(doctor) => doctor::run(&doctor, &home, environment, begun)?,
        Command::Parse(parse) => parse::run(&parse)?,
        Command::Completion(completion) => completion::run(&completion)?,
        Command::Version => print::line(concat!("rbuild ", env!("CARGO_PKG_VERSION")))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn finish(result: Result<ExitCode, Error>) -> ExitCode {
    result.unwrap_or_else(|error| {
        report::error(&error);
        ExitCode::from(error.exit_code())
    })
}
