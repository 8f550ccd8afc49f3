//! A process that another may see, and what is in its folder of `/proc`.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::ResolveFlags;
use rustix::io::Errno;

use crate::sys::proc_self::Asker;
use crate::sys::proc_self::Found;
use crate::sys::proc_self::Wish;
use crate::sys::proc_self::name::Kind;
use crate::sys::proc_self::name::Whose;
use crate::sys::proc_self::status::Status;
use crate::sys::proc_self::status::value;

/// The flags of an open file that a process asks for; others say how its path is walked.
pub(super) const OF_FILE: OFlags = OFlags::ACCMODE
    .union(OFlags::TRUNC)
    .union(OFlags::APPEND)
    .union(OFlags::NONBLOCK)
    .union(OFlags::DIRECTORY);

/// How a folder is opened for what is in it.
pub(super) const FOLDER: OFlags = HANDLE.union(OFlags::DIRECTORY);

/// How something is opened to know what it is.
const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// The devices of number 1 that are the same for whoever opens them: null, zero, full, random and
/// urandom.
const HARMLESS: [u32; 5] = [3, 5, 7, 8, 9];

/// The numbers of devices that are terminals of programs (`pts`).
const TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;

/// A process that another may see.
pub(super) struct Shown<'a> {
    /// Its folder: what is there is its own even if another has its number by now.
    folder: OwnedFd,
    asker: &'a Asker,
    is_other: bool,
}

impl<'a> Shown<'a> {
    /// Looks for a process; nothing if there is none in the same root directory.
    pub(super) fn to(asker: &'a Asker, whose: &Whose) -> Option<Shown<'a>> {
        let number = match whose {
            Whose::Own | Whose::Threads => asker.process,
            Whose::Of(number) => *number,
        };
        let folder = format!("/proc/{number}");
        let folder = rustix::fs::open(folder, FOLDER, Mode::empty()).ok()?;
        let shown = Shown {
            folder,
            asker,
            is_other: number != asker.process,
        };
        (shown.says("root").ok()? == asker.root).then_some(shown)
    }

    /// Finds what is in its folder; nothing if that is not shown.
    pub(super) fn find(&self, path: &str, wish: Wish) -> Option<rustix::io::Result<Found>> {
        let kind = Kind::of(path)?;
        if self.is_other && kind != Kind::Public && !self.is_roots() {
            return None;
        }
        match (kind, wish) {
            (Kind::Link, Wish::Open { flags }) => Some(self.open_link(path, flags)),
            (Kind::Link, Wish::ReadLink { .. }) => Some(self.read_link(path)),
            (_, Wish::ReadLink { .. }) => Some(Err(Errno::INVAL)),
            (Kind::Folder, Wish::Open { .. }) => None,
            (Kind::File | Kind::Public, Wish::Open { flags }) => {
                // Only the process itself may name its threads, as the kernel sees to.
                let names = path == "comm" || path.ends_with("/comm");
                let access = match names && !self.is_other {
                    true => flags & OFlags::ACCMODE,
                    false => OFlags::RDONLY,
                };
                open_file((&self.folder, path), flags, access)
            }
        }
    }

    /// Opens again what the process has open, its program, or a directory that it is in.
    pub(super) fn open_link(&self, link: &str, flags: OFlags) -> rustix::io::Result<Found> {
        if flags.contains(OFlags::CREATE | OFlags::EXCL) {
            return Err(Errno::EXIST);
        }
        if flags.contains(OFlags::NOFOLLOW) {
            return Err(Errno::LOOP);
        }
        let target = Target::of(&self.folder, link)?;
        if flags.contains(OFlags::PATH) {
            return Ok(Found::File(target.handle));
        }
        let asked = flags & OF_FILE;
        self.check(&target, link, asked)?;
        target.open(asked).map(Found::File)
    }

    /// Fails unless the process may have a file opened for it. What is in its root file system, and
    /// no device, it can open itself. All else it must have open like this already: what came from
    /// outside to be read, nobody is to write.
    fn check(&self, target: &Target, link: &str, asked: OFlags) -> rustix::io::Result<()> {
        let stat = rustix::fs::fstat(&target.handle)?;
        let (major, minor) = (
            rustix::fs::major(stat.st_rdev),
            rustix::fs::minor(stat.st_rdev),
        );
        let may = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile | FileType::Directory
                if target.place.starts_with(&self.asker.root) =>
            {
                true
            }
            FileType::RegularFile | FileType::Fifo => self.has_open(target, link, asked),
            FileType::CharacterDevice if major == 1 && HARMLESS.contains(&minor) => true,
            FileType::CharacterDevice if TERMINALS.contains(&major) => {
                self.has_open(target, link, asked)
            }
            FileType::Socket => return Err(Errno::NXIO),
            _ => false,
        };
        may.then_some(()).ok_or(Errno::ACCESS)
    }

