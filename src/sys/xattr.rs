//! Extended attributes.
//!
//! Calls that take a directory handle and a name came with Linux 6.13; until those are everywhere,
//! the handle's path under `/proc/self/fd` leads to the same place just as safely.

use std::ffi::CStr;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::sys::Dir;
use crate::sys::Result;
use crate::sys::dir::plain;
use crate::sys::error::Call;
use crate::sys::error::proc_path;
use crate::sys::remembered::is_remembered;

/// The kernel's limit for one value and for one list of names (`XATTR_SIZE_MAX`).
const SIZE_MAX: usize = 65_536;

impl Dir {
    /// The names of a file's attributes, sorted; none where the file system has no attributes.
    pub fn xattrs(&self, name: impl AsRef<OsStr>) -> Result<Vec<OsString>> {
        let path = self.proc_name(name.as_ref())?;
        let mut list = vec![0; 256];
        let length = loop {
            match rustix::fs::llistxattr(&path, list.as_mut_slice()) {
                Ok(length) => break length,
                Err(Errno::OPNOTSUPP) => break 0,
                Err(Errno::RANGE) if list.len() < SIZE_MAX => list.resize(SIZE_MAX, 0),
                Err(errno) => {
                    return Err(errno).call(|| self.text("llistxattr", name.as_ref().as_ref()));
                }
            }
        };
        let mut names: Vec<OsString> = list[..length]
            .split_inclusive(|byte| *byte == 0)
            .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
            .map(CStr::to_bytes)
            .map(OsStr::from_bytes)
            .filter(|key| !is_remembered(&path, key))
            .map(OsStr::to_owned)
            .collect();
        names.sort();
        Ok(names)
    }

    /// The value of one attribute, or nothing where the file does not have it.
    pub fn xattr(&self, name: impl AsRef<OsStr>, key: &OsStr) -> Result<Option<Vec<u8>>> {
        let path = self.proc_name(name.as_ref())?;
        let mut value = vec![0; 256];
        loop {
            match rustix::fs::lgetxattr(&path, key, value.as_mut_slice()) {
                Ok(length) => {
                    value.truncate(length);
                    return Ok(Some(value));
                }
                Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
                Err(Errno::RANGE) if value.len() < SIZE_MAX => value.resize(SIZE_MAX, 0),
                Err(errno) => return Err(errno).call(|| self.attribute("lgetxattr", name, key)),
            }
        }
    }

    /// Sets an attribute, whether the file has it already or not.
    pub fn set_xattr(&self, name: impl AsRef<OsStr>, key: &OsStr, value: &[u8]) -> Result<()> {
        let path = self.proc_name(name.as_ref())?;
        rustix::fs::lsetxattr(&path, key, value, XattrFlags::empty())
            .call(|| self.attribute("lsetxattr", name, key))
    }

    /// Removes an attribute that the file has.
    pub fn remove_xattr(&self, name: impl AsRef<OsStr>, key: &OsStr) -> Result<()> {
        let path = self.proc_name(name.as_ref())?;
        rustix::fs::lremovexattr(&path, key).call(|| self.attribute("lremovexattr", name, key))
    }

    fn proc_name(&self, name: &OsStr) -> Result<PathBuf> {
        Ok(proc_path(self).join(plain(name)?))
    }

    fn attribute(&self, call: &str, name: impl AsRef<OsStr>, key: &OsStr) -> String {
        format!("{} {key:?}", self.text(call, name.as_ref().as_ref()))
    }
}
