//! A directory by handle, and what can be done to the names in it.

use std::ffi::CString;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::sys::FileKind;
use crate::sys::Owner;
use crate::sys::Result;
use crate::sys::Stat;
use crate::sys::Timestamp;
use crate::sys::error::Call;
use crate::sys::error::Error;
use crate::sys::error::path_of;
use crate::sys::error::proc_path;
use crate::sys::remember;

/// An open directory.
///
/// Every method takes the name of something directly in it and never follows a symbolic link of
/// that name, so nobody who changes the tree meanwhile can lead a call elsewhere. The name `.`
/// means the directory itself; a name with a `/` in it is refused.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name.
    pub name: OsString,
    /// What it was when the directory was read.
    pub kind: FileKind,
}

/// What [`Dir::make_node`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A named pipe.
    Fifo,
    /// A socket's name.
    Socket,
    /// A character device with its major and minor number.
    CharDevice(u32, u32),
    /// A block device with its major and minor number.
    BlockDevice(u32, u32),
}

impl Node {
    fn is_device(self) -> bool {
        matches!(self, Node::CharDevice(..) | Node::BlockDevice(..))
    }

    fn parts(self) -> (rustix::fs::FileType, u32, u32) {
        use rustix::fs::FileType;
        match self {
            Node::Fifo => (FileType::Fifo, 0, 0),
            Node::Socket => (FileType::Socket, 0, 0),
            Node::CharDevice(major, minor) => (FileType::CharacterDevice, major, minor),
            Node::BlockDevice(major, minor) => (FileType::BlockDevice, major, minor),
        }
    }
}

pub(super) const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// How much of a directory one call lists: most fit.
const LISTING_BYTES: usize = 32 << 10;

impl Dir {
    /// Opens a directory of the host; symbolic links in the path are followed.
    pub fn open(path: &Path) -> Result<Dir> {
        let fd = rustix::fs::open(path, DIRECTORY, Mode::empty())
            .call(|| format!("open({path:?}, O_DIRECTORY)"))?;
        Ok(Dir { fd })
    }

