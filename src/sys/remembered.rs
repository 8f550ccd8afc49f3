//! How what is remembered of a file is written at it.
//!
//! A file and a directory take attributes of a user's, and there it is text. All else takes only
//! those of the kernel's; of these, the capabilities that a program gives mean nothing there, and a
//! user namespace may set them. So the owner of a symbolic link is written as capabilities that no
//! program ever gave.

use std::ffi::OsStr;
use std::path::Path;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::sys::FileKind;
use crate::sys::Owner;
use crate::sys::Stat;

/// Attributes with this beginning are not the file's own.
const PREFIX: &[u8] = b"user.rbuild.";

const KEY: &str = "user.rbuild.stat";

/// The longest text below.
const TEXT_MAX: usize = 64;

/// What holds the owner where there is no text.
const CAPABILITIES: &str = "security.capability";

/// The form in which they are set (`VFS_CAP_REVISION_2` in `linux/capability.h`), and what marks
/// those that are an owner: many more than there are.
const REVISION: u32 = 0x0200_0000;
const MARKS: [u32; 2] = [0x7262_7569, 0x6c64_6f77];

/// The longest form of capabilities, which the kernel gives to whoever is in another namespace.
const CAPABILITIES_MAX: usize = 24;

/// What a file stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Remembered {
    pub(super) owner: Option<Owner>,
    pub(super) device: Option<(FileKind, (u32, u32))>,
}

/// Reads what a file stands for.
pub(super) fn recall(path: &Path) -> Remembered {
    in_words(path)
        .or_else(|| in_capabilities(path))
        .unwrap_or_default()
}

/// Reads what a file of a known kind stands for.
pub(super) fn recall_of(kind: FileKind, path: &Path) -> Remembered {
    let found = match takes_words(kind) {
        true => in_words(path),
        false => in_capabilities(path),
    };
    found.unwrap_or_default()
}

/// Writes what a file stands for. Where there is no place for it, it is forgotten.
pub(super) fn write(path: &Path, remembered: Remembered) -> rustix::io::Result<()> {
    let text = text(&remembered);
    let value = (!text.is_empty()).then_some(text.as_bytes());
    match set(path, KEY, value) {
        Err(Errno::PERM) => write_capabilities(path, remembered.owner),
        written => written,
    }
}

/// Tells whether an attribute is not a file's own, but holds what is remembered.
pub(super) fn is_remembered(path: &Path, key: &OsStr) -> bool {
    key.as_encoded_bytes().starts_with(PREFIX)
        || (key == CAPABILITIES && in_capabilities(path).is_some())
}

fn takes_words(kind: FileKind) -> bool {
    matches!(kind, FileKind::File | FileKind::Directory)
}

fn in_words(path: &Path) -> Option<Remembered> {
    let mut text = [0; TEXT_MAX];
    let length = get(path, KEY, &mut text).ok()?;
    std::str::from_utf8(text.get(..length)?).ok().map(parse)
}

fn in_capabilities(path: &Path) -> Option<Remembered> {
    let mut bytes = [0; CAPABILITIES_MAX];
    let length = get(path, CAPABILITIES, &mut bytes).ok()?;
    Some(Remembered {
        owner: Some(owner(bytes.get(..length)?)?),
        device: None,
    })
}

fn write_capabilities(path: &Path, owner: Option<Owner>) -> rustix::io::Result<()> {
    let is_in_words = |stat: rustix::fs::Stat| takes_words(Stat::from(stat).kind);
    let found = match is_handle(path) {
        true => rustix::fs::stat(path),
        false => rustix::fs::lstat(path),
    };
    // A program is never given any.
    if found.is_ok_and(is_in_words) {
        return Ok(());
    }
    let value = owner.map(capabilities);
    match set(path, CAPABILITIES, value.as_ref().map(<[u8; 20]>::as_slice)) {
        Err(Errno::PERM | Errno::OPNOTSUPP) => Ok(()),
        written => written,
    }
}

