//! Births: a program in a process of its own, and a copy of this process beside it.

use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::path::Path;

use crate::sys::Error;
use crate::sys::Result;
use crate::sys::error::Call;
use crate::sys::namespace::Namespace;
use crate::sys::process;
use crate::sys::process::Child;
use crate::sys::process::pointers;

/// A program to start in a process of its own, with an empty environment.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The program's path.
    pub program: &'a Path,
    /// Its arguments, its own name first.
    pub args: &'a [CString],
    /// Its open files: the first becomes descriptor 0, and so on.
    pub files: &'a [BorrowedFd<'a>],
    /// The namespaces it has for itself. One for mounts tells no other of what changes in it.
    pub namespaces: &'a [Namespace],
}

/// Which side of a copy this is.
#[derive(Debug)]
pub enum Side {
    /// The process that was made.
    Copy,
    /// The process that made it; a child of the same parent as this process itself.
    Original(Child),
}

/// Starts a program that dies with the thread that called this. It may open as many files as this
/// process might when it was started.
///
/// Until the program is executed the new process shares this one's memory and this thread waits,
/// as with `vfork`: the pages of a large process are not copied, and the other threads, whose
/// locks the new process may not touch, are none of its business. All signals are blocked in it,
/// and `SIGPIPE` is not ignored, as it is in this process: pasta takes that for a failure.
pub fn launch(launch: &Launch<'_>) -> Result<Child> {
    let text = || format!("clone({:?})", launch.program);
    let program = CString::new(launch.program.as_os_str().as_encoded_bytes())
        .map_err(|_| Error::invalid(text()))?;
    let mut birth = Birth {
        program,
        args: pointers(launch.args),
        env: pointers(&[]),
        files: launch.files.iter().map(AsRawFd::as_raw_fd).collect(),
        open_files: process::original_open_files(),
        has_own_mounts: launch.namespaces.contains(&Namespace::Mount),
        parent: std::process::id().cast_signed(),
        errno: 0,
    };
    // SAFETY: `birth` outlives the call, which returns after the child has executed its program or
    // exited. `be_born` makes only calls that are safe between vfork and exec.
    let child = unsafe { vfork(launch.namespaces, be_born, (&raw mut birth).cast()) };
    let child = child.call(text)?;
    if birth.errno != 0 {
        child.wait()?;
        let error = std::io::Error::from_raw_os_error(birth.errno);
        return Err(error).call(|| format!("execve({:?})", launch.program));
    }
    Ok(child)
}

