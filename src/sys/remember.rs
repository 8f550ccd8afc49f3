//! What of a file this process may not set, remembered in an attribute of it.
//!
//! Root of a user namespace makes no devices, and gives files to those users only that the namespace
//! knows; root in some containers makes no devices either. The device is then an empty file, the
//! owner another, and `remembered.rs` writes what they stand for; whoever asks for metadata is told
//! that.

use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use rustix::fs::AtFlags;
use rustix::fs::Gid;
use rustix::fs::Mode;
use rustix::fs::Uid;
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
use crate::sys::random;
use crate::sys::remembered::Remembered;
use crate::sys::remembered::recall;
use crate::sys::remembered::recall_of;
use crate::sys::remembered::write;

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
    let name = random::name(".whiteout-")?;
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
    if !is_needed() {
        return stat;
    }
    let found = recall_of(stat.kind, &path());
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

#[cfg(test)]
mod tests {
    use super::without_rights;

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
}
