//! Where groups can be made.

use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::sandbox::cgroup::PARENT;
use crate::sandbox::cgroup::ground;
use crate::sandbox::cgroup::mounted;
use crate::sys;

/// How often a group is made, while others remove its parent.
const ATTEMPTS: usize = 100;

/// Which of the kernel's two interfaces a hierarchy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

impl Version {
    /// Opens the way into a group, for the process that is to be in it. In version 1 it goes in
    /// alone: unlike moving a process with all its threads, that costs next to nothing. Version 2
    /// has no such way.
    pub(super) fn door(self, group: &Path) -> Result<File, sys::Error> {
        let path = group.join(match self {
            Version::One => "tasks",
            Version::Two => "cgroup.procs",
        });
        let open = |error| sys::Error::new(format!("open({path:?})"), error);
        File::options().write(true).open(&path).map_err(open)
    }
}

/// A hierarchy.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) version: Version,
    /// Who keeps limits there.
    controllers: Vec<String>,
    /// The group below which those of sandboxes are made.
    pub(super) parent: PathBuf,
    /// Why there are no controllers, if that is known.
    pub(super) why_not: Option<String>,
    /// In version 2, the group of this process.
    own: Option<PathBuf>,
    /// The group that this process goes into, where it is in the one above the parent.
    seat: Option<OnceLock<Held>>,
    /// Whether that was made ready by this process.
    is_ready: AtomicBool,
}

/// A group that this process needs: as long as it lives and has this, no other removes it.
#[derive(Debug)]
pub(super) struct Held {
    locked: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // A process that is just being started has the file open, too, until it becomes its program.
        let _ = self.locked.unlock();
    }
}

static PLACES: OnceLock<Vec<Place>> = OnceLock::new();

/// Gives the hierarchies that this process sees; none where there are no groups. They are looked
/// for once.
pub(super) fn all() -> &'static [Place] {
    PLACES.get_or_init(find)
}

/// Says why there is no hierarchy with a controller.
pub(super) fn missing(controller: &str) -> sys::Error {
    let two = all().iter().find(|place| place.version == Version::Two);
    let lacking = |place: &Place| format!("find {controller:?} in {:?}", place.above());
    let (call, kind) = match two {
        Some(Place {
            why_not: Some(why_not),
            ..
        }) => (why_not.clone(), io::ErrorKind::PermissionDenied),
        Some(place) => (lacking(place), io::ErrorKind::NotFound),
        None => {
            let call = format!("find a cgroup hierarchy for {controller:?}");
            (call, io::ErrorKind::NotFound)
        }
    };
    sys::Error::new(call, kind.into())
}

/// Has this process leave the control group that it was given, for those that it starts: as long as
/// it is there they can limit nothing. Nothing happens where it needs not, or cannot.
pub fn leave_given() {
    for place in all().iter().filter(|place| place.seat.is_some()) {
        // Who needs them says what is missing.
        let _refused = place.prepare();
    }
}

/// What a process that makes groups keeps until it makes no more. Dropped, it removes those that
/// hold the groups of sandboxes, unless another rbuild has some in them.
#[derive(Debug)]
pub(in crate::sandbox) struct Parents(());

impl Parents {
    /// Begins to keep them; they are made when they are first needed.
    pub(in crate::sandbox) fn keep() -> Parents {
        Parents(())
    }
}

impl Drop for Parents {
    fn drop(&mut self) {
        PLACES.get().into_iter().flatten().for_each(Place::leave);
    }
}

fn find() -> Vec<Place> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut places = mounted::places(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
    places.iter_mut().for_each(Place::find_ground);
    places
}

