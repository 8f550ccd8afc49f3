//! Which extended attributes a change set has, and which of them its layer carries.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::sys::Dir;
use crate::sys::Result;

const CAPABILITY: &str = "security.capability";

/// Attributes by name, sorted.
pub type Attributes = Vec<(OsString, Vec<u8>)>;

/// Reads the attributes of a file that stay with it from change set to change set.
///
/// They are those a program gives a file on purpose: capabilities, access lists, its own. Labels
/// that the host's security modules give every file would differ from machine to machine.
pub fn read(dir: &Dir, name: &OsStr) -> Result<Attributes> {
    let mut found = Vec::new();
    for key in dir.xattrs(name)? {
        if !belongs(&key) {
            continue;
        }
        if let Some(value) = dir.xattr(name, &key)? {
            found.push((key, value));
        }
    }
    Ok(found)
}

/// Reads the attributes that a layer carries: what a program may do. The notes that programs keep
/// in the others, and access lists, are no part of BuildKit's layers either.
pub(super) fn read_packed(dir: &Dir, name: &OsStr) -> Result<Attributes> {
    let mut found = read(dir, name)?;
    found.retain(|(key, _)| key == CAPABILITY);
    Ok(found)
}

fn belongs(key: &OsStr) -> bool {
    let bytes = key.as_bytes();
    match bytes {
        b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default" => true,
        // A PAX record ends its key with the first `=`.
        _ => {
            bytes.starts_with(b"user.")
                && !bytes.starts_with(b"user.overlay.")
                && !bytes.contains(&b'=')
        }
    }
}
