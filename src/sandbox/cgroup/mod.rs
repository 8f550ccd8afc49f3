//! The control groups of a sandbox: one below rbuild's own in each hierarchy that a limit needs,
//! made when it starts and removed when it has ended.
//!
//! Version 1, where each controller has a hierarchy of its own, and version 2, which has one for
//! all, are written to in the same way, with other names: `setting.rs` knows them. `place.rs`
//! finds where groups can be made. Groups of an rbuild that was killed are removed by the next: nobody
//! holds them any more.

mod place;
mod setting;

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::sandbox::Error;
use crate::sandbox::limits::Exceeded;
use crate::sandbox::limits::Limits;
use crate::sys;
use crate::sys::random;

use self::place::Held;
use self::place::Place;
use self::place::Version;
use self::setting::Necessity;
use self::setting::Setting;

/// The groups of one sandbox.
#[derive(Debug, Default)]
pub(super) struct Cgroup {
    groups: Vec<Group>,
}

/// A directory that is a group.
#[derive(Debug)]
struct Group {
    place: &'static Place,
    path: PathBuf,
    /// The first limit it is for.
    necessity: Necessity,
    _held: Held,
}

/// The way into a group: a file, open for writing.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) file: File,
    /// Whether the sandbox is refused if it cannot go in.
    pub(super) is_asked: bool,
}

impl Door {
    /// Moves this process in, which has one thread.
    pub(super) fn enter(&mut self) -> Result<(), sys::Error> {
        let write = |error| sys::Error::new("write(cgroup, \"0\")", error);
        match self.file.write_all(b"0").map_err(write) {
            Err(error) if self.is_asked => Err(error),
            _ => Ok(()),
        }
    }
}

/// Gives a name that no other group has, also where processes in other containers, with the same
/// numbers as this one, make theirs beside it.
fn name() -> Result<String, Error> {
    let bytes = random::bytes().map_err(Error::Start)?;
    let random = u128::from_ne_bytes(bytes);
    Ok(format!("{}-{random:032x}", std::process::id()))
}

impl Cgroup {
    /// Makes the groups that the limits need. A limit that was asked for and cannot be set is an
    /// error; one that is usual is left out.
    pub(super) fn new(limits: &Limits) -> Result<Cgroup, Error> {
        let mut cgroup = Cgroup::default();
        let settings = setting::of(limits);
        if settings.is_empty() {
            return Ok(cgroup);
        }
        let name = name()?;
        for setting in &settings {
            let done = cgroup.set(setting, &name);
            if let (Err(source), Necessity::Asked { flag }) = (done, setting.necessity) {
                cgroup.remove();
                return Err(Error::Limit { flag, source });
            }
        }
        Ok(cgroup)
    }

    fn set(&mut self, setting: &Setting, name: &str) -> Result<(), sys::Error> {
        let place = place::all()
            .iter()
            .find(|place| place.has(setting.controller));
        let Some(place) = place else {
            let call = format!("find a cgroup hierarchy for {:?}", setting.controller);
            return Err(sys::Error::new(call, io::ErrorKind::NotFound.into()));
        };
        let path = place.parent.join(name);
        if !self.groups.iter().any(|group| group.path == path) {
            let held = place.make(&path)?;
            self.groups.push(Group {
                place,
                path: path.clone(),
                necessity: setting.necessity,
                _held: held,
            });
        }
        setting
            .files(place.version)
            .iter()
            .try_for_each(|(file, value)| write(&path.join(file), value))
    }

    /// Opens the groups for the process that is to be in them. In version 1 it goes in alone:
    /// unlike moving a process with all its threads, that costs next to nothing. Version 2 has no
    /// such way.
    pub(super) fn doors(&self) -> Result<Vec<Door>, Error> {
        let mut doors = Vec::new();
        for group in &self.groups {
            let path = group.path.join(match group.place.version {
                Version::One => "tasks",
                Version::Two => "cgroup.procs",
            });
            let open = |error| sys::Error::new(format!("open({path:?})"), error);
            let opened = File::options().write(true).open(&path).map_err(open);
            match (opened, group.necessity) {
                (Err(source), Necessity::Asked { flag }) => {
                    return Err(Error::Limit { flag, source });
                }
                (Err(_), Necessity::Usual) => {}
                (Ok(file), necessity) => doors.push(Door {
                    file,
                    is_asked: necessity != Necessity::Usual,
                }),
            }
        }
        Ok(doors)
    }

    /// Finds out whether a limit was met.
    pub(super) fn exceeded(&self, limits: &Limits) -> Option<Exceeded> {
        let count = |(one, two): (&str, &str), key: &str| {
            let counts = self.groups.iter().filter_map(|group| {
                let file = match group.place.version {
                    Version::One => one,
                    Version::Two => two,
                };
                let text = fs::read_to_string(group.path.join(file)).ok()?;
                let value = text.lines().find_map(|line| line.strip_prefix(key))?;
                value.trim().parse::<u64>().ok()
            });
            counts.sum::<u64>()
        };
        if count(("memory.oom_control", "memory.events"), "oom_kill ") > 0 {
            return limits.memory_bytes.map(Exceeded::Memory);
        }
        if count(("pids.events", "pids.events"), "max ") > 0 {
            return setting::processes(limits.processes).map(Exceeded::Processes);
        }
        None
    }

    /// Removes the groups, which nothing is in any more.
    pub(super) fn remove(&mut self) {
        for group in self.groups.drain(..) {
            // What cannot be removed now is removed by the next rbuild.
            let _left = fs::remove_dir(&group.path);
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.remove();
    }
}

fn make(path: &Path) -> Result<(), sys::Error> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(sys::Error::new(format!("mkdir({path:?})"), error))
        }
        _ => Ok(()),
    }
}

fn write(path: &Path, value: &str) -> Result<(), sys::Error> {
    fs::write(path, value)
        .map_err(|error| sys::Error::new(format!("write({path:?}, {value:?})"), error))
}