    /// Tells whether the process has this very file open, in a way that allows what is asked.
    fn has_open(&self, target: &Target, link: &str, asked: OFlags) -> bool {
        let about = link.rsplit_once("fd/").and_then(|(before, number)| {
            let path = format!("{before}fdinfo/{number}");
            About::read(&self.folder, &path)
        });
        let (Some(about), Some(own)) = (about, target.about()) else {
            return false;
        };
        let (has, asked) = (about.flags & OFlags::ACCMODE, asked & OFlags::ACCMODE);
        about.is_of_same(&own)
            && !about.flags.contains(OFlags::PATH)
            && (has == asked || has == OFlags::RDWR)
    }

    /// Tells what a link says, as the process sees it.
    fn read_link(&self, link: &str) -> rustix::io::Result<Found> {
        let place = self.says(link)?;
        let inside = place.strip_prefix(&self.asker.root);
        if let Ok(inside) = inside {
            return Ok(Found::Link(Path::new("/").join(inside)));
        }
        // A pipe's is no path, a device's is the same everywhere, and a file in memory has a name.
        let has_no_place = place.is_relative()
            || place.starts_with("/dev")
            || place.to_string_lossy().starts_with("/memfd:");
        // What is not below the root directory has no name there.
        let place = has_no_place.then_some(place).ok_or(Errno::NOENT)?;
        Ok(Found::Link(place))
    }

    /// What the kernel says of a link to this process.
    fn says(&self, link: &str) -> rustix::io::Result<PathBuf> {
        let said = rustix::fs::readlinkat(&self.folder, link, Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(said.into_bytes())))
    }

    /// Tells whether it is root in all ways, as this process is.
    fn is_roots(&self) -> bool {
        let status = read(&self.folder, "status");
        status.is_some_and(|status| Status::new(&status).is_roots())
    }
}

/// What a link led to when it was looked at, whatever the process makes of it meanwhile.
struct Target {
    handle: OwnedFd,
    /// Its path as this process sees it.
    place: PathBuf,
}

impl Target {
    fn of(folder: &OwnedFd, link: &str) -> rustix::io::Result<Target> {
        let handle = rustix::fs::openat(folder, link, HANDLE, Mode::empty())?;
        let said = rustix::fs::readlink(own("fd", &handle), Vec::new())?;
        let place = PathBuf::from(OsString::from_vec(said.into_bytes()));
        Ok(Target { handle, place })
    }

    /// Opens it, which is never waited for: who reads a pipe may come only when this one answers.
    fn open(&self, asked: OFlags) -> rustix::io::Result<OwnedFd> {
        let now = OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let file = rustix::fs::open(own("fd", &self.handle), asked | now, Mode::empty())?;
        if !asked.contains(OFlags::NONBLOCK) {
            let flags = rustix::fs::fcntl_getfl(&file)?;
            rustix::fs::fcntl_setfl(&file, flags.difference(OFlags::NONBLOCK))?;
        }
        Ok(file)
    }

    fn about(&self) -> Option<About> {
        let folder = rustix::fs::open("/proc/self", FOLDER, Mode::empty()).ok()?;
        About::read(&folder, &format!("fdinfo/{}", self.handle.as_raw_fd()))
    }
}

/// The path of something of this process's own file.
fn own(what: &str, file: &OwnedFd) -> String {
    format!("/proc/self/{what}/{}", file.as_raw_fd())
}

/// What the kernel says of an open file, all of the same one, whatever a process opens meanwhile.
#[derive(Debug, PartialEq, Eq)]
struct About {
    flags: OFlags,
    mount: String,
    /// From Linux 5.14 on.
    inode: String,
}

impl About {
    fn read(folder: &OwnedFd, path: &str) -> Option<About> {
        let text = read(folder, path)?;
        let value = |key| value(&text, key).map(|value| value.trim().to_owned());
        let flags = u32::from_str_radix(&value("flags:")?, 8).ok()?;
        Some(About {
            flags: OFlags::from_bits_retain(flags),
            mount: value("mnt_id:")?,
            inode: value("ino:")?,
        })
    }

    fn is_of_same(&self, other: &About) -> bool {
        (&self.mount, &self.inode) == (&other.mount, &other.inode)
    }
}

fn read(folder: &OwnedFd, path: &str) -> Option<String> {
    let how = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, path, how, Mode::empty()).ok()?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut File::from(file), &mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Opens a file of the kernel's in a way that is within `access`; nothing if it is no file, or not there.
