//! `rbuild run -d`: a keeper, which is rbuild once more, does what was asked for.

use std::os::unix::process::CommandExt;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::arguments::Home;
use super::environment::Environment;
use super::error::Error;
use super::print;
use super::report;
use crate::run;
use crate::run::Container;
use crate::sandbox;
use crate::sys;

/// Tells the keeper which container is its own.
pub(super) const KEEPER_OF: &str = "RBUILD_KEEPER_OF";

/// How often the keeper's progress is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// Starts a keeper, waits until the program runs or cannot, and prints the container's id. Gives
/// the exit code that the keeper gave up with.
pub(super) fn detach(
    container: &Container,
    home: &Home,
    environment: &Environment,
) -> Result<u8, Error> {
    let root = home.root(environment);
    container.create(&root)?;
    let log = container.log(&root);
    let mut keeper = match start(&log, container, environment) {
        Ok(keeper) => keeper,
        Err(source) => {
            // The first failure is the one to tell.
            let _ = container.remove(&root);
            return Err(Error::WriteFile { path: log, source });
        }
    };
    loop {
        let ended = keeper.try_wait().ok().flatten();
        // With --rm, one that has ended is gone already, whatever its code was.
        let found = run::find(&root, &container.id);
        match (found, ended) {
            (Ok(found), _) if found.has_started => {
                found.notes.iter().for_each(|note| report::warning(note));
                break;
            }
            (Err(_), Some(_)) => break,
            (Ok(found), Some(status)) => {
                let said = std::fs::read(&log).unwrap_or_default();
                eprint!("{}", String::from_utf8_lossy(&said));
                Container {
                    is_running: false,
                    ..found
                }
                .remove(&root)?;
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                let name = container.name.clone();
                return code.ok_or(Error::Run(run::Error::EndedEarly { name }));
            }
            _ => thread::sleep(PAUSE),
        }
    }
    print::line(&container.id)?;
    Ok(0)
}

fn start(
    log: &std::path::Path,
    container: &Container,
    environment: &Environment,
) -> std::io::Result<Child> {
    let log = run::open_log(log)?;
    sandbox::leave_given_groups();
    // The keeper passes on the limit that it finds.
    let _ = sys::process::restore_open_files();
    let mut command = Command::new(&environment.binary);
    let mut arguments = environment.arguments.iter();
    command.arg0(
        arguments
            .next()
            .map_or("rbuild".as_ref(), |name| name.as_os_str()),
    );
    command.args(arguments).env(KEEPER_OF, &container.id);
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command.spawn()
}
