//! The control groups of a sandbox: one below rbuild's own in each hierarchy that a limit needs,
//! made when it starts and removed when it has ended.
//!
//! Version 1, where each controller has a hierarchy of its own, and version 2, which has one for
//! all, are written to in the same way, with other names: `setting.rs` knows them. `place.rs`
//! finds where groups can be made. Groups of an rbuild that was killed are removed by the next.

mod place;
mod setting;

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::sandbox::Error;
use crate::sandbox::limits::Exceeded;
use crate::sandbox::limits::Limits;
use crate::sys;

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
    place: Place,
    path: PathBuf,
    /// The first limit it is for.
    necessity: Necessity,
}

impl Group {
    /// Makes an error of an attempt to enter, unless the group is for a usual limit only.
    fn entered(&self, attempt: Result<(), sys::Error>) -> Result<(), Error> {
        match (attempt, self.necessity) {
            (Err(source), Necessity::Asked { flag }) => Err(Error::Limit { flag, source }),
            _ => Ok(()),
        }
    }
}

/// Tells the groups of one process apart.
static COUNT: AtomicU64 = AtomicU64::new(0);

impl Cgroup {
    /// Makes the groups that the limits need. A limit that was asked for and cannot be set is an
    /// error; one that is usual is left out.
    pub(super) fn new(limits: &Limits) -> Result<Cgroup, Error> {
        let mut cgroup = Cgroup::default();
        let settings = setting::of(limits);
        if settings.is_empty() {
            return Ok(cgroup);
        }
        let places = place::find();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        for setting in &settings {
            let done = cgroup.set(setting, &places, &name);
            if let (Err(source), Necessity::Asked { flag }) = (done, setting.necessity) {
                cgroup.remove();
                return Err(Error::Limit { flag, source });
            }
        }
        Ok(cgroup)
    }

    fn set(&mut self, setting: &Setting, places: &[Place], name: &str) -> Result<(), sys::Error> {
        let place = places.iter().find(|place| place.has(setting.controller));
        let Some(place) = place else {
            let call = format!("find a cgroup hierarchy for {:?}", setting.controller);
            return Err(sys::Error::new(call, io::ErrorKind::NotFound.into()));
        };
        let path = place.parent.join(name);
        if !self.groups.iter().any(|group| group.path == path) {
            place.prepare()?;
            make(&path)?;
            place.inherit(&path)?;
            self.groups.push(Group {
                place: place.clone(),
                path: path.clone(),
                necessity: setting.necessity,
            });
        }
        setting
            .files(place.version)
            .iter()
            .try_for_each(|(file, value)| write(&path.join(file), value))
    }

    /// Moves this thread into the groups, so that what it starts is born there: unlike moving a
    /// process, that costs next to nothing. Version 2 has no such way.
    pub(super) fn enter(&self) -> Result<(), Error> {
        let groups = self.groups.iter();
        let mut threaded = groups.filter(|group| group.place.version == Version::One);
        threaded.try_for_each(|group| group.entered(write(&group.path.join("tasks"), "0")))
    }

    /// Moves this thread back, and the process it started to where it is not yet.
    pub(super) fn leave(&self, pid: Option<u32>) -> Result<(), Error> {
        for group in &self.groups {
            match (group.place.version, pid) {
                (Version::One, _) => {
                    // If this fails, the group goes away a little later.
                    let _stayed = write(&group.place.own.join("tasks"), "0");
                }
                (Version::Two, Some(pid)) => {
                    group.entered(write(&group.path.join("cgroup.procs"), &pid.to_string()))?;
                }
                (Version::Two, None) => {}
            }
        }
        Ok(())
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
