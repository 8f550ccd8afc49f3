//! Which extended attributes belong to a file's content.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::sys::Dir;

/// What a program may do that its user may not.
pub(in crate::worker) const CAPABILITY: &str = "security.capability";

/// Gives the attributes that are copied with a file and count as its content, by name. What cannot
/// be read is left out, as BuildKit does.
pub(in crate::worker) fn read(dir: &Dir, name: &OsStr) -> Vec<(OsString, Vec<u8>)> {
    let keys = dir
        .xattrs(name)
        .unwrap_or_default()
        .into_iter()
        .filter(|key| is_content(key));
    let read = |key: OsString| {
        let value = dir.xattr(name, &key).ok().flatten()?;
        Some((key, value))
    };
    keys.filter_map(read).collect()
}

/// Labels of the host's security modules, access lists of its users and marks of overlayfs say
/// nothing of the file; capabilities do.
fn is_content(key: &OsStr) -> bool {
    let key = key.as_bytes();
    let starts = |prefix: &str| key.starts_with(prefix.as_bytes());
    key == CAPABILITY.as_bytes()
        || !(starts("security.")
            || starts("system.")
            || starts("trusted.overlay.")
            || starts("user.overlay."))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::is_content;

    #[test]
    fn capabilities_are_content_and_labels_are_not() {
        for (key, expected) in [
            ("security.capability", true),
            ("user.mime_type", true),
            ("trusted.x", true),
            ("security.selinux", false),
            ("system.posix_acl_access", false),
            ("trusted.overlay.opaque", false),
            ("user.overlay.origin", false),
        ] {
            assert_eq!(is_content(OsStr::new(key)), expected, "{key}");
        }
    }
}
