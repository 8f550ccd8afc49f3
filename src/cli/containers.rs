//! `rbuild ps`, `logs`, `stop` and `rm`: what became of `rbuild run -d`.

use std::collections::HashSet;
use std::io::Read;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::arguments::Home;
use super::environment::Environment;
use super::error::Error;
use super::print;
use super::report;
use super::table::Format;
use super::table::FormatFlag;
use super::table::table;
use super::when;
use crate::run;
use crate::run::Container;
use crate::run::LogReader;
use crate::sandbox::Exceeded;

/// How often what is waited for is looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// What `rbuild ps` is told.
#[derive(Debug, clap::Args)]
pub(super) struct PsArguments {
    /// Show those that have ended, too.
    #[arg(short, long)]
    pub all: bool,
    #[command(flatten)]
    format: FormatFlag,
}

/// What `rbuild logs` is told.
#[derive(Debug, clap::Args)]
pub(super) struct LogsArguments {
    /// Its name, or the beginning of its id.
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Go on with what comes until it ends.
    #[arg(short, long)]
    pub follow: bool,
}

/// What `rbuild stop` is told.
#[derive(Debug, clap::Args)]
pub(super) struct StopArguments {
    /// Their names, or the beginnings of their ids.
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
    /// So many seconds after the signal that asks it to end (the image's STOPSIGNAL, else SIGTERM),
    /// it is killed.
    #[arg(
        short = 't',
        long = "time",
        value_name = "SECONDS",
        default_value_t = 10
    )]
    pub seconds: u32,
}

/// What `rbuild rm` is told.
#[derive(Debug, clap::Args)]
pub(super) struct RmArguments {
    /// Their names, or the beginnings of their ids.
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
    /// Kill those that are running.
    #[arg(short, long)]
    pub force: bool,
}

/// Lists containers.
pub(super) fn ps(
    arguments: &PsArguments,
    home: &Home,
    environment: &Environment,
) -> Result<(), Error> {
    let mut containers = run::list(&home.root(environment))?;
    containers.retain(|container| arguments.all || container.is_running);
    match arguments.format.format {
        Format::Json => containers
            .iter()
            .try_for_each(|container| print::line(&json(container).to_string())),
        Format::Table => {
            let row = |container: &Container| row(container, environment.now_ns);
            let rows: Vec<_> = containers.iter().map(row).collect();
            let heading = ["ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAME"];
            print::text(&table(heading, &rows))
        }
    }
}

fn row(container: &Container, now_ns: i128) -> [String; 6] {
    [
        container.id.clone(),
        container.image.clone(),
        container.command.join(" "),
        when::ago(&container.created, now_ns),
        status(container),
        container.name.clone(),
    ]
}

fn status(container: &Container) -> String {
    match container.exit_code {
        None if !container.has_started => "created".to_owned(),
        _ if container.is_running => "running".to_owned(),
        Some(code) => match limit_met(container) {
            None => format!("exited ({code})"),
            Some((_, Exceeded::Memory(_))) => format!("exited ({code}), out of memory"),
            Some((_, Exceeded::Processes(_))) => format!("exited ({code}), out of processes"),
        },
        None => "killed".to_owned(),
    }
}

/// The code that a container failed with, and the limit that it ran into.
fn limit_met(container: &Container) -> Option<(i32, Exceeded)> {
    let code = container.exit_code.filter(|code| *code > 0)?;
    Some((code, container.exceeded?))
}

fn json(container: &Container) -> serde_json::Value {
    json!({
        "id": container.id,
        "name": container.name,
        "image": container.image,
        "command": container.command,
        "created": container.created,
        "running": container.is_running && container.has_started,
        "status": status(container),
        "pid": container.keeper,
        "exit_code": container.exit_code,
        "exceeded": container.exceeded,
    })
}

/// Prints what a container wrote, and tells whoever reads it of the limit that ended it.
pub(super) fn logs(
    arguments: &LogsArguments,
    home: &Home,
    environment: &Environment,
) -> Result<(), Error> {
    let root = home.root(environment);
    let container = run::find(&root, &arguments.container)?;
    let path = container.log(&root);
    let failed = |source| Error::ReadLog {
        name: container.name.clone(),
        source,
    };
    let mut log = LogReader::open(&path).map_err(failed)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        // Asked before reading: what it wrote last is read as well.
        let goes_on = arguments.follow
            && run::find(&root, &container.id).is_ok_and(|container| container.is_running);
        loop {
            match log.read(&mut buffer).map_err(failed)? {
                0 => break,
                count => print::bytes(&buffer[..count])?,
            }
        }
        if !goes_on {
            let ended = run::find(&root, &container.id);
            if let Some((code, limit)) = ended.ok().as_ref().and_then(limit_met) {
                report::exceeded(code, limit);
            }
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
}

/// Ends containers.
pub(super) fn stop(
    arguments: &StopArguments,
    home: &Home,
    environment: &Environment,
) -> Result<ExitCode, Error> {
    let root = home.root(environment);
    let patience = Duration::from_secs(arguments.seconds.into());
    let mut asked = HashSet::new();
    // All at once: none waits for another to heed it.
    let stopping = arguments.containers.iter().map(|text| {
        let container = run::find(&root, text)?;
        // More wishes than one are taken for impatience.
        match asked.insert(container.id.clone()) {
            true => container.ask_to_end(&root),
            false => Ok(None),
        }
    });
    let stopping: Vec<_> = stopping.collect();
    let ended = stopping
        .into_iter()
        .map(|asked| asked?.map_or(Ok(()), |it| it.end(patience)));
    each(&arguments.containers, ended)
}

/// Forgets containers.
pub(super) fn remove(
    arguments: &RmArguments,
    home: &Home,
    environment: &Environment,
) -> Result<ExitCode, Error> {
    let root = home.root(environment);
    let removed = arguments.containers.iter().map(|text| {
        let mut container = run::find(&root, text)?;
        if arguments.force {
            if let Some(stopping) = container.ask_to_end(&root)? {
                stopping.end(Duration::ZERO)?;
            }
            container.is_running = false;
        }
        container.remove(&root)
    });
    each(&arguments.containers, removed)
}

/// Does something to each container and names those that it was done to. One that it fails for does
/// not keep it from the others.
fn each(
    containers: &[String],
    acts: impl Iterator<Item = Result<(), run::Error>>,
) -> Result<ExitCode, Error> {
    let mut code = ExitCode::SUCCESS;
    for (text, done) in containers.iter().zip(acts) {
        match done {
            Ok(()) => print::line(text)?,
            Err(error) => {
                report::error(&Error::Run(error));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