/// Has a new process with all signals blocked run a function on this one's memory, while this thread
/// waits until it has executed a program or exited.
///
/// # Safety
/// What the function is given outlives this call, and the function neither returns nor calls what is
/// not safe between vfork and exec.
pub(super) unsafe fn vfork(
    namespaces: &[Namespace],
    function: extern "C" fn(*mut libc::c_void) -> libc::c_int,
    given: *mut libc::c_void,
) -> std::io::Result<Child> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let flags = flags | flags_of(namespaces);
    let mut stack = vec![0_u128; STACK_BYTES / size_of::<u128>()];
    let mut pidfd: libc::c_int = -1;
    let blocked = block_signals();
    // SAFETY: `stack` and `pidfd` outlive the call, as what is given does, so the child never runs
    // on freed memory. The stack grows down from its end, which is aligned to 16 bytes.
    let pid = unsafe {
        let end = stack.as_mut_ptr().add(stack.len());
        libc::clone(function, end.cast(), flags, given, &raw mut pidfd)
    };
    let failed = std::io::Error::last_os_error();
    restore_signals(&blocked);
    let pid = u32::try_from(pid).map_err(|_| failed)?;
    // SAFETY: clone succeeded, so the kernel stored a new descriptor that nobody else owns.
    Ok(Child::new(pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

fn flags_of(namespaces: &[Namespace]) -> libc::c_int {
    let flags = namespaces.iter().map(|namespace| namespace.flag());
    flags.fold(0, |all, flag| all | flag)
}

/// Enough for functions that call nothing deep.
const STACK_BYTES: usize = 64 * 1024;

/// What the child needs, made before it exists: it must not allocate.
struct Birth {
    program: CString,
    args: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    files: Vec<RawFd>,
    /// The limit of open files, if it has another than this process.
    open_files: Option<libc::rlimit>,
    has_own_mounts: bool,
    parent: libc::pid_t,
    errno: libc::c_int,
}

extern "C" fn be_born(birth: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the pointer is to the `Birth` of `launch`, which waits and does not touch it
    // meanwhile. Everything called here is a plain system call on values prepared before.
    unsafe {
        let birth = &mut *birth.cast::<Birth>();
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // A parent that was killed before that sends no signal: this is another's child by now. Of
        // one in another namespace of process numbers nothing is known.
        if ![0, birth.parent].contains(&libc::getppid()) {
            libc::_exit(127);
        }
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        if (!birth.has_own_mounts || follow_mounts()) && arrange(&mut birth.files, 0) {
            if let Some(limit) = &birth.open_files {
                libc::setrlimit(libc::RLIMIT_NOFILE, limit);
            }
            libc::execve(
                birth.program.as_ptr(),
                birth.args.as_ptr(),
                birth.env.as_ptr(),
            );
        }
        birth.errno = *libc::__errno_location();
        libc::_exit(127)
    }
}

/// Keeps the mounts of this namespace from telling others of changes; says whether that was done.
fn follow_mounts() -> bool {
    let (none, flags) = (std::ptr::null(), libc::MS_REC | libc::MS_SLAVE);
    // SAFETY: the one text ends with NUL, and the others may be null.
    unsafe { libc::mount(none, c"/".as_ptr(), none, flags, none.cast()) == 0 }
}

/// Makes open files the numbers from `first` on, which stay open in a program that is executed. If
/// not, `errno` says why.
///
/// # Safety
/// Whoever owns what these numbers were before must not use it any more.
unsafe fn arrange(files: &mut [RawFd], first: RawFd) -> bool {
    let behind = files.len() + first as usize;
    // SAFETY: plain numbers; the kernel refuses those that are not open.
    unsafe {
        // First out of the way, so that no file is overwritten before it is moved.
        let is_moved = files.iter_mut().all(|file| {
            *file = libc::fcntl(*file, libc::F_DUPFD_CLOEXEC, behind);
            *file >= 0
        });
        is_moved
            && (first..)
                .zip(files)
                .all(|(number, file)| libc::dup2(*file, number) >= 0)
    }
}

/// Makes a copy of this process, which must have one thread, in new namespaces.
///
/// It is not a child of this process but of its parent: that is who waits for it, and whose end
/// it may ask to die with.
pub fn copy(namespaces: &[Namespace]) -> Result<Side> {
    let flags = libc::CLONE_PARENT | libc::CLONE_PIDFD | flags_of(namespaces);
    let mut pidfd: libc::c_int = -1;
    // SAFETY: with memory of its own, the copy goes on with this one's stack. With one thread,
    // nothing is held that it could wait for in vain. The third argument is where the descriptor
    // goes, and the others after it are not looked at with these flags.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    match u32::try_from(pid) {
        Ok(0) => Ok(Side::Copy),
        // SAFETY: clone succeeded, so the kernel stored a new descriptor that nobody else owns.
        Ok(pid) => Ok(Side::Original(Child::new(pid, unsafe {
            OwnedFd::from_raw_fd(pidfd)
        }))),
        Err(_) => {
            let error = std::io::Error::last_os_error();
            Err(error).call(|| format!("clone({namespaces:?})"))
        }
    }
}

/// Makes a file this process's open file of this number and closes all behind it. Nothing that held
/// one of these may be used or dropped afterwards.
pub fn keep_file(file: OwnedFd, number: RawFd) -> Result<()> {
    // SAFETY: whoever calls this gives up what these numbers were.
    if !unsafe { arrange(&mut [file.into_raw_fd()], number) } {
        return Err(std::io::Error::last_os_error()).call(|| "dup2()".to_owned());
    }
    process::close_from(number + 1);
    Ok(())
}

fn block_signals() -> libc::sigset_t {
    // SAFETY: both sets live on this stack, and zeros are a valid set.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: the set was filled by `block_signals`.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
}