/// Makes a group and holds it.
fn hold(group: &Path) -> Result<Held, sys::Error> {
    let failed = |source| sys::Error::new(format!("flock({group:?})"), source);
    loop {
        super::make(group)?;
        let locked = File::open(group).and_then(|locked| {
            locked.lock()?;
            let is_same = fs::metadata(group)?.ino() == locked.metadata()?.ino();
            Ok(is_same.then_some(locked))
        });
        match locked {
            Ok(Some(locked)) => return Ok(Held { locked }),
            // Until it was locked somebody took it for one that nobody holds.
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

impl Place {
    /// A hierarchy in which groups are made below one of its own; `own` is that of this process, in
    /// version 2.
    pub(super) fn new(
        version: Version,
        controllers: Vec<String>,
        above: &Path,
        own: Option<PathBuf>,
    ) -> Place {
        Place {
            version,
            controllers,
            parent: above.join(PARENT),
            why_not: None,
            own,
            seat: None,
            is_ready: AtomicBool::new(false),
        }
    }

    /// Finds where there are controllers in version 2.
    fn find_ground(&mut self) {
        let Some(own) = &self.own else {
            return;
        };
        match ground::find(self.above(), own, ground::is_kin) {
            Ok(found) => {
                let names = fs::read_to_string(found.group.join("cgroup.controllers"));
                let names = names.unwrap_or_default();
                self.controllers = names.split_whitespace().map(str::to_owned).collect();
                self.parent = found.group.join(PARENT);
                self.seat = found.is_taken.then(OnceLock::new);
            }
            Err(why_not) => self.why_not = Some(why_not),
        }
    }

    /// The group that the parent is in.
    fn above(&self) -> &Path {
        self.parent.parent().unwrap_or(&self.parent)
    }

    pub(super) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|known| known == controller)
    }

    /// Whether a group can have a list of the devices that can be opened in it. In version 2 no
    /// controller has it.
    pub(super) fn keeps_devices(&self) -> bool {
        self.version == Version::Two || self.has("devices")
    }

    /// Makes a group, and once the parent of all.
    pub(super) fn make(&self, group: &Path) -> Result<Held, sys::Error> {
        for _ in 1..ATTEMPTS {
            match self.try_to_make(group) {
                // Another rbuild, which was the last, took the parent with it.
                Err(error) if error.is_not_found() => self.is_ready.store(false, Ordering::Release),
                done => return done,
            }
        }
        self.try_to_make(group)
    }

    fn try_to_make(&self, group: &Path) -> Result<Held, sys::Error> {
        if !self.is_ready.load(Ordering::Acquire) || !self.parent.is_dir() {
            self.prepare()?;
            self.is_ready.store(true, Ordering::Release);
        }
        let held = hold(group)?;
        self.inherit(group)?;
        Ok(held)
    }

    /// Removes the parent, if this process made it ready and nobody has a group in it.
    fn leave(&self) {
        if self.is_ready.swap(false, Ordering::AcqRel) {
            // Whoever has a group in it removes it later.
            let _left = fs::remove_dir(&self.parent);
        }
    }

    /// Makes the parent, and removes what a killed rbuild left in it.
    fn prepare(&self) -> Result<(), sys::Error> {
        super::make(&self.parent)?;
        self.inherit(&self.parent)?;
        if self.version == Version::Two {
            self.take_seat()?;
            self.hand_on(self.above());
            self.hand_on(&self.parent);
        }
        let entries = fs::read_dir(&self.parent).into_iter().flatten().flatten();
        for entry in entries {
            let group = entry.path();
            let opened = group.is_dir().then(|| File::open(&group).ok()).flatten();
            let unheld = opened.filter(|group| group.try_lock().is_ok());
            if unheld.is_some() {
                remove(&group);
            }
        }
        Ok(())
    }

    /// Leaves the group above the parent, where this process is in it; nobody goes back.
    fn take_seat(&self) -> Result<(), sys::Error> {
        let Some(taken) = self.seat.as_ref().filter(|seat| seat.get().is_none()) else {
            return Ok(());
        };
        let seat = self.parent.join(super::name()?);
        let held = hold(&seat)?;
        ground::leave(self.above(), &seat, ground::is_kin)?;
        // Another thread that was faster has moved this process elsewhere in vain.
        let _other = taken.set(held);
        Ok(())
    }

    /// Has a group of version 2 hand on the controllers of limits to those below it.
    ///
    /// That of the topmost group, which is not rbuild's, stays so, as runc and crun leave it: what
    /// is handed on limits nobody by itself, and who takes it back takes it from another that begins
    /// to need it.
    pub(super) fn hand_on(&self, group: &Path) {
        let limiting = ["cpu", "cpuset", "memory", "pids"];
        let names = self.controllers.iter();
        for name in names.filter(|name| limiting.contains(&name.as_str())) {
            // One that is missing afterwards is missed when a limit is set.
            let _refused = super::write(&group.join("cgroup.subtree_control"), &format!("+{name}"));
        }
    }

    /// Gives a new group of version 1 the processors and memory of its parent, without which
    /// nothing can be in it.
    fn inherit(&self, group: &Path) -> Result<(), sys::Error> {
        if self.version == Version::Two || !self.has("cpuset") {
            return Ok(());
        }
        let parent = group.parent().unwrap_or(group);
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let value = fs::read_to_string(parent.join(file)).unwrap_or_default();
            super::write(&group.join(file), value.trim_end())?;
        }
        Ok(())
    }
}

/// Removes a group and those below it.
pub(super) fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    // It has processes yet, or another rbuild was faster. What cannot be removed now is removed by
    // the next rbuild.
    let _left = fs::remove_dir(group);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done there is done in any file system.
    fn place_in(home: &Path) -> Place {
        Place::new(Version::One, Vec::new(), home, None)
    }

    #[test]
    fn the_last_takes_the_parent_along() {
        let home = tempfile::tempdir().unwrap();
        let (one, other) = (place_in(home.path()), place_in(home.path()));
        let group = |name: &str| home.path().join("rbuild").join(name);
        let _one = one.make(&group("one")).unwrap();
        let _other = other.make(&group("other")).unwrap();
        fs::remove_dir(group("one")).unwrap();
        one.leave();
        assert!(group("other").is_dir());
        fs::remove_dir(group("other")).unwrap();
        other.leave();
        assert!(!one.parent.exists());
        // It can be made anew.
        let _again = one.make(&group("again")).unwrap();
        assert!(group("again").is_dir());
    }

    #[test]
    fn a_group_is_made_while_others_leave() {
        let home = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let place = place_in(home.path());
                scope.spawn(move || {
                    for turn in 0..200 {
                        let group = place.parent.join(format!("{thread}-{turn}"));
                        let held = place.make(&group).unwrap();
                        assert!(group.is_dir());
                        fs::remove_dir(&group).unwrap();
                        drop(held);
                        place.leave();
                    }
                });
            }
        });
        assert!(!home.path().join("rbuild").exists());
    }

    #[test]
    fn a_group_that_somebody_holds_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let place = || place_in(home.path());
        let group = |name: &str| home.path().join("rbuild").join(name);
        let held = place().make(&group("one")).unwrap();
        drop(place().make(&group("left")).unwrap());
        fs::write(group("tasks"), "").unwrap();
        let _other = place().make(&group("other")).unwrap();
        assert!(group("one").is_dir() && group("tasks").is_file());
        assert!(!group("left").exists());
        drop(held);
        let _another = place().make(&group("another")).unwrap();
        assert!(!group("one").exists());
    }
}
