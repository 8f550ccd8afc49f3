//! Becoming root of a user namespace: all of rbuild, so that the files it unpacks, copies and packs
//! have the owners they should.
//!
//! [`enter`] begins this program anew in the same process, since only one with a single thread may
//! make the namespace. That one starts a helper first, which stays outside and has its numbers
//! mapped, and then becomes rbuild again. No process is left over that signals would have to be
//! passed on to.

mod ranges;
pub(in crate::sandbox) mod unmapped;

use std::convert::Infallible;
use std::ffi::CString;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use crate::sandbox::Error;
use crate::sandbox::rootless::ranges::Row;
use crate::sandbox::spawn::THIS_PROGRAM;
use crate::sys;
use crate::sys::Owner;
use crate::sys::channel::Channel;
use crate::sys::family;
use crate::sys::id;
use crate::sys::keeper;
use crate::sys::mount;
use crate::sys::namespace;
use crate::sys::process;
use crate::sys::process::Child;

/// What the process is called until it becomes rbuild again.
pub(super) const NAME: &str = "rbuild: rootless";

/// What the helper is called.
pub(super) const MAPPER: &str = "rbuild: mapper";

/// The number of the helper's file through which it is told that there is a namespace.
const CHANNEL_FILE: i32 = 3;

/// What the helper is told, and what it answers, if not what a program said.
const MADE: &[u8] = b"made";
const MAPPED: &[u8] = b"mapped";
const SINGLE: &[u8] = b"single";

/// How rbuild goes on.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, its name first.
    pub args: Vec<OsString>,
    /// Its environment.
    pub env: Vec<(OsString, OsString)>,
}

/// Goes on as root of a user namespace, from the beginning of the program and in this process;
/// returns only if that failed.
#[must_use]
pub fn enter(entry: &Entry) -> Error {
    let Err(error) = become_program(entry);
    Error::Start(error)
}

fn become_program(entry: &Entry) -> sys::Result<Infallible> {
    let args = entry.args.iter().skip(1);
    let args = [OsStr::new(NAME)]
        .into_iter()
        .chain(args.map(OsString::as_os_str));
    let args = args.map(text).collect::<sys::Result<Vec<_>>>()?;
    let line = |(name, value): &(OsString, OsString)| {
        text(&[name.as_os_str(), value].join(OsStr::new("=")))
    };
    let env = entry.env.iter().map(line);
    let env = env.collect::<sys::Result<Vec<_>>>()?;
    process::restore_open_files()?;
    Err(process::execute(&entry.program, &args, &env))
}

fn text(text: &OsStr) -> sys::Result<CString> {
    let invalid = |_| sys::Error::new("execve()", io::ErrorKind::InvalidInput.into());
    CString::new(text.as_bytes()).map_err(invalid)
}

/// Makes the namespace and becomes rbuild in it; returns only if that failed.
pub(super) fn become_root(args: impl Iterator<Item = OsString>) -> Error {
    let become_root = || -> Result<Infallible, Failure> {
        let owner = id::effective();
        let mapper = Mapper::start()?;
        namespace::own_users()?;
        match mapper.map()? {
            Numbers::Mapped => {}
            Numbers::Single => map_one(owner)?,
            Numbers::Refused(answer) => return Err(Failure::Ranges(answer)),
        }
        id::become_root()?;
        mount::make_private()?;
        let args = [OsString::from("rbuild")].into_iter().chain(args);
        let args = args
            .map(|arg| text(&arg))
            .collect::<sys::Result<Vec<_>>>()?;
        Err(family::execute_same(&args).into())
    };
    let Err(failure) = become_root();
    match failure {
        Failure::Ranges(answer) => Error::Ranges { answer },
        Failure::Call(error) => Error::UserNamespace {
            call: error.in_one_line(),
        },
    }
}

/// Why there is no namespace.
enum Failure {
    Call(sys::Error),
    /// Some of its numbers are mapped, which cannot be taken back, and others were refused.
    Ranges(String),
}

impl From<sys::Error> for Failure {
    fn from(error: sys::Error) -> Failure {
        Failure::Call(error)
    }
}

/// What became of the numbers of a namespace.
enum Numbers {
    /// All ranges are mapped.
    Mapped,
    /// None is: there are no ranges, or nothing that maps them.
    Single,
    /// Those of users are mapped, those of groups are not: what the program said.
    Refused(String),
}

