//! What `/proc` tells a process, and above all of itself, where no `/proc` can be mounted: calls that
//! open a file by its path, or read a link, are answered here if they name the kernel's own.
//!
//! Only files are given and what their links say, never a directory of `/proc`: from there a process
//! would come to the root directories of others. Of the others it sees those in its own. Answered is
//! who acts as root, for so does this process; to others, as without this, the names do not exist.
//!
//! So it is with devices that could not be made, of which there is one each for everybody: these are
//! opened for all whose memory this process may read.

mod device;
mod name;

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::ResolveFlags;
use rustix::io::Errno;

use crate::sys::Result;
use crate::sys::abi::ABIS;
use crate::sys::abi::LookupForm;
use crate::sys::caller;
use crate::sys::caller::Caller;
use crate::sys::notify;
use crate::sys::notify::Answer;
use crate::sys::notify::Call;
use crate::sys::notify::Listener;
use crate::sys::proc_self::name::Kind;
use crate::sys::proc_self::name::Name;
use crate::sys::proc_self::name::Whose;
use crate::sys::seccomp;
use crate::sys::seccomp::REFER;

pub use crate::sys::proc_self::device::Device;

/// The flags of an open file that a process asks for; others say how its path is walked.
const OF_FILE: OFlags = OFlags::ACCMODE
    .union(OFlags::TRUNC)
    .union(OFlags::APPEND)
    .union(OFlags::NONBLOCK)
    .union(OFlags::DIRECTORY)
    .union(OFlags::PATH);

/// How a folder is opened for what is in it.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A call that looks something up by its path.
#[derive(Debug, Clone, Copy)]
struct Lookup {
    path: u64,
    wish: Wish,
}

/// What for.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Open { flags: OFlags },
    ReadLink { buffer: u64, size: usize },
}

/// What was found, before it is sure that it was the right process that was looked at.
enum Found {
    File(OwnedFd),
    Link(PathBuf),
}

/// Who asks.
struct Asker {
    process: u32,
    thread: u32,
    root: PathBuf,
}

/// Has calls of this thread, and of all that comes of it, that open a file or read a link wait for an
/// answer; gives where they arrive, for [`answer`]. Takes `CAP_SYS_ADMIN`, or that new privileges are
/// forbidden.
pub fn refer() -> Result<OwnedFd> {
    let filter = seccomp::by_number(ABIS.map(|abi| {
        let lookups = abi.lookups.iter().map(|call| (call.number, REFER));
        (abi.architecture, lookups.collect())
    }));
    notify::install(&filter)
}

/// Answers the calls that arrive until the last process of a sandbox has ended, for which `devices`
/// could not be made.
pub fn answer(listener: OwnedFd, devices: &[Device]) {
    let listener = Listener::new(listener);
    while let Some(call) = listener.next() {
        let answer = look_up(&listener, &call, devices).unwrap_or(Answer::GoOn);
        listener.answer(&call, &answer);
    }
}

/// Finds the answer to a call; nothing if that is for the kernel to say.
fn look_up(listener: &Listener, call: &Call, devices: &[Device]) -> Option<Answer> {
    let lookup = Lookup::of(call)?;
    if !may_be_kernels(call.process, lookup.path) {
        return None;
    }
    let caller = Caller::new(call.process).ok()?;
    let path = caller.read_path(lookup.path).ok()?;
    let found = match (Name::of(&path)?, lookup.wish) {
        (Name::Device(name), Wish::Open { flags }) => {
            device::open(devices, &name, flags)?.map(Found::File)
        }
        (name, wish) => find(&Asker::of(&caller, call.process)?, &name, wish)?,
    };
    // Nothing is given to, or written to the memory of, another process that has its number.
    if !listener.waits(call) {
        return None;
    }
    Some(match (found, lookup.wish) {
        (Err(errno), _) => Answer::Failure(errno.raw_os_error()),
        (Ok(Found::File(file)), Wish::Open { flags }) => Answer::File {
            file,
            closes_on_exec: flags.contains(OFlags::CLOEXEC),
        },
        (Ok(Found::Link(path)), Wish::ReadLink { buffer, size }) => {
            let bytes = path.as_os_str().as_bytes();
            let bytes = &bytes[..bytes.len().min(size)];
            match caller.write(buffer, bytes) {
                Ok(()) => Answer::Value(i64::try_from(bytes.len()).ok()?),
                Err(error) => Answer::Failure(error.errno()),
            }
        }
        _ => return None,
    })
}

