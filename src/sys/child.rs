//! A process that this one started, and waiting for it.

use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::WaitId;
use rustix::process::WaitIdOptions;

use crate::sys::Error;
use crate::sys::Result;
use crate::sys::error::Call;
use crate::sys::file;
use crate::sys::process::signal;

/// A started process, held by a descriptor: no other process can take its number's place.
#[derive(Debug)]
pub struct Child {
    pidfd: OwnedFd,
    pid: u32,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It exited with a code.
    Exited(i32),
    /// A signal killed it.
    Killed(i32),
}

impl Child {
    /// Takes charge of a child of this process.
    pub fn new(pid: u32, pidfd: OwnedFd) -> Child {
        Child { pidfd, pid }
    }

    /// Takes charge of a child that another process made for this one.
    pub fn given(pidfd: OwnedFd) -> Result<Child> {
        let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
        let told = std::fs::read_to_string(&path).call(|| format!("read({path:?})"))?;
        let number = told.lines().find_map(|line| line.strip_prefix("Pid:"));
        let pid = number.and_then(|number| number.trim().parse().ok());
        let pid = pid.ok_or_else(|| Error::invalid(path))?;
        Ok(Child { pidfd, pid })
    }

    /// Its number, as this process sees it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until it has ended and releases its number; to be called once.
    pub fn wait(&self) -> Result<Ended> {
        self.wait_for(WaitIdOptions::EXITED)
    }

    /// Waits as [`wait`](Child::wait) does, and has it go on whenever it was stopped.
    pub fn wait_unstopped(&self) -> Result<Ended> {
        self.wait_for(WaitIdOptions::EXITED | WaitIdOptions::STOPPED)
    }

    fn wait_for(&self, events: WaitIdOptions) -> Result<Ended> {
        loop {
            match rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), events) {
                Err(Errno::INTR) | Ok(None) => {}
                Err(errno) => {
                    return Err(errno).call(|| format!("waitid(P_PIDFD, {})", self.pid));
                }
                Ok(Some(status)) if status.stopped() => signal(self, libc::SIGCONT)?,
                Ok(Some(status)) => {
                    return Ok(match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Ended::Exited(code),
                        (None, signal) => Ended::Killed(signal.unwrap_or(libc::SIGKILL)),
                    });
                }
            }
        }
    }

    /// Tells whether it ends within a time; nobody has to wait for it for that.
    pub fn ends_within(&self, time: Duration) -> bool {
        file::is_readable_within(&self.pidfd, time)
    }

    /// A second descriptor, to send signals through while another thread waits.
    pub fn pidfd(&self) -> Result<OwnedFd> {
        self.pidfd.try_clone().call(|| "dup(pidfd)".to_owned())
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Waits until all children of this thread have ended, those too that were made for it without its
/// knowing, and releases their numbers.
pub fn wait_for_all() {
    loop {
        // SAFETY: no place for what became of them is given.
        let result = unsafe {
            let flags = libc::WEXITED | libc::__WNOTHREAD;
            libc::waitid(libc::P_ALL, 0, std::ptr::null_mut(), flags)
        };
        let error = std::io::Error::last_os_error();
        if result != 0 && error.raw_os_error() != Some(libc::EINTR) {
            return;
        }
    }
}
