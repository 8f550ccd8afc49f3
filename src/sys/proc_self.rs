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
mod shown;
mod status;

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::fs::OFlags;
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
use crate::sys::notify::low;
use crate::sys::proc_self::name::Name;
use crate::sys::proc_self::name::Whose;
use crate::sys::proc_self::shown::FOLDER;
use crate::sys::proc_self::shown::Shown;
use crate::sys::proc_self::shown::open_file;
use crate::sys::proc_self::status::Status;
use crate::sys::seccomp;
use crate::sys::seccomp::REFER;

pub use crate::sys::proc_self::device::Device;

/// What `creat` opens a file with.
const CREATED: OFlags = OFlags::CREATE.union(OFlags::WRONLY).union(OFlags::TRUNC);

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
    ReadLink { buffer: u64, size: i32 },
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
            let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else {
                return Some(Answer::Failure(libc::EINVAL));
            };
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
            open_file((&proc, path), flags, OFlags::RDONLY)
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

impl Lookup {
    fn of(call: &Call) -> Option<Lookup> {
        let [one, two, three, four, ..] = call.arguments;
        let abi = ABIS
            .iter()
            .find(|abi| abi.architecture == call.architecture)?;
        let lookup = abi.lookups.iter().find(|it| it.number == call.number)?;
        let open = |flags: u64| Wish::Open {
            flags: OFlags::from_bits_retain(low(flags)),
        };
        let read = |buffer, size: u64| Wish::ReadLink {
            buffer,
            size: low(size).cast_signed(),
        };
        let (path, wish) = match lookup.form {
            LookupForm::Open => (one, open(two)),
            LookupForm::OpenAt => (two, open(three)),
            LookupForm::Create => (one, Wish::Open { flags: CREATED }),
            LookupForm::ReadLink => (one, read(two, three)),
            LookupForm::ReadLinkAt => (two, read(three, four)),
        };
        Some(Lookup { path, wish })
    }
}

impl Asker {
    /// Looks who a thread is; nothing if it does not act as root.
    fn of(caller: &Caller, thread: u32) -> Option<Asker> {
        let status = caller.said("status");
        let status = String::from_utf8_lossy(&status);
        let status = Status::new(&status);
        let asker = Asker {
            process: status.process()?,
            thread,
            root: caller.read_link("root").ok()?,
        };
        status.opens_as_root().then_some(asker)
    }
}
