//! Processes: waiting for them, signals, and what one gives up before it becomes a program.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Gid;
use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::Uid;

use crate::sys::Error;
use crate::sys::FileKind;
use crate::sys::Owner;
use crate::sys::Result;
use crate::sys::Stat;
pub use crate::sys::child::Child;
pub use crate::sys::child::Ended;
pub use crate::sys::child::wait_for_all;
use crate::sys::error::Call;
use crate::sys::file;

/// The signal that no process survives.
pub const KILL: i32 = libc::SIGKILL;

/// The signal that asks a process to end.
pub const TERMINATE: i32 = libc::SIGTERM;

/// The error number for a file that the kernel cannot execute, such as a program for another machine.
pub const EXEC_FORMAT: i32 = libc::ENOEXEC;

/// The error number for a process that has no number left for another open file.
pub const TOO_MANY_FILES: i32 = libc::EMFILE;

/// Takes hold of a process by its number.
pub fn open(pid: u32) -> Result<OwnedFd> {
    let text = || format!("pidfd_open({pid})");
    let number = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let number =
        number.ok_or_else(|| Error::new(text(), std::io::ErrorKind::InvalidInput.into()))?;
    rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty()).call(text)
}

/// Gives what `/proc/self/status` says of this process under a name.
pub fn status(name: &str) -> Option<String> {
    status_of("self", name)
}

/// Gives the number of a process's parent, if both are in sight.
pub fn parent(pid: u32) -> Option<u32> {
    let number = status_of(&pid.to_string(), "PPid")?.parse().ok()?;
    (number != 0).then_some(number)
}

fn status_of(process: &str, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mut lines = status.lines();
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(found.trim().to_owned())
}

/// Tells whether a process has ended, waited for or not.
pub fn has_ended(pidfd: impl AsFd) -> bool {
    file::is_readable_within(pidfd, Duration::ZERO)
}

/// Sends a signal; a process that has ended already is no failure.
pub fn signal(pidfd: impl AsFd, number: i32) -> Result<()> {
    let text = || format!("pidfd_send_signal({number})");
    // SAFETY: the descriptor is open and no pointer is passed; every number is checked by the
    // kernel.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_fd().as_raw_fd(),
            number,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    match result {
        0 => Ok(()),
        _ => match std::io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            error => Err(error).call(text),
        },
    }
}

/// Kills a child that leads a process group of its own, with all who are in that. It must not have been
/// waited for: its number may be somebody else's then.
pub fn kill_group(leader: &std::process::Child) -> Result<()> {
    let number = rustix::process::Pid::from_child(leader);
    rustix::process::kill_process_group(number, rustix::process::Signal::KILL)
        .call(|| format!("kill(-{}, SIGKILL)", leader.id()))
}

/// Becomes a program; returns only if that failed.
pub fn execute(program: &Path, args: &[CString], env: &[CString]) -> Error {
    let text = format!("execve({program:?})");
    let Ok(path) = CString::new(program.as_os_str().as_encoded_bytes()) else {
        return Error::invalid(text);
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: all texts end with NUL, both lists with a null pointer, and all outlive the call.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    Error::new(text, std::io::Error::last_os_error())
}

/// What the kernel takes for a list of texts.
pub(super) fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    let pointers = texts.iter().map(|text| text.as_ptr());
    pointers.chain([std::ptr::null()]).collect()
}

/// Says a word on a line, does nothing until it is killed or nobody has the other end any more, and
/// waits for none of the children that become its own.
pub fn stay(line: OwnedFd) {
    // SAFETY: to leave a signal out of account runs no code of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let mut line = File::from(line);
    // If nobody listens, the end follows.
    let _said = line.write_all(b".");
    // Nothing comes through it.
    let _end = std::io::copy(&mut line, &mut std::io::sink());
}

/// Asks to be sent a signal when the thread that started this process ends.
///
/// Becoming another user takes this back, so it is asked for again after that.
pub fn signal_at_parents_end(number: i32) -> Result<()> {
    // SAFETY: plain numbers; the kernel checks them.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::c_long::from(number)) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error())
            .call(|| format!("prctl(PR_SET_PDEATHSIG, {number})")),
    }
}

/// Starts a session without a terminal.
pub fn new_session() -> Result<()> {
    rustix::process::setsid()
        .map(|_| ())
        .call(|| "setsid()".to_owned())
}

/// Starts a session keyring; does nothing where the kernel has no keys or they are not allowed.
pub fn new_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    let anonymous = std::ptr::null::<libc::c_char>();
    // SAFETY: a null name is what this call documents for a keyring without a name.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, anonymous) };
    match std::io::Error::last_os_error() {
        _ if result >= 0 => Ok(()),
        error if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => Ok(()),
        error => Err(error).call(|| "keyctl(KEYCTL_JOIN_SESSION_KEYRING)".to_owned()),
    }
}

/// Takes a file that the parent handed over under this number; to be called once for each.
pub fn adopt(number: RawFd) -> OwnedFd {
    // SAFETY: `launch` opened this number in the new process, and nothing there owns it yet.
    let file = unsafe { OwnedFd::from_raw_fd(number) };
    // Failing means that it is not open, which its first use will tell.
    let _ = rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::CLOEXEC);
    file
}

/// Makes files this process's standard input, output and error.
pub fn set_standard_files(files: [impl AsFd; 3]) -> Result<()> {
    let [input, output, errors] = files;
    rustix::stdio::dup2_stdin(input)
        .and_then(|()| rustix::stdio::dup2_stdout(output))
        .and_then(|()| rustix::stdio::dup2_stderr(errors))
        .call(|| "dup2()".to_owned())
}