    /// Opens the directory that the last name of a path of the host is in; gives that name too.
    pub fn parent_of(path: &Path) -> Result<(Dir, OsString)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::invalid(format!("open({path:?})")));
        };
        // A name alone is in the working directory.
        let parent = match parent.as_os_str().is_empty() {
            true => Path::new("."),
            false => parent,
        };
        Ok((Dir::open(parent)?, name.to_owned()))
    }

    /// Takes a descriptor that refers to a directory.
    pub fn from_fd(fd: OwnedFd) -> Dir {
        Dir { fd }
    }

    /// Makes a second handle on the same directory.
    pub fn try_clone(&self) -> Result<Dir> {
        let fd = self
            .fd
            .try_clone()
            .call(|| self.text("dup", Path::new("")))?;
        Ok(Dir { fd })
    }

    /// Metadata of a name; fails where there is none.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> Result<Stat> {
        let name = plain(name.as_ref())?;
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            .map(|raw| self.complete(raw, name))
            .call(|| self.text("fstatat", name))
    }

    /// Metadata of a name, or nothing where there is none.
    pub fn find(&self, name: impl AsRef<OsStr>) -> Result<Option<Stat>> {
        let name = plain(name.as_ref())?;
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            found => found
                .map(|raw| Some(self.complete(raw, name)))
                .call(|| self.text("fstatat", name)),
        }
    }

    fn complete(&self, raw: rustix::fs::Stat, name: &Path) -> Stat {
        remember::complete(raw.into(), || proc_path(&self.fd).join(name))
    }

    /// Reads all names, without `.` and `..`, in the order the file system gives them.
    pub fn entries(&self) -> Result<Vec<DirEntry>> {
        let text = || format!("getdents({:?})", path_of(&self.fd));
        let mut found = Vec::new();
        // The handle itself is only a place (O_PATH); reading needs one of its own.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = self.open_as(Path::new("."), flags, Mode::empty())?;
        let mut buffer = Vec::with_capacity(LISTING_BYTES);
        let mut listing = rustix::fs::RawDir::new(fd, buffer.spare_capacity_mut());
        while let Some(entry) = listing.next() {
            let entry = entry.call(text)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                rustix::fs::FileType::Unknown => self.stat(name)?.kind,
                known => FileKind::of(known),
            };
            let name = name.to_owned();
            found.push(DirEntry { name, kind });
        }
        Ok(found)
    }

    /// Opens a file for reading; a named pipe without a writer does not block it. Whoever does not
    /// know from [`Dir::stat`] that it is a regular file takes
    /// [`Root::open_file`](crate::sys::Root::open_file).
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        self.open_as(plain(name.as_ref())?, flags, Mode::empty())
            .map(File::from)
    }

    /// Opens a directory in this one.
    pub fn open_dir(&self, name: impl AsRef<OsStr>) -> Result<Dir> {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        self.open_as(plain(name.as_ref())?, flags, Mode::empty())
            .map(Dir::from_fd)
    }

    /// Creates a new empty file with exactly this mode and opens it for writing.
    pub fn create_file(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<File> {
        let name = name.as_ref();
        let file = self.create_private_file(name)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))
            .call(|| self.text("fchmod", Path::new(name)))?;
        Ok(file)
    }

    /// Creates a new empty file that at most its owner can open, and opens it for writing: its
    /// mode is still to be set.
    pub fn create_private_file(&self, name: impl AsRef<OsStr>) -> Result<File> {
        let name = plain(name.as_ref())?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        self.open_as(name, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
    }

    /// Creates a directory with exactly this mode.
    pub fn make_dir(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<()> {
        let name = name.as_ref();
        self.make_private_dir(name)?;
        self.set_mode(name, mode)
    }

    /// Creates a directory that at most its owner can enter: its mode is still to be set.
    pub fn make_private_dir(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = plain(name.as_ref())?;
        rustix::fs::mkdirat(&self.fd, name, Mode::RWXU).call(|| self.text("mkdirat", name))
    }

    /// Creates a device, a named pipe or a socket's name with exactly this mode. A device that this
    /// process may not make is noted where it would be.
    pub fn make_node(&self, name: impl AsRef<OsStr>, node: Node, mode: u32) -> Result<()> {
        let name = plain(name.as_ref())?;
        let made = match self.try_node(name, node) {
            Err(errno) if node.is_device() && remember::applies(errno) => {
                self.create_file(name, 0o600)?;
                let (kind, major, minor) = node.parts();
                let path = proc_path(&self.fd).join(name);
                remember::device(&path, FileKind::of(kind), (major, minor))
            }
            made => made,
        };
        made.call(|| format!("mknodat({:?}, {node:?})", path_of(&self.fd).join(name)))?;
        self.set_mode(name, mode)
    }

    /// Creates a device that works, with exactly this mode.
    pub fn make_device(&self, name: impl AsRef<OsStr>, node: Node, mode: u32) -> Result<()> {
        let name = plain(name.as_ref())?;
        self.try_node(name, node)
            .call(|| format!("mknodat({:?}, {node:?})", path_of(&self.fd).join(name)))?;
        self.set_mode(name, mode)
    }

    fn try_node(&self, name: &Path, node: Node) -> rustix::io::Result<()> {
        let (kind, major, minor) = node.parts();
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(&self.fd, name, kind, Mode::RUSR | Mode::WUSR, device)
    }

    /// Creates a symbolic link; the target is only text.
    pub fn symlink(&self, target: &Path, name: impl AsRef<OsStr>) -> Result<()> {
        let name = plain(name.as_ref())?;
        rustix::fs::symlinkat(target, &self.fd, name)
            .call(|| format!("symlinkat({target:?}, {:?})", path_of(&self.fd).join(name)))
    }

    /// Reads a symbolic link.
    pub fn read_link(&self, name: impl AsRef<OsStr>) -> Result<PathBuf> {
        let name = plain(name.as_ref())?;
        rustix::fs::readlinkat(&self.fd, name, Vec::new())
            .map(|target| PathBuf::from(OsString::from_vec(target.into_bytes())))
            .call(|| self.text("readlinkat", name))
    }

    /// Gives a file a second name, here or in another directory of the same file system.
    pub fn link(&self, name: impl AsRef<OsStr>, to: &Dir, new: impl AsRef<OsStr>) -> Result<()> {
        let (name, new) = (plain(name.as_ref())?, plain(new.as_ref())?);
        rustix::fs::linkat(&self.fd, name, &to.fd, new, AtFlags::empty())
            .call(|| self.two_names("linkat", name, to, new))
    }

    /// Moves a name, here or to another directory, over what is there.
    pub fn rename(&self, name: impl AsRef<OsStr>, to: &Dir, new: impl AsRef<OsStr>) -> Result<()> {
        let (name, new) = (plain(name.as_ref())?, plain(new.as_ref())?);
        rustix::fs::renameat(&self.fd, name, &to.fd, new)
            .call(|| self.two_names("renameat", name, to, new))
    }

    /// Removes a name that is not a directory.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = plain(name.as_ref())?;
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()).call(|| self.text("unlinkat", name))
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = plain(name.as_ref())?;
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR).call(|| self.text("rmdir", name))
    }

    /// Sets user and group; on a file this clears set-uid and set-gid, so the mode comes after.
    pub fn set_owner(&self, name: impl AsRef<OsStr>, owner: Owner) -> Result<()> {
        let name = plain(name.as_ref())?;
        let uid = rustix::fs::Uid::from_raw(owner.uid);
        let gid = rustix::fs::Gid::from_raw(owner.gid);
        let set = rustix::fs::chownat(
            &self.fd,
            name,
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        );
        remember::set_owner(set, owner, || proc_path(&self.fd).join(name))
            .call(|| format!("fchownat({:?}, {owner:?})", path_of(&self.fd).join(name)))
    }

    /// Sets the permission bits; fails on a symbolic link, which has none.
    pub fn set_mode(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<()> {
        let name = plain(name.as_ref())?;
        let changed = match change_mode(&self.fd, name, mode) {
            // fchmodat2 exists since Linux 6.6; a handle on the file itself does the same.
            Err(Errno::NOSYS | Errno::PERM) => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let handle = self.open_as(name, flags, Mode::empty())?;
                rustix::fs::chmod(proc_path(&handle), Mode::from_raw_mode(mode))
            }
            done => done,
        };
        changed.call(|| format!("fchmodat({:?}, {mode:o})", path_of(&self.fd).join(name)))
    }

    /// Sets the time of last modification, and with it the time of last access.
    pub fn set_modified(&self, name: impl AsRef<OsStr>, modified: Timestamp) -> Result<()> {
        let name = plain(name.as_ref())?;
        let times = rustix::fs::Timestamps {
            last_access: modified.spec(),
            last_modification: modified.spec(),
        };
        rustix::fs::utimensat(&self.fd, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .call(|| self.text("utimensat", name))
    }

    pub(super) fn open_as(&self, name: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        rustix::fs::openat(&self.fd, name, flags, mode).call(|| self.text("openat", name))
    }

    pub(super) fn text(&self, call: &str, name: &Path) -> String {
        format!("{call}({:?})", path_of(&self.fd).join(name))
    }

    fn two_names(&self, call: &str, name: &Path, to: &Dir, new: &Path) -> String {
        let (from, to) = (path_of(&self.fd).join(name), path_of(&to.fd).join(new));
        format!("{call}({from:?}, {to:?})")
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Refuses what is more than one name, since the kernel would walk it outside of any root.
pub(super) fn plain(name: &OsStr) -> Result<&Path> {
    let refused = name.is_empty() || name == ".." || name.as_bytes().contains(&b'/');
    if refused {
        return Err(Error::invalid(format!("openat({name:?})")));
    }
    Ok(Path::new(name))
}

/// `fchmodat2`, which has one number on all machines; `libc` does not know it on each.
const FCHMODAT2: libc::c_long = 452;

/// Sets the permission bits of a name without following it.
fn change_mode(dir: &OwnedFd, name: &Path, mode: u32) -> rustix::io::Result<()> {
    let name = CString::new(name.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
    // SAFETY: the descriptor is open, and the name ends with NUL and lives for the call.
    let result = unsafe {
        libc::syscall(
            FCHMODAT2,
            dir.as_raw_fd(),
            name.as_ptr(),
            mode,
            libc::AT_SYMLINK_NOFOLLOW,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}