pub(super) fn open_file(
    (folder, path): (&OwnedFd, &str),
    flags: OFlags,
    access: OFlags,
) -> Option<rustix::io::Result<Found>> {
    let how = access | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = rustix::fs::openat2(folder, path, how, Mode::empty(), within).ok()?;
    let kind = rustix::fs::fstat(&file).ok()?.st_mode;
    if !FileType::from_raw_mode(kind).is_file() {
        return None;
    }
    let is_allowed = flags & OFlags::ACCMODE == access;
    Some(match flags.contains(OFlags::DIRECTORY) {
        true => Err(Errno::NOTDIR),
        false if is_allowed => Ok(Found::File(file)),
        false => Err(Errno::ACCESS),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::path::Path;

    use super::*;

    const READ: OFlags = OFlags::RDONLY;
    const WRITE: OFlags = OFlags::WRONLY;

    fn asker(root: &Path) -> Asker {
        Asker {
            process: std::process::id(),
            thread: std::process::id(),
            root: root.to_owned(),
        }
    }

    /// This process, as if it were below the root directory of `asker`.
    fn shown(asker: &Asker) -> Shown<'_> {
        let folder = rustix::fs::open("/proc/self", FOLDER, Mode::empty()).unwrap();
        Shown {
            folder,
            asker,
            is_other: false,
        }
    }

    fn link(file: &impl AsFd) -> String {
        format!("fd/{}", file.as_fd().as_raw_fd())
    }

    fn handle(path: impl rustix::path::Arg) -> OwnedFd {
        rustix::fs::open(path, HANDLE, Mode::empty()).unwrap()
    }

    /// How opening what a file is again ends.
    fn again(shown: &Shown<'_>, file: &impl AsFd, flags: OFlags) -> rustix::io::Result<()> {
        shown.open_link(&link(file), flags).map(drop)
    }

    #[test]
    fn what_is_outside_is_used_as_it_is_open_and_in_no_other_way() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let asker = asker(root.path());
        let shown = shown(&asker);
        let path = outside.path().join("file");
        fs::write(&path, "outside").unwrap();
        let read = File::open(&path).unwrap();
        let both = File::options().read(true).write(true).open(&path).unwrap();
        assert_eq!(again(&shown, &read, READ), Ok(()));
        assert_eq!(again(&shown, &read, WRITE), Err(Errno::ACCESS));
        assert_eq!(again(&shown, &read, OFlags::RDWR), Err(Errno::ACCESS));
        assert_eq!(again(&shown, &both, WRITE), Ok(()));
        assert_eq!(again(&shown, &handle(&path), READ), Err(Errno::ACCESS));
        let folder = handle(outside.path());
        assert_eq!(again(&shown, &folder, READ), Err(Errno::ACCESS));
        let (_reader, writer) = std::io::pipe().unwrap();
        assert_eq!(again(&shown, &writer, WRITE), Ok(()));
        assert_eq!(again(&shown, &writer, READ), Err(Errno::ACCESS));
        assert_eq!(fs::read(&path).unwrap(), b"outside");
    }

    #[test]
    fn another_file_of_the_same_number_gives_no_right() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let asker = asker(root.path());
        let shown = shown(&asker);
        let (path, other) = (outside.path().join("file"), outside.path().join("other"));
        fs::write(&path, "outside").unwrap();
        let mut file = OwnedFd::from(File::open(&path).unwrap());
        let number = link(&file);
        let target = Target::of(&shown.folder, &number).unwrap();
        rustix::io::dup2(File::create(&other).unwrap(), &mut file).unwrap();
        let refused = shown.check(&target, &number, WRITE);
        assert_eq!(refused, Err(Errno::ACCESS));
        // What was looked at is what is opened.
        let mut again = File::from(target.open(READ).unwrap());
        assert_eq!(std::io::read_to_string(&mut again).unwrap(), "outside");
        File::from(file).write_all(b"other").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"outside");
    }

    #[test]
    fn devices_are_not_opened_for_others() {
        let root = Path::new("/");
        let asker = asker(root);
        let shown = shown(&asker);
        for (device, opened) in [
            ("/dev/null", Ok(())),
            ("/dev/urandom", Ok(())),
            ("/dev/tty", Err(Errno::ACCESS)),
            ("/dev/ptmx", Err(Errno::ACCESS)),
        ] {
            assert_eq!(again(&shown, &handle(device), READ), opened, "{device}");
        }
    }

    #[test]
    fn links_are_opened_as_links_are() {
        let root = tempfile::tempdir().unwrap();
        let asker = asker(root.path());
        let shown = shown(&asker);
        let path = root.path().join("file");
        let file = File::create(&path).unwrap();
        // Below its root directory a process could open it itself.
        assert_eq!(again(&shown, &file, READ), Ok(()));
        assert_eq!(again(&shown, &handle(&path), OFlags::RDWR), Ok(()));
        let once = OFlags::CREATE | OFlags::EXCL | WRITE;
        assert_eq!(again(&shown, &file, once), Err(Errno::EXIST));
        let itself = OFlags::NOFOLLOW | READ;
        assert_eq!(again(&shown, &file, itself), Err(Errno::LOOP));
        let missing = shown.open_link("fd/1000000", READ).map(drop);
        assert_eq!(missing, Err(Errno::NOENT));
        let Ok(Found::Link(place)) = shown.read_link(&link(&file)) else {
            panic!("it has no place");
        };
        assert_eq!(place, Path::new("/file"));
    }
}