/// An owner as capabilities: their form, then two sets of 64 bits, of which each has its lower half
/// first.
fn capabilities(owner: Owner) -> [u8; 20] {
    let numbers = [REVISION, MARKS[0], MARKS[1], owner.uid, owner.gid];
    let mut bytes = [0; 20];
    for (into, number) in bytes.chunks_exact_mut(4).zip(numbers) {
        into.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

/// The owner that capabilities mean; nothing if they are a program's.
fn owner(capabilities: &[u8]) -> Option<Owner> {
    let mut numbers = capabilities
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| u32::from_le_bytes(*bytes));
    // The kernel may have made another form of it.
    let _form = numbers.next()?;
    if [numbers.next()?, numbers.next()?] != MARKS {
        return None;
    }
    let (uid, gid) = (numbers.next()?, numbers.next()?);
    Some(Owner { uid, gid })
}

fn get(path: &Path, key: &str, value: &mut [u8]) -> rustix::io::Result<usize> {
    match is_handle(path) {
        true => rustix::fs::getxattr(path, key, value),
        false => rustix::fs::lgetxattr(path, key, value),
    }
}

/// Sets an attribute, or removes it.
fn set(path: &Path, key: &str, value: Option<&[u8]>) -> rustix::io::Result<()> {
    let flags = XattrFlags::empty();
    let set = match (is_handle(path), value) {
        (true, None) => rustix::fs::removexattr(path, key),
        (true, Some(value)) => rustix::fs::setxattr(path, key, value, flags),
        (false, None) => rustix::fs::lremovexattr(path, key),
        (false, Some(value)) => rustix::fs::lsetxattr(path, key, value, flags),
    };
    match set {
        Err(Errno::NODATA) => Ok(()),
        set => set,
    }
}

/// Tells whether a path is that of an open file itself, which is a link to be followed.
fn is_handle(path: &Path) -> bool {
    path.parent() == Some(Path::new("/proc/self/fd"))
}

/// As in `owner=33:33 char=5:1`.
fn text(remembered: &Remembered) -> String {
    let mut words = Vec::new();
    if let Some(Owner { uid, gid }) = remembered.owner {
        words.push(format!("owner={uid}:{gid}"));
    }
    if let Some((kind, (major, minor))) = remembered.device {
        let kind = match kind {
            FileKind::BlockDevice => "block",
            _ => "char",
        };
        words.push(format!("{kind}={major}:{minor}"));
    }
    words.join(" ")
}

fn parse(text: &str) -> Remembered {
    let mut found = Remembered::default();
    for word in text.split(' ') {
        let numbers = |text: &str| {
            let (one, other) = text.split_once(':')?;
            Some((one.parse::<u32>().ok()?, other.parse::<u32>().ok()?))
        };
        let Some((key, value)) = word.split_once('=') else {
            continue;
        };
        let Some((one, other)) = numbers(value) else {
            continue;
        };
        match key {
            "owner" => {
                found.owner = Some(Owner {
                    uid: one,
                    gid: other,
                });
            }
            "char" => found.device = Some((FileKind::CharDevice, (one, other))),
            "block" => found.device = Some((FileKind::BlockDevice, (one, other))),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_gives_is_no_owner() {
        let given = Owner { uid: 33, gid: 0 };
        let mut bytes = capabilities(given).to_vec();
        assert_eq!(owner(&bytes), Some(given));
        // Whose root may give them comes behind.
        bytes.extend(1000_u32.to_le_bytes());
        assert_eq!(owner(&bytes), Some(given));
        bytes[4] ^= 1;
        assert_eq!(owner(&bytes), None);
        assert_eq!(owner(&[]), None);
    }

    #[test]
    fn what_stands_at_a_link_is_no_attribute_of_it() {
        let may_set = crate::sys::id::Capabilities::named("SETFCAP").unwrap();
        if !may_set.are_held() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        let remembered = Remembered {
            owner: Some(Owner { uid: 33, gid: 34 }),
            device: None,
        };
        write(&link, remembered).unwrap();
        assert_eq!(recall(&link), remembered);
        assert_eq!(recall_of(FileKind::Symlink, &link), remembered);
        let dir = crate::sys::Dir::open(home.path()).unwrap();
        assert!(dir.xattrs("link").unwrap().is_empty());
        write(&link, Remembered::default()).unwrap();
        assert_eq!(recall(&link), Remembered::default());
    }

    #[test]
    fn what_is_written_is_read() {
        let owner = Some(Owner { uid: 33, gid: 0 });
        for device in [
            None,
            Some((FileKind::CharDevice, (5, 1))),
            Some((FileKind::BlockDevice, (8, 0))),
        ] {
            for owner in [None, owner] {
                let remembered = Remembered { owner, device };
                assert_eq!(parse(&text(&remembered)), remembered);
            }
        }
        assert_eq!(parse("nonsense owner=x:1 char=1"), Remembered::default());
    }
}