/// Gives those of the standard files that are pipes to a user, who could else not open
/// `/dev/stdout` again.
pub fn give_pipes(owner: Owner) -> Result<()> {
    let standard = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    for file in standard {
        let stat = rustix::fs::fstat(file).call(|| "fstat()".to_owned())?;
        if Stat::from(stat).kind == FileKind::Fifo {
            give(file, owner)?;
        }
    }
    Ok(())
}

/// Gives a file that is nobody's but this machine's, a pipe or a terminal, to a user as far as that
/// is possible.
pub fn give(file: impl AsFd, owner: Owner) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    match rustix::fs::fchown(file, Some(uid), Some(gid)) {
        // Somebody else made it, and whoever runs this cannot give it away; or the user namespace
        // has no such user, and nobody becomes it.
        Err(Errno::PERM | Errno::INVAL) => Ok(()),
        given => given.call(|| format!("fchown({owner:?})")),
    }
}

/// Changes the working directory.
pub fn change_dir(path: &Path) -> Result<()> {
    rustix::process::chdir(path).call(|| format!("chdir({path:?})"))
}

/// Makes this process one that the kernel may kill when memory runs out: a service manager may
/// have asked it to spare the parent.
pub fn unprotect_from_oom() -> Result<()> {
    const PATH: &str = "/proc/self/oom_score_adj";
    let score = std::fs::read_to_string(PATH).call(|| format!("read({PATH:?})"))?;
    if score.starts_with('-') {
        std::fs::write(PATH, "0").call(|| format!("write({PATH:?}, \"0\")"))?;
    }
    Ok(())
}

/// Keeps the memory of this process from being written to a file when it dies, and from being read
/// by others. What it executes can be read again, but leaves no such file either unless it asks.
pub fn forbid_core_files() -> Result<()> {
    let mut limit = rustix::process::getrlimit(Resource::Core);
    limit.current = Some(0);
    rustix::process::setrlimit(Resource::Core, limit)
        .call(|| "setrlimit(RLIMIT_CORE, 0)".to_owned())?;
    // Where a program takes core files, the limit does not count. The files of such a process in
    // /proc are root's, so that nobody else could set up a user namespace for its children.
    if rustix::process::geteuid().is_root() {
        let never = rustix::process::DumpableBehavior::NotDumpable;
        rustix::process::set_dumpable_behavior(never)
            .call(|| "prctl(PR_SET_DUMPABLE, 0)".to_owned())?;
    }
    Ok(())
}

/// The soft limit of open files before it was raised.
static OPEN_FILES: OnceLock<u64> = OnceLock::new();

/// Lets this process have as many files open as it may allow itself. The usual limit is as low as it
/// is only for programs that cannot wait for files with greater numbers.
pub fn raise_open_files() -> Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let Some(soft) = limit.current.filter(|_| limit.current != limit.maximum) else {
        return Ok(());
    };
    set_open_files(limit.maximum, limit.maximum)?;
    let _ = OPEN_FILES.set(soft);
    Ok(())
}

/// Takes that back, for programs that are started by others than [`launch`](super::birth::launch).
pub fn restore_open_files() -> Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    match OPEN_FILES.get() {
        Some(soft) => set_open_files(Some(*soft), limit.maximum),
        None => Ok(()),
    }
}

fn set_open_files(current: Option<u64>, maximum: Option<u64>) -> Result<()> {
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current, maximum })
        .call(|| format!("setrlimit(RLIMIT_NOFILE, {current:?}, {maximum:?})"))
}

/// Gives the limit of open files before it was raised; none if it was not.
pub(super) fn original_open_files() -> Option<libc::rlimit> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    Some(libc::rlimit {
        rlim_cur: *OPEN_FILES.get()?,
        rlim_max: limit.maximum.unwrap_or(libc::RLIM_INFINITY),
    })
}

/// Tells whether this process was started with a signal ignored, and has not changed that.
pub fn is_ignored(number: i32) -> bool {
    // SAFETY: the structure lives for the call, zeros are a valid one, and nothing is set.
    unsafe {
        let mut meaning: libc::sigaction = std::mem::zeroed();
        let found = libc::sigaction(number, std::ptr::null(), &raw mut meaning);
        found == 0 && meaning.sa_sigaction == libc::SIG_IGN
    }
}

/// Sets which permission bits new files do not get.
pub fn set_umask(mask: u32) {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
}

/// Gives every signal its default meaning and unblocks all.
pub fn reset_signals() {
    forget_handlers();
    unblock_signals();
}

/// Gives every signal its default meaning.
pub fn forget_handlers() {
    // The kernel's structure for a signal's meaning: all zeros are the default. The C library's
    // function does not reach the two signals that it keeps for itself.
    let default = [0_u64; 4];
    const SIGNALS: libc::c_int = 64;
    for number in 1..=SIGNALS {
        // SAFETY: the structure lives for the call, and the default runs no code of ours. The
        // kernel refuses it for SIGKILL and SIGSTOP, whose meaning is fixed.
        unsafe {
            let old = std::ptr::null_mut::<u64>();
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                default.as_ptr(),
                old,
                SIGNALS / 8,
            );
        }
    }
}

/// Lets every signal through.
pub fn unblock_signals() {
    // SAFETY: an empty set is a valid set, and the old one is not asked for.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Closes open files by their numbers.
pub fn close(numbers: impl IntoIterator<Item = RawFd>) {
    for number in numbers {
        // SAFETY: whoever calls this gives up those descriptors; no pointer is passed.
        unsafe { libc::close(number) };
    }
}

/// Closes all open files from this number on.
pub fn close_from(first: RawFd) {
    // SAFETY: whoever calls this gives up those descriptors; no pointer is passed.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if result != 0 {
        // close_range came with Linux 5.9.
        for number in first..1 << 16 {
            // SAFETY: as above.
            unsafe { libc::close(number) };
        }
    }
}
