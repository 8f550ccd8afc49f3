//! The two ways to say that a file below is gone.
//!
//! On disk, in the upper directory of an overlay, it is a character device 0/0 in the file's place,
//! and a directory that hides all below it has an attribute
//! ([overlayfs](https://docs.kernel.org/filesystems/overlayfs.html), "whiteouts and opaque
//! directories"). In a layer it is an empty file whose name has a prefix
//! ([image-spec, layer](https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts)).

use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Node;
use crate::sys::Result;
use crate::sys::Stat;

/// The device that stands for a removed file.
pub const DEVICE: Node = Node::CharDevice(0, 0);

/// The name in a directory's layer entries that hides all below that directory.
pub const OPAQUE_NAME: &str = ".wh..wh..opq";

const PREFIX: &[u8] = b".wh.";
const META_PREFIX: &[u8] = b".wh..wh.";

/// Attributes with these beginnings belong to overlayfs and never enter or leave a layer.
const OVERLAY_ATTRIBUTES: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// What overlayfs marks a directory with that hides all below it: as root, and in a user namespace.
const OPAQUE_ATTRIBUTES: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

/// What a name in a layer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// A file.
    File,
    /// The file of this name is gone.
    Gone(&'a OsStr),
    /// All below the directory it is in is gone.
    Opaque,
    /// A mark that other storage drivers left behind and nobody reads.
    Ignored,
    /// A whiteout of no name.
    Invalid,
}

/// Reads the last component of an entry's path.
pub(super) fn meaning(name: &OsStr) -> Meaning<'_> {
    let bytes = name.as_bytes();
    let Some(hidden) = bytes.strip_prefix(PREFIX) else {
        return Meaning::File;
    };
    match hidden {
        _ if name == OPAQUE_NAME => Meaning::Opaque,
        _ if bytes.starts_with(META_PREFIX) => Meaning::Ignored,
        b"" | b"." | b".." => Meaning::Invalid,
        _ => Meaning::Gone(OsStr::from_bytes(hidden)),
    }
}

/// Gives the name by which a layer says that `name` is gone.
pub(super) fn hiding(name: &OsStr) -> OsString {
    let mut hiding = OsStr::from_bytes(PREFIX).to_owned();
    hiding.push(name);
    hiding
}

/// Tells whether a file of a change set stands for a removed one.
pub fn is_whiteout(stat: &Stat) -> bool {
    stat.kind == FileKind::CharDevice && stat.device == (0, 0)
}

/// Tells whether an attribute belongs to overlayfs.
pub fn is_overlay_attribute(key: &OsStr) -> bool {
    OVERLAY_ATTRIBUTES
        .iter()
        .any(|prefix| key.as_bytes().starts_with(prefix))
}

/// Tells whether a directory of a change set hides all below it.
pub fn is_opaque(dir: &Dir) -> Result<bool> {
    for key in OPAQUE_ATTRIBUTES {
        if dir.xattr(".", OsStr::new(key))?.as_deref() == Some(b"y") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes a directory of a change set hide all below it.
///
/// Both attributes are set where both can be, so that whoever mounts it sees one: only root may
/// set the first, and not every file system has the second.
pub fn make_opaque(dir: &Dir, name: impl AsRef<OsStr>) -> Result<()> {
    let set = |key| dir.set_xattr(&name, OsStr::new(key), b"y");
    let [one, other] = OPAQUE_ATTRIBUTES.map(set);
    one.or(other)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::Meaning;
    use super::hiding;
    use super::meaning;

    #[test]
    fn reads_what_it_writes() {
        assert_eq!(
            meaning(&hiding(OsStr::new("a"))),
            Meaning::Gone(OsStr::new("a"))
        );
        for (name, expected) in [
            ("a", Meaning::File),
            (".wh", Meaning::File),
            (".wh.", Meaning::Invalid),
            (".wh..", Meaning::Invalid),
            (".wh...", Meaning::Invalid),
            (".wh....", Meaning::Gone(OsStr::new("..."))),
            (".wh..wh..opq", Meaning::Opaque),
            (".wh..wh.plnk", Meaning::Ignored),
        ] {
            assert_eq!(meaning(OsStr::new(name)), expected, "{name}");
        }
    }
}
