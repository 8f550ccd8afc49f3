//! Becoming root of a user namespace: all of rbuild, so that the files it unpacks, copies and packs
//! have the owners they should.
//!
//! [`enter`] starts this program again. The new process makes the namespace, since only one with a
//! single thread may, waits until this one has had its numbers mapped, and becomes rbuild.

use std::ffi::CString;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use crate::sandbox::Error;
use crate::sandbox::ExitStatus;
use crate::sandbox::ranges;
use crate::sandbox::ranges::Row;
use crate::sys;
use crate::sys::Owner;
use crate::sys::birth;
use crate::sys::birth::Launch;
use crate::sys::channel::Channel;
use crate::sys::family;
use crate::sys::id;
use crate::sys::mount;
use crate::sys::namespace;
use crate::sys::passed;
use crate::sys::process;
use crate::sys::process::Child;

/// What the process is called until it becomes rbuild again.
pub(super) const NAME: &str = "rbuild: rootless";

/// The number of the file through which the outside says that the numbers are mapped.
const CHANNEL_FILE: i32 = 3;

/// What the outside says.
const MAPPED: &[u8] = b"mapped";
const SINGLE: &[u8] = b"single";

/// How rbuild is started again.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, its name first.
    pub args: Vec<OsString>,
    /// Its environment.
    pub env: Vec<(OsString, OsString)>,
}

/// Runs rbuild as root of a user namespace, and tells how it ended.
///
/// # Errors
/// [`Error::UserNamespace`] if none can be made.
pub fn enter(entry: &Entry) -> Result<ExitStatus, Error> {
    let (channel, inside) = Channel::pair().map_err(Error::Start)?;
    let child = launch(entry, &inside).map_err(Error::Start)?;
    drop(inside);
    let made = channel.receive().map_err(Error::Start)?;
    if let Some(failed) = made.filter(|message| message.bytes != b"made") {
        let call = String::from_utf8_lossy(&failed.bytes).into_owned();
        child.wait().map_err(Error::Wait)?;
        return Err(Error::UserNamespace { call });
    }
    let word = match map_ranges(child.pid()) {
        true => MAPPED,
        false => SINGLE,
    };
    passed::leave_to(child.pidfd().map_err(Error::Signal)?);
    // If it is gone, waiting tells why.
    let _ = channel.send(word, &[]);
    child
        .wait()
        .map(|ended| ExitStatus::of(ended, None))
        .map_err(Error::Wait)
}

/// Takes a signal that was sent to this process and to the one that became root through it, as to
/// a group of processes, for one. For whoever has caught signals.
pub fn take_signals_once() {
    passed::take_once();
}

fn launch(entry: &Entry, inside: &Channel) -> sys::Result<Child> {
    let text = |text: &OsStr| {
        let invalid = |_| sys::Error::new("execve()", io::ErrorKind::InvalidInput.into());
        CString::new(text.as_bytes()).map_err(invalid)
    };
    let mut args = vec![text(NAME.as_ref())?];
    for arg in &entry.args {
        args.push(text(arg)?);
    }
    let mut env = Vec::new();
    for (name, value) in &entry.env {
        env.push(text(&[name.as_os_str(), value].join(OsStr::new("=")))?);
    }
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let files = [
        stdin.as_fd(),
        stdout.as_fd(),
        stderr.as_fd(),
        inside.as_fd(),
    ];
    birth::launch(&Launch {
        program: &entry.program,
        args: &args,
        env: &env,
        files: &files,
    })
}

/// Has the ranges mapped that the machine gives this user; tells whether there are any.
fn map_ranges(pid: u32) -> bool {
    let owner = id::effective();
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let passwd = read("/etc/passwd");
    let name = ranges::name_of(&passwd, owner.uid);
    let users = ranges::map(&read("/etc/subuid"), name, owner.uid, owner.uid);
    let groups = ranges::map(&read("/etc/subgid"), name, owner.uid, owner.gid);
    match (users, groups) {
        (Some(users), Some(groups)) => {
            map_with("newuidmap", pid, &users) && map_with("newgidmap", pid, &groups)
        }
        _ => false,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the machine's own programs decide which numbers a user may have"
)]
fn map_with(program: &str, pid: u32, rows: &[Row]) -> bool {
    let numbers = rows
        .iter()
        .flat_map(|(inside, outside, count)| [inside, outside, count]);
    let done = Command::new(program)
        .arg(pid.to_string())
        .args(numbers.map(ToString::to_string))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    done.is_ok_and(|status| status.success())
}

/// Makes the namespace and becomes rbuild in it; returns only if that failed.
pub(super) fn become_root(args: impl Iterator<Item = OsString>) -> i32 {
    let channel = Channel::from_fd(process::adopt(CHANNEL_FILE));
    let owner = id::effective();
    if let Err(error) = namespace::own_users() {
        // If nobody listens any more, nobody needs to know.
        let _ = channel.send(error.in_one_line().as_bytes(), &[]);
        return 1;
    }
    if channel.send(b"made", &[]).is_err() {
        return 1;
    }
    let Ok(Some(word)) = channel.receive() else {
        return 1;
    };
    let mapped = match word.bytes.as_slice() {
        MAPPED => Ok(()),
        _ => map_one(owner),
    };
    drop(channel);
    let ready = mapped
        .and_then(|()| id::become_root())
        .and_then(|()| mount::make_private())
        .and_then(|()| process::signal_at_parents_end(process::TERMINATE));
    if let Err(error) = ready {
        report(&error);
        return 1;
    }
    process::reset_signals();
    let text = |text: OsString| CString::new(text.as_bytes()).ok();
    let args: Vec<CString> = args.filter_map(text).collect();
    let error = family::execute_same(&args);
    report(&error);
    1
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

#[expect(
    clippy::print_stderr,
    reason = "there is nobody yet who could report it"
)]
fn report(error: &sys::Error) {
    eprintln!("error: cannot become root of a user namespace: {error}");
}
