//! The control groups of a sandbox: one below rbuild's own in each hierarchy that a limit needs,
//! made when it starts and removed when it has ended; and one for all sandboxes of a template, with
//! a list of the devices that can be opened in it.
//!
//! Version 1, where each controller has a hierarchy of its own, and version 2, which has one for
//! all, are written to in the same way, with other names: `setting.rs` knows them. `mounted.rs`
//! finds the hierarchies, `ground.rs` where in version 2 there is a group to begin at, `place.rs`
//! makes groups there, `devices.rs` has the list. Groups of an rbuild that was killed
//! are removed by the next: nobody holds them any more. The group that holds those of all rbuilds is
//! removed by the last.

mod devices;
mod ground;
mod mounted;
mod place;
mod setting;

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::sandbox::Error;
use crate::sandbox::limits::Exceeded;
use crate::sandbox::limits::Limits;
use crate::sandbox::spec::Security;
use crate::sys;
use crate::sys::id;
use crate::sys::random;

pub(super) use self::devices::DeviceList;
pub(super) use self::devices::DeviceRule;
use self::place::Held;
pub(super) use self::place::Parents;
use self::place::Place;
use self::place::Version;
pub use self::place::leave_given;
pub(super) use self::setting::Limit;
pub(super) use self::setting::Necessity;
use self::setting::Setting;

/// The group that holds those of all sandboxes.
const PARENT: &str = "rbuild";

/// The groups of one sandbox.
#[derive(Debug, Default)]
pub(super) struct Cgroup {
    groups: Vec<Group>,
    /// The list that holds for it: its groups in that hierarchy are below the list's own.
    list: Option<Arc<DeviceList>>,
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

/// A limit that no group keeps.
#[derive(Debug)]
pub(super) struct Missed {
    pub(super) limit: Limit,
    pub(super) necessity: Necessity,
    /// Why not.
    pub(super) source: sys::Error,
}

/// The way into a group: a file, open for writing.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) file: File,
    /// Whether the sandbox is refused if it cannot go in.
    pub(super) is_asked: bool,
}

impl Door {
    /// Moves this process in, which has one thread; says whether it is in, if it need not be.
    pub(super) fn enter(&mut self) -> Result<bool, sys::Error> {
        match self.file.write_all(b"0") {
            Err(error) if self.is_asked => Err(sys::Error::new("write(cgroup, \"0\")", error)),
            entered => Ok(entered.is_ok()),
        }
    }
}

impl Cgroup {
    /// Makes the groups that the limits need, under the list of the template's sandboxes, if there
    /// is one. Gives the limits that cannot be set as well.
    pub(super) fn new(
        limits: &Limits,
        security: Security,
        list: Option<&Arc<DeviceList>>,
    ) -> Result<(Cgroup, Vec<Missed>), Error> {
        let mut missed = Vec::new();
        let mut cgroup = Cgroup::default();
        let name = name().map_err(Error::Start)?;
        match (security, list) {
            (Security::Sandbox, list) => cgroup.list = list.cloned(),
            (Security::Insecure, Some(list)) => cgroup.leave(list, &name)?,
            (Security::Insecure, None) => {}
        }
        for setting in &setting::of(limits) {
            let before = cgroup.groups.len();
            if let Err(source) = cgroup.set(setting, &name) {
                cgroup.remove_from(before);
                missed.push(Missed {
                    limit: setting.limit,
                    necessity: setting.necessity,
                    source,
                });
            }
        }
        Ok((cgroup, missed))
    }

    /// Finds out which limits cannot be set, for nobody.
    pub(super) fn try_limits(limits: &Limits) -> Result<Vec<Missed>, Error> {
        let (cgroup, missed) = Cgroup::new(limits, Security::Sandbox, None)?;
        cgroup.doors().map(|_| missed)
    }

    /// Makes a group beside the list, under which whoever is copied from the template is.
    fn leave(&mut self, list: &DeviceList, name: &str) -> Result<(), Error> {
        let flag = "--security=insecure";
        let made = self.group(list.place, name, Necessity::Asked { flag });
        let refused = |source| Error::Limit { flag, source };
        made.map(drop).map_err(refused)
    }