/// A process outside of the namespace, which may ask the machine's programs for ranges of numbers.
struct Mapper {
    child: Child,
    channel: Channel,
}

impl Mapper {
    fn start() -> sys::Result<Mapper> {
        let (channel, inside) = Channel::pair()?;
        let number = std::process::id().to_string();
        let mut args = vec![text(OsStr::new(MAPPER))?, text(OsStr::new(&number))?];
        // The helper has no environment that would say where they are.
        if let Some((users, groups)) = ranges::mapping_programs() {
            args.extend([text(users.as_os_str())?, text(groups.as_os_str())?]);
        }
        let child = keeper::launch(Path::new(THIS_PROGRAM), &args, &[inside.as_fd()])?;
        Ok(Mapper { child, channel })
    }

    /// Has the numbers of this process mapped, if there are ranges for it.
    fn map(self) -> sys::Result<Numbers> {
        self.channel.send(MADE, &[])?;
        let word = self.channel.receive()?;
        self.child.wait()?;
        Ok(match word {
            None => Numbers::Single,
            Some(word) if word.bytes == MAPPED => Numbers::Mapped,
            Some(word) if word.bytes == SINGLE => Numbers::Single,
            Some(word) => Numbers::Refused(String::from_utf8_lossy(&word.bytes).into_owned()),
        })
    }
}

/// Waits until the process of this number has made its namespace, and has its numbers mapped by the
/// programs that are named with it, if they are; the exit code is for nobody but `ps`.
pub(super) fn map(mut args: impl Iterator<Item = OsString>) -> i32 {
    let channel = Channel::from_fd(process::adopt(CHANNEL_FILE));
    let number = args.next().and_then(|arg| arg.to_str()?.parse().ok());
    let (Some(number), Ok(Some(_made))) = (number, channel.receive()) else {
        return 1;
    };
    let programs = args.next().zip(args.next());
    let numbers = programs.map_or(Numbers::Single, |(users, groups)| {
        map_ranges(number, Path::new(&users), Path::new(&groups))
    });
    let word = match numbers {
        Numbers::Mapped => MAPPED.to_vec(),
        Numbers::Single => SINGLE.to_vec(),
        Numbers::Refused(answer) => answer.into_bytes(),
    };
    // If nobody listens any more, nobody needs to know.
    i32::from(channel.send(&word, &[]).is_err())
}

/// Has the ranges mapped that the machine gives this user, if it gives him any.
fn map_ranges(pid: u32, map_users: &Path, map_groups: &Path) -> Numbers {
    let owner = id::effective();
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let passwd = read("/etc/passwd");
    let name = ranges::name_of(&passwd, owner.uid);
    let users = ranges::map(&read("/etc/subuid"), name, owner.uid, owner.uid);
    let groups = ranges::map(&read("/etc/subgid"), name, owner.uid, owner.gid);
    let Some((users, groups)) = users.zip(groups) else {
        return Numbers::Single;
    };
    if map_with(map_users, pid, &users).is_err() {
        return Numbers::Single;
    }
    match map_with(map_groups, pid, &groups) {
        Ok(()) => Numbers::Mapped,
        Err(answer) => Numbers::Refused(answer),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the machine's own programs decide which numbers a user may have"
)]
fn map_with(program: &Path, pid: u32, rows: &[Row]) -> Result<(), String> {
    let numbers = rows
        .iter()
        .flat_map(|(inside, outside, count)| [inside, outside, count]);
    let done = Command::new(program)
        .arg(pid.to_string())
        .args(numbers.map(ToString::to_string))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    if done.status.success() {
        return Ok(());
    }
    // The answer is one line, which begins with the program's name.
    let said = String::from_utf8_lossy(&done.stderr);
    let first = said.lines().next().map(str::to_owned);
    Err(first.unwrap_or_else(|| format!("{}: {}", program.display(), done.status)))
}

/// Maps the user alone, as root.
fn map_one(owner: Owner) -> sys::Result<()> {
    let write = |path: &str, text: String| {
        fs::write(path, text).map_err(|source| sys::Error::new(format!("write({path:?})"), source))
    };
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("0 {} 1", owner.uid))?;
    write("/proc/self/gid_map", format!("0 {} 1", owner.gid))
}
