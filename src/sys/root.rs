//! Walking inside a root directory.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::ResolveFlags;
use rustix::fs::StatxFlags;
use rustix::io::Errno;

use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Result;
use crate::sys::Stat;
use crate::sys::dir::DIRECTORY;
use crate::sys::error::Call;
use crate::sys::error::Error;
use crate::sys::error::path_of;
use crate::sys::error::proc_path;
use crate::sys::remember;

/// A directory that is `/` for every walk that starts from it.
///
/// An absolute path, an absolute symbolic link and any number of `..` stay inside, whatever the
/// tree holds and however it changes meanwhile: the kernel walks with
/// [`openat2(RESOLVE_IN_ROOT)`](https://man7.org/linux/man-pages/man2/openat2.2.html) (Linux 5.6).
#[derive(Debug)]
pub struct Root {
    dir: Dir,
}

/// Something found inside a root: a handle that can be looked at, mounted on or reopened.
#[derive(Debug)]
pub struct Handle {
    fd: OwnedFd,
}

impl Root {
    /// Makes a directory of the host a root.
    pub fn open(path: &Path) -> Result<Root> {
        Dir::open(path).map(Root::new)
    }

    /// Makes an open directory a root.
    pub fn new(dir: Dir) -> Root {
        Root { dir }
    }

    /// The directory itself.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Finds what a path leads to, through symbolic links.
    pub fn resolve(&self, path: &Path) -> Result<Handle> {
        let fd = self.walk(path, OFlags::PATH)?;
        Ok(Handle { fd })
    }

    /// Finds what a path names: a symbolic link at its end is not followed.
    pub fn resolve_link(&self, path: &Path) -> Result<Handle> {
        let fd = self.walk(path, OFlags::PATH | OFlags::NOFOLLOW)?;
        Ok(Handle { fd })
    }

    /// Metadata of what a path leads to.
    pub fn stat(&self, path: &Path) -> Result<Stat> {
        self.resolve(path)?.stat()
    }

    /// Metadata of what a path names.
    pub fn lstat(&self, path: &Path) -> Result<Stat> {
        self.resolve_link(path)?.stat()
    }

    /// Opens a regular file for reading. Anything else is refused before it is opened, which alone
    /// can make a device do something: a tree holds what somebody else wished it to.
    pub fn open_file(&self, path: &Path) -> Result<File> {
        let found = self.resolve(path)?;
        match found.stat()?.kind {
            FileKind::File => found.open_file(),
            kind => Err(Error::not_a_file(self.text(path), kind)),
        }
    }

    /// Opens a directory.
    pub fn open_dir(&self, path: &Path) -> Result<Dir> {
        self.walk(path, DIRECTORY).map(Dir::from_fd)
    }

    /// Reads the symbolic link that a path names.
    pub fn read_link(&self, path: &Path) -> Result<PathBuf> {
        let (dir, name) = self.parent(path)?;
        dir.read_link(name)
    }

    /// Finds the directory that a path's last name is in, and that name, which need not exist.
    ///
    /// Fails for paths that end in no name: `/` and those ending in `..`.
    pub fn parent(&self, path: &Path) -> Result<(Dir, OsString)> {
        let Some(Component::Normal(name)) = path.components().next_back() else {
            return Err(Error::invalid(self.text(path)));
        };
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((self.open_dir(parent)?, name.to_owned()))
    }

    /// Removes what a path names and all below it; nothing there is no failure.
    pub fn remove_all(&self, path: &Path) -> Result<()> {
        match self.parent(path) {
            Ok((dir, name)) => dir.remove_all(name),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn walk(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        loop {
            let flags = flags | OFlags::CLOEXEC;
            match rustix::fs::openat2(&self.dir, path, flags, Mode::empty(), inside) {
                // A rename somewhere while `..` was walked: the kernel could not tell whether it
                // is still inside, and asks to try again.
                Err(Errno::AGAIN | Errno::INTR) => {}
                walked => return walked.call(|| self.text(path)),
            }
        }
    }

    fn text(&self, path: &Path) -> String {
        format!(
            "openat2({:?}, {path:?}, RESOLVE_IN_ROOT)",
            path_of(&self.dir)
        )
    }
}

impl Handle {
    pub(super) fn from_fd(fd: OwnedFd) -> Handle {
        Handle { fd }
    }

    /// Tells whether both lie in one mount.
    pub(super) fn is_on_mount_of(&self, other: &Handle) -> Result<bool> {
        let mount = |handle: &Handle| {
            let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::statx(&handle.fd, "", flags, StatxFlags::MNT_ID)
                .map(|found| found.stx_mnt_id)
                .call(|| format!("statx({:?})", path_of(&handle.fd)))
        };
        Ok(mount(self)? == mount(other)?)
    }

    /// Metadata of the file itself.
    pub fn stat(&self) -> Result<Stat> {
        rustix::fs::statat(&self.fd, "", AtFlags::EMPTY_PATH)
            .map(|raw| remember::complete(raw.into(), || proc_path(&self.fd)))
            .call(|| format!("fstatat({:?})", path_of(&self.fd)))
    }

    /// Opens it for reading: the same file, whatever its name leads to by now.
    fn open_file(&self) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::open(proc_path(&self.fd), flags, Mode::empty())
            .map(File::from)
            .call(|| format!("open({:?})", path_of(&self.fd)))
    }

    /// Uses it as a directory; fails at the first use if it is none.
    pub fn into_dir(self) -> Dir {
        Dir::from_fd(self.fd)
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
