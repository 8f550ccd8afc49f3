//! Which extended attributes a layer carries.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::sys::Dir;
use crate::sys::Result;

/// Attributes by name, sorted.
pub type Attributes = Vec<(OsString, Vec<u8>)>;

/// Reads the attributes of a file that go into a layer.
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

/// Tells whether an attribute names users and groups of the host.
pub(super) fn is_access_list(key: &OsStr) -> bool {
    key.as_bytes().starts_with(b"system.posix_acl_")
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
