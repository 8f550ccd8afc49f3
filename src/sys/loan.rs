//! Directories that are lent: moved elsewhere for a while, and brought home.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use rustix::fs::Mode;
use rustix::fs::OFlags;

use crate::sys::Dir;
use crate::sys::Error;
use crate::sys::Result;
use crate::sys::error::path_of;

/// A directory that is lent. Its parent is locked as long as this lives, so that others can tell
/// that it will come back.
#[derive(Debug)]
pub struct Loan {
    home: Dir,
    name: OsString,
    lent: Dir,
    _lock: File,
}

impl Loan {
    /// Prepares to lend the directory `name` in `home`; nobody else may lend one of there.
    pub fn new(home: Dir, name: OsString) -> Result<Loan> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let lock = File::from(home.open_as(Path::new("."), flags, Mode::empty())?);
        let locked = lock.try_lock();
        locked.map_err(|error| Error::new(format!("flock({:?})", path_of(&home)), error.into()))?;
        Ok(Loan {
            lent: home.open_dir(&name)?,
            home,
            name,
            _lock: lock,
        })
    }

    /// Moves it away.
    pub fn begin(&self, dir: &Dir, name: &OsStr) -> Result<()> {
        self.home.rename(&self.name, dir, name)
    }

    /// Moves it back from where it was put. What is there instead is left: a link would lead the
    /// next borrower outside.
    pub fn end(&self, dir: &Dir, name: &OsStr) -> Result<()> {
        let identity = self.lent.stat(".")?.identity;
        match dir.find(name)? {
            Some(found) if found.identity == identity => dir.rename(name, &self.home, &self.name),
            _ => Ok(()),
        }
    }
}
