//! A process that watches over others: whatever they start stays below it, whoever dies on the way.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::WaitOptions;

use crate::sys::Error;
use crate::sys::Owner;
use crate::sys::Result;
use crate::sys::error::Call;
use crate::sys::id;
use crate::sys::process;
use crate::sys::process::Child;
use crate::sys::process::Ended;

/// How often it is looked again whether processes that were killed are gone.
const PAUSE: Duration = Duration::from_millis(1);

/// How long a killed process may take to end; one that the kernel does not let go, as when a disk
/// does not answer, takes for ever.
const TO_DIE: Duration = Duration::from_secs(60);

/// The signal by which a watching process is told to end all it watches over; the last real-time
/// signal, which programs do not use.
pub const END: i32 = 64;

/// Which side of a fork this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The process that was made.
    Child,
    /// The process that made it, with its number.
    Parent(i32),
}

/// What a watching process heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A process below it ended.
    Child,
    /// It is to end everything.
    End,
    /// A signal that is meant for what it watches over.
    Other(i32),
}

/// Makes this process the one that orphans below it belong to, and asks for [`END`] when the thread
/// that started it ends.
pub fn watch_over() -> Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .call(|| "prctl(PR_SET_CHILD_SUBREAPER)".to_owned())?;
    process::signal_at_parents_end(END)
}

/// Becomes the program that this process is running, from its beginning; returns only if that
/// failed.
pub fn execute_same(args: &[std::ffi::CString]) -> Error {
    use std::os::unix::ffi::OsStrExt;
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment is passed on as it is, unread"
    )]
    let env = std::env::vars_os().filter_map(|(name, value)| {
        let line = [name.as_bytes(), b"=", value.as_bytes()].concat();
        std::ffi::CString::new(line).ok()
    });
    let env: Vec<_> = env.collect();
    process::execute(Path::new("/proc/self/exe"), args, &env)
}

/// Makes a copy of this process, which must have one thread.
pub fn fork() -> Result<Side> {
    // SAFETY: with one thread, nothing is held that the child could wait for in vain.
    match unsafe { libc::fork() } {
        0 => Ok(Side::Child),
        child if child > 0 => Ok(Side::Parent(child)),
        _ => Err(Error::new("fork()", io::Error::last_os_error())),
    }
}

/// Waits for any signal. All are blocked in a process that [`launch`](super::birth::launch) made.
pub fn listen() -> Heard {
    let mut number = 0;
    // SAFETY: both live on this stack, and a full set is a valid set.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigaddset(&raw mut all, END);
        libc::sigwait(&raw const all, &raw mut number);
    }
    match number {
        libc::SIGCHLD => Heard::Child,
        END => Heard::End,
        other => Heard::Other(other),
    }
}

/// Takes leave of a process below this one that has ended; nothing if none has. Fails with
/// `ECHILD` when there are no processes below.
pub fn reap() -> Result<Option<(i32, Ended)>> {
    let waited = rustix::process::wait(WaitOptions::NOHANG).call(|| "wait()".to_owned())?;
    Ok(waited.map(|(pid, status)| {
        let ended = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Ended::Exited(code),
            (None, signal) => Ended::Killed(signal.unwrap_or(libc::SIGKILL)),
        };
        (pid.as_raw_nonzero().get(), ended)
    }))
}

/// Sends a signal to a process directly below this one; one that has ended is no failure.
pub fn signal_child(child: i32, number: i32) {
    // SAFETY: plain numbers; the number of a child is not taken by another before it was reaped.
    unsafe { libc::kill(child, number) };
}

/// Kills all processes below this one, also those that are started meanwhile, and takes leave of
/// them.
pub fn end_all() {
    loop {
        for child in children() {
            signal_child(child, libc::SIGKILL);
        }
        match reap() {
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(PAUSE),
            Err(_) => return,
        }
    }
}

/// The processes directly below this one.
fn children() -> Vec<i32> {
    let own = std::process::id();
    let numbers = |list: String| {
        let numbers = list.split_whitespace().map(str::parse);
        numbers.filter_map(std::result::Result::ok).collect()
    };
    // Not every kernel has the list (CONFIG_PROC_CHILDREN).
    std::fs::read_to_string(format!("/proc/self/task/{own}/children"))
        .map_or_else(|_| children_of(own), numbers)
}

/// Finds the processes directly below another by looking at all.
fn children_of(parent: u32) -> Vec<i32> {
    let is_below = |number: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        // The name, in parentheses, may hold anything; behind it come the state and the parent.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        after.split_whitespace().nth(1) == Some(parent.to_string().as_str())
    };
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(is_below).collect()
}

/// Ends this process as a signal would have: its parent sees the same.
pub fn die_by(number: i32) -> ! {
    let none = rustix::process::Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // The core file, if any, was written by the process that this one stands for.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    process::reset_signals();
    // SAFETY: plain numbers.
    unsafe {
        libc::kill(libc::getpid(), number);
        libc::_exit(128 + number)
    }
}

