//! A sandbox that runs: what it reads and writes, how it is ended, and how it ended.

use std::fs::File;
use std::io::PipeReader;
use std::io::PipeWriter;
use std::sync::Arc;
use std::time::Duration;

use crate::sandbox::Error;
use crate::sandbox::chroot::overseer::Supervised;
use crate::sandbox::life::Life;
use crate::sandbox::limits::Exceeded;
use crate::sys::process;
use crate::sys::process::Child;
use crate::sys::process::Ended;

/// How a sandboxed process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus {
    /// Its exit code; 128 and the signal's number if a signal killed it.
    pub code: i32,
    /// The signal that killed it, if any.
    pub signal: Option<i32>,
    /// The limit it ran into, if any.
    pub exceeded: Option<Exceeded>,
}

/// A sandbox whose program was executed. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    /// The end to write what the process reads, if asked for.
    pub stdin: Option<PipeWriter>,
    /// The end to read what the process writes, if asked for.
    pub stdout: Option<PipeReader>,
    /// The end to read what the process writes as errors, if asked for.
    pub stderr: Option<PipeReader>,
    /// The user's end of the process's terminal, if it has one.
    pub terminal: Option<File>,
    /// What of its limits holds for less than the whole sandbox, for want of control groups, and what
    /// it goes without; for the user to know.
    pub notes: Vec<String>,
    pub(super) life: Life,
}

/// What can end a sandbox from anywhere, also while it is waited for.
#[derive(Debug, Clone)]
pub struct Killer {
    child: Arc<Child>,
    /// Where it has no process namespace, its first process has to end the others.
    supervised: Option<Supervised>,
}

impl Running {
    /// The number of its first process, as the host sees it.
    pub fn pid(&self) -> u32 {
        self.life.pid()
    }

    /// What can end it from another thread.
    pub fn killer(&self) -> Killer {
        self.life.killer().clone()
    }

    /// Tells whether its first process ends within a time.
    pub(super) fn ends_within(&self, time: Duration) -> bool {
        self.life.ends_within(time)
    }

    /// Waits until its first process, and so all in it, has ended and nothing of it is left.
    pub fn wait(mut self) -> Result<ExitStatus, Error> {
        self.life.end()
    }
}

impl Killer {
    pub(super) fn new(child: Arc<Child>, supervised: Option<Supervised>) -> Killer {
        Killer { child, supervised }
    }

    /// Kills all processes in the sandbox.
    pub fn kill(&self) -> Result<(), Error> {
        match &self.supervised {
            Some(supervised) => supervised.end(),
            None => self.signal(process::KILL),
        }
    }

    /// Sends a signal to its first process, which may ignore it: the kernel protects the first
    /// process of a namespace from all signals but `SIGKILL` that it does not handle itself.
    pub fn signal(&self, number: i32) -> Result<(), Error> {
        process::signal(&*self.child, number).map_err(Error::Signal)
    }
}

impl ExitStatus {
    pub(super) fn of(ended: Ended, exceeded: Option<Exceeded>) -> ExitStatus {
        let (code, signal) = match ended {
            Ended::Exited(code) => (code, None),
            Ended::Killed(signal) => (128 + signal, Some(signal)),
        };
        ExitStatus {
            code,
            signal,
            exceeded,
        }
    }
}