/// Tells whether a path begins as the kernel's own do: most do not, and are not read.
fn may_be_kernels(process: u32, path: u64) -> bool {
    let mut begin = [0; 5];
    let read = caller::peek(process, path, &mut begin);
    read.is_ok() && matches!(&begin, b"/proc" | b"/dev/")
}

/// Finds what a name means to a process; nothing if it has no meaning to it, or not for this.
fn find(asker: &Asker, name: &Name, wish: Wish) -> Option<rustix::io::Result<Found>> {
    match (name, wish) {
        (Name::Standard(number), Wish::Open { flags }) => {
            let own = Shown::to(asker, &Whose::Own)?;
            Some(own.open_link(&format!("fd/{number}"), flags))
        }
        (Name::Itself, Wish::ReadLink { .. }) => {
            Some(Ok(Found::Link(asker.process.to_string().into())))
        }
        (Name::Thread, Wish::ReadLink { .. }) => {
            let path = format!("{}/task/{}", asker.process, asker.thread);
            Some(Ok(Found::Link(path.into())))
        }
        (Name::General(path), Wish::Open { flags }) => {
            let proc = rustix::fs::open("/proc", FOLDER, Mode::empty()).ok()?;
            open_file(&proc, path, flags)
        }
        (Name::Folder(whose), Wish::ReadLink { .. }) => {
            Shown::to(asker, whose).map(|_| Err(Errno::INVAL))
        }
        (Name::Within(whose, path), _) => {
            let path = match whose {
                Whose::Threads => &format!("task/{}/{path}", asker.thread),
                Whose::Own | Whose::Of(_) => path,
            };
            Shown::to(asker, whose)?.find(path, wish)
        }
        _ => None,
    }
}

/// A process that another may see.
struct Shown<'a> {
    /// Its folder: what is there is its own even if another has its number by now.
    folder: OwnedFd,
    asker: &'a Asker,
}

impl<'a> Shown<'a> {
    /// Looks for a process; nothing if there is none in the same root directory.
    fn to(asker: &'a Asker, whose: &Whose) -> Option<Shown<'a>> {
        let number = match whose {
            Whose::Own | Whose::Threads => asker.process,
            Whose::Of(number) => *number,
        };
        let folder = format!("/proc/{number}");
        let folder = rustix::fs::open(folder, FOLDER, Mode::empty()).ok()?;
        let shown = Shown { folder, asker };
        (shown.says("root").ok()? == asker.root).then_some(shown)
    }

    fn find(&self, path: &str, wish: Wish) -> Option<rustix::io::Result<Found>> {
        match (Kind::of(path)?, wish) {
            (Kind::Link, Wish::Open { flags }) => Some(self.open_link(path, flags)),
            (Kind::Link, Wish::ReadLink { .. }) => Some(self.read_link(path)),
            (Kind::File, Wish::ReadLink { .. }) => Some(Err(Errno::INVAL)),
            (Kind::File, Wish::Open { flags }) => open_file(&self.folder, path, flags),
        }
    }

    /// Opens again what a process has open, its program, or a directory that it is in. What is opened
    /// is never waited for: another process that reads may come only when this one answers.
    fn open_link(&self, link: &str, flags: OFlags) -> rustix::io::Result<Found> {
        let asked = flags.intersection(OF_FILE);
        if !self.may_open(link, asked) {
            return Err(Errno::ACCESS);
        }
        let now = OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.folder, link, asked | now, Mode::empty())?;
        if !asked.intersects(OFlags::NONBLOCK | OFlags::PATH) {
            let flags = rustix::fs::fcntl_getfl(&file)?;
            rustix::fs::fcntl_setfl(&file, flags.difference(OFlags::NONBLOCK))?;
        }
        Ok(Found::File(file))
    }