/// Kills the processes whose root directory is the given one or lies below it, until there are none:
/// what a watching process left behind that was itself killed.
///
/// # Errors
/// If `/proc` cannot be read, if some may not be killed (all others are), or if one does not end. A
/// process that became another user's with its rights is overlooked by who may not see that user's
/// processes (`CAP_SYS_PTRACE`).
pub fn end_strays(root: &Path) -> Result<()> {
    // The kernel tells where a root directory really is.
    let root = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    end_until_none(|| kill_strays(&root), TO_DIE)
}

/// What came of killing all there are.
#[derive(Debug, Default)]
struct Sweep {
    /// One of those that were killed.
    killed: Option<Child>,
    /// Why some were not, the first time.
    failed: Option<Error>,
}

/// Kills all there are until there are none that can be killed, but waits only so long for one of
/// them to end.
fn end_until_none(mut kill: impl FnMut() -> Result<Sweep>, patience: Duration) -> Result<()> {
    let mut awaited: Option<(Child, Instant)> = None;
    loop {
        let Sweep { killed, failed } = kill()?;
        let Some(killed) = killed else {
            return failed.map_or(Ok(()), Err);
        };
        let lives = |(child, _): &(Child, _)| !child.ends_within(Duration::ZERO);
        let (child, since) = awaited
            .filter(lives)
            .unwrap_or_else(|| (killed, Instant::now()));
        if since.elapsed() >= patience {
            let text = format!("it has not ended after {} seconds", patience.as_secs());
            let source = io::Error::new(io::ErrorKind::TimedOut, text);
            return Err(Error::new(format!("kill({})", child.pid()), source));
        }
        awaited = Some((child, since));
        std::thread::sleep(PAUSE);
    }
}

/// Kills those that there are now.
fn kill_strays(root: &Path) -> Result<Sweep> {
    let failed = |source| Error::new("read(\"/proc\")", source);
    let mut sweep = Sweep::default();
    for entry in std::fs::read_dir("/proc").map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw) else {
            continue;
        };
        let lives_there = || root_of(pid).is_some_and(|its| its.starts_with(root));
        if !lives_there() {
            continue;
        }
        match kill_if(pid, lives_there) {
            Ok(None) => {}
            Ok(killed) => sweep.killed = killed,
            Err(error) => sweep.failed = sweep.failed.or(Some(error)),
        }
    }
    Ok(sweep)
}

/// The root directory of a process, if it lives and can be seen.
fn root_of(pid: Pid) -> Option<PathBuf> {
    let folder = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    let read = || std::fs::read_link(folder.join("root"));
    match read() {
        // In a container, root may not see into other users' processes, but may become them.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let its = std::fs::metadata(&folder).ok()?;
            let owner = Owner {
                uid: its.uid(),
                gid: its.gid(),
            };
            id::looking_as(owner, read).ok()
        }
        read => read.ok(),
    }
}

/// Kills a process that is what it was taken for: its number may be another's by now. Gives it if it
/// did.
fn kill_if(pid: Pid, is_it: impl Fn() -> bool) -> Result<Option<Child>> {
    let held = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(None),
        held => held.call(|| format!("pidfd_open({pid:?})"))?,
    };
    let Ok(held) = Child::given(held) else {
        // It is gone.
        return Ok(None);
    };
    // In a `/proc` of other numbers than ours, one number is two processes.
    let is_one = i32::try_from(held.pid()) == Ok(pid.as_raw_nonzero().get());
    if !is_one || !is_it() {
        return Ok(None);
    }
    process::signal(&held, process::KILL).map(|()| Some(held))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sweep that has killed this process, which nobody did.
    fn swept() -> Sweep {
        let this = process::open(std::process::id()).unwrap();
        Sweep {
            killed: Some(Child::given(this).unwrap()),
            failed: None,
        }
    }

    #[test]
    fn a_process_that_does_not_end_is_given_up_and_named() {
        let error = end_until_none(|| Ok(swept()), Duration::ZERO).unwrap_err();
        assert_eq!(error.call(), format!("kill({})", std::process::id()));
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn what_may_not_be_killed_keeps_nothing_else_alive() {
        let mut left = 2;
        let kill = || {
            let refused = || Error::new("pidfd_send_signal(9)", Errno::PERM.into());
            let mut sweep = match left {
                0 => Sweep::default(),
                _ => swept(),
            };
            left = left.max(1) - 1;
            sweep.failed = Some(refused());
            Ok(sweep)
        };
        let error = end_until_none(kill, Duration::MAX).unwrap_err();
        assert_eq!(error.errno(), libc::EPERM);
        assert_eq!(left, 0);
    }
}
