//! Devices that cannot be made, opened for who names them.

use std::os::fd::OwnedFd;

use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::sys::proc_self::shown::OF_FILE;

/// A device by its name in `/dev`, with its major and minor number.
pub type Device = (&'static str, u32, u32);

/// Opens this machine's device of a name; nothing if it is none of `devices`, or not there.
pub(super) fn open(
    devices: &[Device],
    name: &str,
    flags: OFlags,
) -> Option<rustix::io::Result<OwnedFd>> {
    let (name, major, minor) = devices.iter().find(|(known, ..)| *known == name)?;
    if flags.contains(OFlags::CREATE | OFlags::EXCL) {
        return Some(Err(Errno::EXIST));
    }
    let how = flags.intersection(OF_FILE) | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let device = match rustix::fs::open(format!("/dev/{name}"), how, Mode::empty()) {
        Ok(device) => device,
        Err(Errno::NOTDIR) => return Some(Err(Errno::NOTDIR)),
        Err(_) => return None,
    };
    let stat = rustix::fs::fstat(&device).ok()?;
    let is_meant = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev == rustix::fs::makedev(*major, *minor);
    is_meant.then_some(Ok(device))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    const DEVICES: [Device; 2] = [("urandom", 1, 9), ("zero", 1, 3)];

    #[test]
    fn a_device_is_opened_as_asked() {
        let open = |flags| open(&DEVICES, "urandom", flags);
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::TRUNC;
        let mut bytes = [0; 32];
        let mut file = File::from(open(flags).unwrap().unwrap());
        file.read_exact(&mut bytes).unwrap();
        assert_ne!(bytes, [0; 32]);
        let refused = open(OFlags::CREATE | OFlags::EXCL).unwrap();
        assert_eq!(refused.unwrap_err(), Errno::EXIST);
        let refused = open(OFlags::DIRECTORY).unwrap();
        assert_eq!(refused.unwrap_err(), Errno::NOTDIR);
    }

    #[test]
    fn what_is_not_meant_is_not_opened() {
        for name in ["null", "zero", "../etc/passwd", ""] {
            assert!(open(&DEVICES, name, OFlags::RDONLY).is_none(), "{name}");
        }
    }
}
