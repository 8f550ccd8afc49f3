//! System calls that another process answers (`seccomp_unotify(2)`).

use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;

use crate::sys::Error;
use crate::sys::Result;
use crate::sys::seccomp::Instruction;
use crate::sys::seccomp::program;

/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE` and, from Linux 5.14 on, `SECCOMP_ADDFD_FLAG_SEND`.
const GO_ON: u32 = 1;
const GIVE_AND_ANSWER: u32 = 2;
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`, from Linux 6.6 on: who asks and who answers take turns on one
/// processor.
const TAKE_TURNS: libc::c_ulong = 1;

/// Where calls that a filter refers to another process arrive.
#[derive(Debug)]
pub(super) struct Listener(OwnedFd);

/// A call whose process waits for the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    id: u64,
    /// The process, as this one sees it.
    pub(super) process: u32,
    /// What the process's program was made for, as the kernel names it (`linux/audit.h`).
    pub(super) architecture: u32,
    pub(super) number: u32,
    pub(super) arguments: [u64; 6],
}

/// What a call is answered with.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is made, as if nobody had been asked.
    GoOn,
    /// It gives this, and is not made.
    Value(i64),
    /// It fails with an error of this number.
    Failure(i32),
    /// It gives the number that this file gets in the process.
    File { file: OwnedFd, closes_on_exec: bool },
}

/// Has the kernel run a filter before each further system call of this thread and of what comes of
/// it; gives where the calls arrive that it refers to another process. Refused where a filter with
/// such a place is in force already.
pub(super) fn install(filter: &[Instruction]) -> Result<OwnedFd> {
    const CALL: &str = "seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)";
    let program = program(filter, CALL)?;
    let install = |flags: libc::c_ulong| {
        // SAFETY: the program and its instructions live for the call, which only reads them.
        let made = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
                &raw const program,
            )
        };
        match i32::try_from(made) {
            // SAFETY: the kernel made this descriptor for the caller, and nothing owns it yet.
            Ok(number) if number >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
            _ => Err(Error::new(CALL, io::Error::last_os_error())),
        }
    };
    // No signal is to break off a call that is being answered: from Linux 5.19 on.
    match install(libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(error) if error.errno() == libc::EINVAL => install(0),
        installed => installed,
    }
}

impl Listener {
    pub(super) fn new(file: OwnedFd) -> Listener {
        // SAFETY: the request takes a number, and no memory.
        let _since = unsafe {
            libc::ioctl(
                file.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
                TAKE_TURNS,
            )
        };
        Listener(file)
    }

    /// Waits for the next call; nothing when all processes under the filter are gone.
    pub(super) fn next(&self) -> Option<Call> {
        while self.has_more() {
            // SAFETY: zeros are a valid value of these plain numbers, and the kernel asks for them.
            let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
            let received = self.control(libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked);
            // A process that was killed meanwhile asks no more.
            if received {
                return Some(Call {
                    id: asked.id,
                    process: asked.pid,
                    architecture: asked.data.arch,
                    number: asked.data.nr.cast_unsigned(),
                    arguments: asked.data.args,
                });
            }
        }
        None
    }

    /// Whether a call still waits for its answer: what was opened of its process before this was
    /// asked is that process's, and no other's of the same number.
    pub(super) fn waits(&self, call: &Call) -> bool {
        let mut id = call.id;
        self.control(libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw mut id)
    }

    /// Ends a call.
    pub(super) fn answer(&self, call: &Call, answer: &Answer) {
        // A process that was killed meanwhile needs none.
        let _gone = match answer {
            Answer::GoOn => self.send(call, 0, 0, GO_ON),
            Answer::Value(value) => self.send(call, *value, 0, 0),
            Answer::Failure(errno) => self.send(call, 0, -errno, 0),
            Answer::File {
                file,
                closes_on_exec,
            } => {
                // A process that can have no more files is told so by the kernel as well.
                self.give(call, file, *closes_on_exec) || self.send(call, 0, 0, GO_ON)
            }
        };
    }

    fn send(&self, call: &Call, val: i64, error: i32, flags: u32) -> bool {
        let mut answer = libc::seccomp_notif_resp {
            id: call.id,
            val,
            error,
            flags,
        };
        self.control(libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer)
    }

    /// Gives the process a file, and its number as the answer.
    fn give(&self, call: &Call, file: &OwnedFd, closes_on_exec: bool) -> bool {
        let flags = match closes_on_exec {
            true => libc::O_CLOEXEC.cast_unsigned(),
            false => 0,
        };
        let mut given = libc::seccomp_notif_addfd {
            id: call.id,
            flags: GIVE_AND_ANSWER,
            srcfd: file.as_fd().as_raw_fd().cast_unsigned(),
            newfd: 0,
            newfd_flags: flags,
        };
        self.control(libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw mut given)
    }

    /// Waits until there is a call, or nobody is left who could make one.
    fn has_more(&self) -> bool {
        let mut poll = libc::pollfd {
            fd: self.0.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        loop {
            // SAFETY: one structure, which lives for the call.
            match unsafe { libc::poll(&raw mut poll, 1, -1) } {
                1 => return poll.revents & libc::POLLIN != 0,
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => return false,
            }
        }
    }

    /// Makes a call on the listener; says whether it was done.
    fn control<T>(&self, request: libc::Ioctl, value: *mut T) -> bool {
        // SAFETY: each request is made with a pointer to the structure that it is defined with,
        // which lives for the call.
        unsafe { libc::ioctl(self.0.as_raw_fd(), request, value) >= 0 }
    }
}

/// The half of an argument that counts where 32 bits are expected.
pub(super) fn low(argument: u64) -> u32 {
    (argument & u64::from(u32::MAX)) as u32
}