    /// Tells whether what a link leads to is below the root directory, or may be used like this
    /// already: what came from outside to be read, nobody is to write.
    fn may_open(&self, link: &str, asked: OFlags) -> bool {
        if matches!(self.inside(link), Ok(Some(_))) {
            return true;
        }
        let Some(has) = self.open_flags(link) else {
            return false;
        };
        let (mode, asked) = (has & OFlags::ACCMODE, asked & OFlags::ACCMODE);
        !has.contains(OFlags::PATH) && (mode == asked || mode == OFlags::RDWR)
    }

    /// The flags of an open file; nothing of what a process has in another way.
    fn open_flags(&self, link: &str) -> Option<OFlags> {
        let (before, number) = link.rsplit_once("fd/")?;
        let about = format!("{before}fdinfo/{number}");
        let read = OFlags::RDONLY | OFlags::CLOEXEC;
        let about = rustix::fs::openat(&self.folder, about, read, Mode::empty()).ok()?;
        let about = std::io::read_to_string(File::from(about)).ok()?;
        let flags = about.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
        Some(OFlags::from_bits_retain(flags))
    }

    /// Tells what a link says, as the process sees it.
    fn read_link(&self, link: &str) -> rustix::io::Result<Found> {
        let place = self.says(link)?;
        match self.inside(link)? {
            Some(inside) => Ok(Found::Link(Path::new("/").join(inside))),
            // A pipe's is no path, and a device's is the same everywhere.
            None if place.is_relative() || place.starts_with("/dev") => Ok(Found::Link(place)),
            // What is not below the root directory has no name there.
            None => Err(Errno::NOENT),
        }
    }

    /// Where a link leads, as a path below the root directory; nothing if not there.
    fn inside(&self, link: &str) -> rustix::io::Result<Option<PathBuf>> {
        let place = self.says(link)?;
        let inside = place.strip_prefix(&self.asker.root);
        Ok(inside.ok().map(Path::to_owned))
    }

    /// What the kernel says of a link to this process.
    fn says(&self, link: &str) -> rustix::io::Result<PathBuf> {
        let said = rustix::fs::readlinkat(&self.folder, link, Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(said.into_bytes())))
    }
}

/// Opens a file to be read; nothing if it is none, or not there.
fn open_file(folder: &OwnedFd, path: &str, flags: OFlags) -> Option<rustix::io::Result<Found>> {
    let how = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = rustix::fs::openat2(folder, path, how, Mode::empty(), within).ok()?;
    let kind = rustix::fs::fstat(&file).ok()?.st_mode;
    if !rustix::fs::FileType::from_raw_mode(kind).is_file() {
        return None;
    }
    let reads = flags.intersection(OFlags::ACCMODE) == OFlags::RDONLY;
    Some(match flags.contains(OFlags::DIRECTORY) {
        true => Err(Errno::NOTDIR),
        false if reads => Ok(Found::File(file)),
        false => Err(Errno::ACCESS),
    })
}

impl Lookup {
    fn of(call: &Call) -> Option<Lookup> {
        let [one, two, three, four, ..] = call.arguments;
        let abi = ABIS
            .iter()
            .find(|abi| abi.architecture == call.architecture)?;
        let lookup = abi.lookups.iter().find(|it| it.number == call.number)?;
        let open = |flags: u64| Wish::Open {
            flags: OFlags::from_bits_retain(u32::try_from(flags & 0xffff_ffff).unwrap_or(0)),
        };
        let read = |buffer, size: u64| Wish::ReadLink {
            buffer,
            size: usize::try_from(size & 0xffff_ffff).unwrap_or(0),
        };
        let (path, wish) = match lookup.form {
            LookupForm::Open => (one, open(two)),
            LookupForm::OpenAt => (two, open(three)),
            LookupForm::ReadLink => (one, read(two, three)),
            LookupForm::ReadLinkAt => (two, read(three, four)),
        };
        Some(Lookup { path, wish })
    }
}

impl Asker {
    /// Looks who a thread is; nothing if it does not act as root.
    fn of(caller: &Caller, thread: u32) -> Option<Asker> {
        let status = String::from_utf8(caller.said("status")).ok()?;
        let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
        let process = value("Tgid:")?.trim().parse().ok()?;
        // The last of four is for files.
        let user = value("Uid:")?.split_whitespace().last()?;
        let root = caller.read_link("root").ok()?;
        (user == "0").then_some(Asker {
            process,
            thread,
            root,
        })
    }
}
