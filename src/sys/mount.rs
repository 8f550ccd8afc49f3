//! Mounts: made first, attached after.
//!
//! The [mount API of Linux 5.2](https://man7.org/linux/man-pages/man2/fsopen.2.html) separates
//! creating a mount from giving it a place, so that the place can be a handle found by
//! [`Root`](crate::sys::Root) and not a path that somebody may have replaced meanwhile.

use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::FsMountFlags;
use rustix::mount::FsOpenFlags;
use rustix::mount::MountAttrFlags;
use rustix::mount::MountPropagationFlags;
use rustix::mount::MoveMountFlags;
use rustix::mount::OpenTreeFlags;
use rustix::mount::UnmountFlags;

use crate::sys::Dir;
use crate::sys::Result;
use crate::sys::error::Call;
use crate::sys::error::path_of;
use crate::sys::error::proc_path;

/// What a mount forbids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Writing.
    pub read_only: bool,
    /// Gaining privileges from set-uid files and file capabilities.
    pub no_suid: bool,
    /// Opening devices.
    pub no_dev: bool,
    /// Executing files.
    pub no_exec: bool,
}

/// A mount, attached or not. One that was never attached is gone when this is dropped.
#[derive(Debug)]
pub struct Mount {
    fd: OwnedFd,
    is_attached: AtomicBool,
}

impl Mount {
    /// Makes a file system of a type with its options; an empty value means a flag.
    pub fn new(kind: &str, options: &[(&str, &str)], attributes: Attributes) -> Result<Mount> {
        let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)
            .call(|| format!("fsopen({kind:?})"))?;
        // What `/proc/mounts` and `df` call it.
        let named = ("source", kind);
        for (key, value) in [named].iter().chain(options) {
            set(&context, key, value).call(|| format!("fsconfig({kind:?}, {key:?}, {value:?})"))?;
        }
        finish(&context, kind, attributes)
    }

    /// Makes a second view on a file or directory, with the mounts below it if `recursive`.
    pub fn bind(source: &Path, depth: Depth) -> Result<Mount> {
        let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        if depth == Depth::Tree {
            flags |= OpenTreeFlags::AT_RECURSIVE;
        }
        let fd = rustix::mount::open_tree(CWD, source, flags)
            .call(|| format!("open_tree({source:?}, OPEN_TREE_CLONE)"))?;
        Ok(Mount::detached(fd))
    }

    /// Makes a second view on it, without the mounts below it.
    ///
    /// Linux before 6.15 does so only with what is attached, so that it is refused everywhere.
    pub fn view(&self) -> Result<Mount> {
        match self.is_attached.load(Ordering::Relaxed) {
            true => Mount::bind_handle(self),
            false => Err(Errno::INVAL)
                .call(|| format!("open_tree({:?}, OPEN_TREE_CLONE)", path_of(self))),
        }
    }

    /// Makes a second view on what a handle on something attached refers to, without the mounts
    /// below it.
    pub fn bind_handle(source: impl AsFd) -> Result<Mount> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        let fd = rustix::mount::open_tree(source.as_fd(), "", flags)
            .call(|| format!("open_tree({:?}, OPEN_TREE_CLONE)", path_of(source.as_fd())))?;
        Ok(Mount::detached(fd))
    }

    /// Attaches it over what a handle refers to.
    pub fn attach(&self, place: impl AsFd) -> Result<()> {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&self.fd, "", place.as_fd(), "", flags).call(|| {
            format!(
                "move_mount({:?}, {:?})",
                path_of(self),
                path_of(place.as_fd())
            )
        })?;
        self.is_attached.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Attaches it on top of this process's root directory: no path leads there, since none begins
    /// with what is mounted on its root. Only its handle does.
    pub fn attach_unseen(&self) -> Result<()> {
        self.attach(Dir::open(Path::new("/"))?)
    }

    /// Forbids more on an attached mount.
    pub fn restrict(&self, attributes: Attributes, depth: Depth) -> Result<()> {
        if attributes == Attributes::default() {
            return Ok(());
        }
        let text = || format!("mount_setattr({:?}, {attributes:?})", path_of(self));
        match set_attributes(self.as_fd(), attributes, depth) {
            // mount_setattr came with Linux 5.12. Remounting does the same for one mount; the
            // mounts below it stay as they are.
            Err(Errno::NOSYS) => remount(self, attributes).call(text),
            done => done.call(text),
        }
    }

    /// Takes it off the place it was attached to, even if files on it are open.
    pub fn detach(&self) -> Result<()> {
        rustix::mount::unmount(proc_path(self), UnmountFlags::DETACH)
            .call(|| format!("umount2({:?}, MNT_DETACH)", path_of(self)))?;
        self.is_attached.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Takes over a mount that has its place already.
    pub(super) fn attached(fd: OwnedFd) -> Mount {
        Mount {
            fd,
            is_attached: AtomicBool::new(true),
        }
    }

    fn detached(fd: OwnedFd) -> Mount {
        Mount {
            fd,
            is_attached: AtomicBool::new(false),
        }
    }

    /// The directory at its top, to walk in before or after it is attached.
    pub fn dir(&self) -> Result<Dir> {
        let fd = self
            .fd
            .try_clone()
            .call(|| format!("dup({:?})", path_of(self)))?;
        Ok(Dir::from_fd(fd))
    }
}