    fn set(&mut self, setting: &Setting, name: &str) -> Result<(), sys::Error> {
        let place = place::all()
            .iter()
            .find(|place| place.has(setting.controller));
        let Some(place) = place else {
            return Err(place::missing(setting.controller));
        };
        let path = self.group(place, name, setting.necessity)?;
        setting
            .files(place.version)
            .iter()
            .try_for_each(|(file, value)| write(&path.join(file), value))
    }

    /// Gives the group at a place; makes it if this is the first time that it is asked for.
    fn group(
        &mut self,
        place: &'static Place,
        name: &str,
        necessity: Necessity,
    ) -> Result<PathBuf, sys::Error> {
        let list = self.list.as_ref();
        let list = list.filter(|list| std::ptr::eq(list.place, place));
        let path = list.map_or(&place.parent, |list| &list.path).join(name);
        if !self.groups.iter().any(|group| group.path == path) {
            let held = place.make(&path)?;
            self.groups.push(Group {
                place,
                path: path.clone(),
                necessity,
                _held: held,
            });
        }
        Ok(path)
    }

    /// Opens the groups for the process that is to be in them.
    pub(super) fn doors(&self) -> Result<Vec<Door>, Error> {
        let mut doors = Vec::new();
        for group in &self.groups {
            match (group.place.version.door(&group.path), group.necessity) {
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
            return limits.processes.count().map(Exceeded::Processes);
        }
        None
    }

    /// Removes the groups from one on, which nothing is in any more.
    fn remove_from(&mut self, first: usize) {
        for group in self.groups.drain(first..) {
            // What cannot be removed now is removed by the next rbuild.
            let _left = fs::remove_dir(&group.path);
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.remove_from(0);
    }
}

/// Says what lets rbuild limit what a sandbox takes.
pub(super) fn remedy() -> &'static str {
    let two = place::all()
        .iter()
        .find(|place| place.version == Version::Two);
    match (two, id::is_initial_user_namespace()) {
        (Some(place), false) if place.why_not.is_some() => {
            "begin rbuild in a group of its own, from a login (ssh, machinectl shell; not su): \
             systemd-run --user --scope -p Delegate=yes rbuild ...; without systemd, run it as root"
        }
        (Some(_), false) => {
            "have systemd give users more controllers, as root: systemctl edit user@.service, with \
             [Service] and Delegate=cpu cpuset io memory pids, and log in again"
        }
        (None, false) => "run rbuild as root",
        (Some(place), true) if place.why_not.is_some() => {
            "docker run --cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup, or --privileged with \
             rbuild alone in its container; beside others there, first: mkdir /sys/fs/cgroup/init; \
             xargs -n1 < /sys/fs/cgroup/cgroup.procs > /sys/fs/cgroup/init/cgroup.procs; \
             Kubernetes: securityContext: {privileged: true}, and the same"
        }
        (_, true) => {
            "docker run --cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup, or --privileged; \
             Kubernetes: securityContext: {privileged: true}; where nothing is mounted there: mount \
             -t cgroup2 none /sys/fs/cgroup"
        }
    }
}

/// Gives a name that no other group has, also where processes in other containers, with the same
/// numbers as this one, make theirs beside it.
fn name() -> Result<String, sys::Error> {
    let random = u128::from_ne_bytes(random::bytes()?);
    Ok(format!("{}-{random:032x}", std::process::id()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_that_stays_shut_is_told() {
        let shut = |is_asked| {
            let file = File::options().write(true).open("/dev/full").unwrap();
            Door { file, is_asked }
        };
        assert!(matches!(shut(false).enter(), Ok(false)));
        assert!(shut(true).enter().is_err());
        let file = tempfile::tempfile().unwrap();
        let is_asked = false;
        assert!(matches!((Door { file, is_asked }).enter(), Ok(true)));
    }
}
