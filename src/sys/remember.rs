//! What of a file this process may not set, remembered in an attribute of it.
//!
//! Root of a user namespace makes no devices, and gives files to those users only that the namespace
//! knows; root in some containers makes no devices either. The device is then an empty file, the
//! owner another, and here is written what they stand for; whoever asks for metadata is told that.
//! A symbolic link has no such attribute: its owner is forgotten.

use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use rustix::fs::AtFlags;
use rustix::fs::Gid;
use rustix::fs::Mode;
use rustix::fs::Uid;
use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Handle;
use crate::sys::Node;
use crate::sys::Owner;
use crate::sys::Result;
use crate::sys::Stat;
use crate::sys::error::Call;
use crate::sys::error::proc_path;
use crate::sys::id;
use crate::sys::id::Capabilities;

/// Attributes with this beginning are not the file's own.
pub(super) const PREFIX: &[u8] = b"user.rbuild.";

const KEY: &str = "user.rbuild.stat";

/// The longest text below.
const TEXT_MAX: usize = 64;

/// What a file stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Remembered {
    pub(super) owner: Option<Owner>,
    pub(super) device: Option<(FileKind, (u32, u32))>,
}

/// Whether a file system was met that refuses what this process may do elsewhere.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Tells whether there may be something that this process cannot set, and so remembers: who has not
/// all rights of root, or works on a file system that refuses some. Rights do not change while the
/// process lives.
pub fn is_needed() -> bool {
    static NEEDED: OnceLock<bool> = OnceLock::new();
    let needed = ["MKNOD", "SYS_ADMIN"]
        .into_iter()
        .filter_map(Capabilities::named);
    let has_all = || Capabilities::union(needed).are_held();
    REFUSED.load(Ordering::Relaxed)
        || *NEEDED.get_or_init(|| !(id::is_initial_user_namespace() && has_all()))
}

/// Tries whether a directory takes every file, and remembers from now on if it does not: one in a
/// container's own file system takes no whiteout.
pub fn try_in(place: &Path) -> Result<()> {
    if is_needed() {
        return Ok(());
    }
    let dir = Dir::open(place)?;
    let name = format!(".whiteout-{}", std::process::id());
    match dir.make_device(&name, Node::CharDevice(0, 0), 0) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            REFUSED.store(true, Ordering::Relaxed);
            Ok(())
        }
        made => made.and_then(|()| dir.remove_file(&name)),
    }
}

/// Tells whether a refusal means that something is to be remembered instead.
pub(super) fn applies(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::PERM) && is_needed()
}

/// Puts what is remembered of the file at `path` in its place.
pub(super) fn complete(mut stat: Stat, path: impl FnOnce() -> PathBuf) -> Stat {
    if !is_needed() || !can_remember(stat.kind) {
        return stat;
    }
    let found = recall(&path());
    stat.owner = found.owner.unwrap_or(stat.owner);
    if let Some((kind, device)) = found.device {
        (stat.kind, stat.device) = (kind, device);
    }
    stat
}

/// Looks at how an owner was set: remembers one that could not be, and forgets one that no longer
/// holds.
pub(super) fn set_owner(
    set: rustix::io::Result<()>,
    to: Owner,
    path: impl FnOnce() -> PathBuf,
) -> rustix::io::Result<()> {
    match set {
        Ok(()) if is_needed() => owner(&path(), None),
        Err(errno) if applies(errno) => owner(&path(), Some(to)),
        set => set,
    }
}

/// Gives a file to another user or group as `chown` does, and remembers what cannot be set.
///
/// As with `chown`, a program that ran with its owner's rights, or with some of root's, no longer
/// does: this comes first, so that nobody is ever given such a program.
pub(super) fn give(handle: &Handle, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    let path = proc_path(handle);
    let stat = handle.stat()?;
    if stat.kind == FileKind::File {
        let mode = without_rights(stat.mode);
        if mode != stat.mode {
            let set = rustix::fs::chmod(&path, Mode::from_raw_mode(mode));
            set.call(|| format!("chmod({path:?}, {mode:o})"))?;
        }
        match rustix::fs::removexattr(&path, "security.capability") {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno).call(|| format!("removexattr({path:?})")),
        }
    }
    let owner = Owner {
        uid: uid.unwrap_or(stat.owner.uid),
        gid: gid.unwrap_or(stat.owner.gid),
    };
    let numbers = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    let set = rustix::fs::chownat(handle, "", Some(numbers.0), Some(numbers.1), flags);
    set_owner(set, owner, || path.clone()).call(|| format!("chown({path:?}, {owner:?})"))
}

/// The permission bits that a file keeps when it gets another owner.
fn without_rights(mode: u32) -> u32 {
    const SET_UID: u32 = 0o4000;
    const SET_GID: u32 = 0o2000;
    const GROUP_EXECUTES: u32 = 0o10;
    match mode & GROUP_EXECUTES {
        // Without the right to execute it means something else.
        0 => mode & !SET_UID,
        _ => mode & !(SET_UID | SET_GID),
    }
}

/// Remembers an owner; none forgets the one that was remembered.
fn owner(path: &Path, owner: Option<Owner>) -> rustix::io::Result<()> {
    let known = recall(path);
    if known.owner == owner {
        return Ok(());
    }
    write(path, Remembered { owner, ..known })
}

/// Remembers what device a file stands for.
pub(super) fn device(path: &Path, kind: FileKind, number: (u32, u32)) -> rustix::io::Result<()> {
    let device = Some((kind, number));
    write(
        path,
        Remembered {
            device,
            ..recall(path)
        },
    )
}

fn can_remember(kind: FileKind) -> bool {
    matches!(kind, FileKind::File | FileKind::Directory)
}

fn recall(path: &Path) -> Remembered {
    let mut text = [0; TEXT_MAX];
    let found = match is_handle(path) {
        true => rustix::fs::getxattr(path, KEY, &mut text),
        false => rustix::fs::lgetxattr(path, KEY, &mut text),
    };
    let found = found
        .ok()
        .and_then(|length| std::str::from_utf8(text.get(..length)?).ok());
    found.map(parse).unwrap_or_default()
}

fn write(path: &Path, remembered: Remembered) -> rustix::io::Result<()> {
    let text = text(&remembered);
    let (flags, value) = (XattrFlags::empty(), text.as_bytes());
    let written = match (is_handle(path), text.is_empty()) {
        (true, true) => rustix::fs::removexattr(path, KEY),
        (true, false) => rustix::fs::setxattr(path, KEY, value, flags),
        (false, true) => rustix::fs::lremovexattr(path, KEY),
        (false, false) => rustix::fs::lsetxattr(path, KEY, value, flags),
    };
    match written {
        // What is neither file nor directory has no attribute.
        Err(Errno::PERM | Errno::NODATA) => Ok(()),
        written => written,
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
    use super::Remembered;
    use super::parse;
    use super::text;
    use super::without_rights;
    use crate::sys::FileKind;
    use crate::sys::Owner;

    #[test]
    fn rights_do_not_go_to_another_owner() {
        for (mode, kept) in [
            (0o755, 0o755),
            (0o4755, 0o755),
            (0o6755, 0o755),
            (0o2644, 0o2644),
        ] {
            assert_eq!(without_rights(mode), kept, "{mode:o}");
        }
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
