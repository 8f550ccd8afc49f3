//! Which devices a sandbox can open: a list that the kernel keeps for a control group, as Docker has
//! one. With it a program may make any device, as `debootstrap` does, and put it anywhere.
//!
//! There is one list for all sandboxes of a template, which goes in before the first of them is
//! copied from it. Where a sandbox needs a group in the same hierarchy for its limits, that is
//! below.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::sandbox::cgroup::place;
use crate::sandbox::cgroup::place::Held;
use crate::sandbox::cgroup::place::Place;
use crate::sandbox::cgroup::place::Version;
use crate::sandbox::inside::system;
use crate::sys;
use crate::sys::devices;
use crate::sys::devices::CharDevice;
use crate::sys::id;

/// What keeps a sandbox from opening devices that are not its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum DeviceRule {
    /// The kernel has a [`DeviceList`] of those it can open, and the process is in its group.
    Listed,
    /// Mounts that allow none have to.
    Mounted,
}

/// A group with such a list. Dropped, it is removed; nothing may be in it any more.
#[derive(Debug)]
pub(in crate::sandbox) struct DeviceList {
    pub(super) place: &'static Place,
    pub(super) path: PathBuf,
    _held: Held,
}

/// The group below it that the template is in, where one that hands on controllers can have no
/// processes itself.
const SEAT: &str = "template";

impl DeviceList {
    /// Makes the list, if this process may.
    pub(in crate::sandbox) fn new() -> Result<DeviceList, sys::Error> {
        let call = "find a cgroup hierarchy for devices";
        if !id::is_initial_user_namespace() {
            return Err(sys::Error::new(
                call,
                io::ErrorKind::PermissionDenied.into(),
            ));
        }
        // Where there are hierarchies of both versions, whoever made them meant the first to do it.
        let versions = [Version::One, Version::Two].into_iter();
        let places = versions.flat_map(|version| {
            let keeps = move |place: &&Place| place.version == version && place.keeps_devices();
            place::all().iter().filter(keeps)
        });
        let mut why_not = sys::Error::new(call, io::ErrorKind::NotFound.into());
        for place in places {
            match DeviceList::at(place) {
                Ok(list) => return Ok(list),
                Err(error) => why_not = error,
            }
        }
        Err(why_not)
    }

    fn at(place: &'static Place) -> Result<DeviceList, sys::Error> {
        let path = place.parent.join(super::name()?);
        let held = place.make(&path)?;
        // From here on it is removed if something fails.
        let list = DeviceList {
            place,
            path,
            _held: held,
        };
        match place.version {
            Version::One => list.write()?,
            Version::Two => {
                list.load()?;
                place.hand_on(&list.path);
                super::make(&list.path.join(SEAT))?;
            }
        }
        Ok(list)
    }

    /// The kernel takes one rule at a time, and forgets all others with the first.
    fn write(&self) -> Result<(), sys::Error> {
        super::write(&self.path.join("devices.deny"), "a")?;
        let allow = self.path.join("devices.allow");
        rules()
            .iter()
            .try_for_each(|rule| super::write(&allow, rule))
    }

    fn load(&self) -> Result<(), sys::Error> {
        let open = |error| sys::Error::new(format!("open({:?})", self.path), error);
        let group = File::open(&self.path).map_err(open)?;
        devices::allow_only(group, &opened())
    }

    /// Opens the way in for the template.
    pub(in crate::sandbox) fn door(&self) -> Result<File, sys::Error> {
        match self.place.version {
            Version::One => self.place.version.door(&self.path),
            Version::Two => self.place.version.door(&self.path.join(SEAT)),
        }
    }

    /// Says who keeps it.
    pub(in crate::sandbox) fn keeper(&self) -> &'static str {
        match self.place.version {
            Version::One => "control groups, version 1",
            Version::Two => "control groups, version 2",
        }
    }
}

impl Drop for DeviceList {
    fn drop(&mut self) {
        place::remove(&self.path);
    }
}

/// The devices that can be opened: those of `/dev`, and terminals, which are the sandbox's own.
///
/// As runc has them. Docker and containerd add `/dev/console`, which would be the machine's, where
/// a sandbox has its own terminal in that place.
fn opened() -> Vec<CharDevice> {
    let device = |major, minor| CharDevice { major, minor };
    let usual = system::DEVICES
        .iter()
        .map(|(_, major, minor)| device(*major, Some(*minor)));
    let terminals = [device(5, Some(2)), device(136, None)];
    usual.chain(terminals).collect()
}

/// The same for version 1: any device can be made, these can be opened.
fn rules() -> Vec<String> {
    let number = |minor: Option<u32>| minor.map_or("*".to_owned(), |minor| minor.to_string());
    let opened = opened().into_iter();
    let opened = opened.map(|device| format!("c {}:{} rw", device.major, number(device.minor)));
    let made = ["c *:* m", "b *:* m"].map(str::to_owned);
    made.into_iter().chain(opened).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_device_can_be_made_and_the_usual_ones_opened() {
        let expected = [
            "c *:* m",
            "b *:* m",
            "c 1:3 rw",
            "c 1:5 rw",
            "c 1:7 rw",
            "c 1:8 rw",
            "c 1:9 rw",
            "c 5:0 rw",
            "c 5:2 rw",
            "c 136:* rw",
        ];
        assert_eq!(rules(), expected);
    }
}