impl AsFd for Mount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether the mounts below a mount are meant too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Only the mount itself.
    One,
    /// All mounts below it as well.
    Tree,
}

/// Keeps every mount of this namespace from telling other namespaces of changes, and from hearing
/// of theirs.
pub fn make_private() -> Result<()> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags).call(|| r#"mount("/", MS_PRIVATE | MS_REC)"#.to_owned())
}

/// Keeps every mount of this namespace from telling other namespaces of changes.
pub fn make_follower() -> Result<()> {
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags).call(|| r#"mount("/", MS_SLAVE | MS_REC)"#.to_owned())
}

/// Makes an attached mount `/` of this mount namespace and lets go of all else.
pub fn pivot_into(root: &Dir) -> Result<()> {
    rustix::process::fchdir(root).call(|| format!("fchdir({:?})", path_of(root)))?;
    // The old root ends up on top of the new one, where it is taken off again: no directory to
    // put it in is needed (pivot_root(2), "pivot_root(".", ".")").
    rustix::process::pivot_root(".", ".").call(|| r#"pivot_root(".", ".")"#.to_owned())?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)
        .call(|| r#"umount2(".", MNT_DETACH)"#.to_owned())?;
    rustix::process::chdir("/").call(|| r#"chdir("/")"#.to_owned())
}

/// Makes a directory `/` of this process, where no mount can be made so.
pub fn change_root(root: &Dir) -> Result<()> {
    rustix::process::fchdir(root).call(|| format!("fchdir({:?})", path_of(root)))?;
    rustix::process::chroot(".").call(|| r#"chroot(".")"#.to_owned())?;
    rustix::process::chdir("/").call(|| r#"chdir("/")"#.to_owned())
}

pub(super) fn set(context: &OwnedFd, key: &str, value: &str) -> rustix::io::Result<()> {
    match value {
        "" => rustix::mount::fsconfig_set_flag(context, key),
        value => rustix::mount::fsconfig_set_string(context, key, value),
    }
}

pub(super) fn finish(context: &OwnedFd, kind: &str, attributes: Attributes) -> Result<Mount> {
    rustix::mount::fsconfig_create(context)
        .call(|| format!("fsconfig({kind:?}, FSCONFIG_CMD_CREATE)"))?;
    let flags = MountAttrFlags::from_bits_retain(attributes.bits());
    let fd = rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, flags)
        .call(|| format!("fsmount({kind:?}, {attributes:?})"))?;
    Ok(Mount::detached(fd))
}

impl Attributes {
    fn bits(self) -> u32 {
        let mut flags = MountAttrFlags::empty();
        flags.set(MountAttrFlags::MOUNT_ATTR_RDONLY, self.read_only);
        flags.set(MountAttrFlags::MOUNT_ATTR_NOSUID, self.no_suid);
        flags.set(MountAttrFlags::MOUNT_ATTR_NODEV, self.no_dev);
        flags.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, self.no_exec);
        flags.bits()
    }
}

fn set_attributes(
    mount: BorrowedFd<'_>,
    attributes: Attributes,
    depth: Depth,
) -> rustix::io::Result<()> {
    let change = libc::mount_attr {
        attr_set: u64::from(attributes.bits()),
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH
        | match depth {
            Depth::One => 0,
            Depth::Tree => libc::AT_RECURSIVE,
        };
    // SAFETY: the descriptor is open, the path is a constant ended by NUL, and the structure is
    // alive for the call and as long as the length says.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const change,
            size_of_val(&change),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

fn remount(mount: &Mount, attributes: Attributes) -> rustix::io::Result<()> {
    use rustix::mount::MountFlags;
    let mut flags = MountFlags::BIND;
    flags.set(MountFlags::RDONLY, attributes.read_only);
    flags.set(MountFlags::NOSUID, attributes.no_suid);
    flags.set(MountFlags::NODEV, attributes.no_dev);
    flags.set(MountFlags::NOEXEC, attributes.no_exec);
    rustix::mount::mount_remount(proc_path(mount), flags, "")
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;

    use super::*;

    #[test]
    fn what_is_not_attached_has_no_second_view_on_any_kernel() {
        let file = File::open("/").unwrap();
        let error = Mount::detached(file.into()).view().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
