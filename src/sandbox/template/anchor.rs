//! What no sandbox outlives: the first process of a namespace of process numbers that the template
//! is in, and with it all copies of it and all that these start.
//!
//! The kernel kills it when this process ends, however it ends, and when it is gone, all others in
//! the namespace. A sandbox's own first process could be told to die with this process as well, but
//! a command may take that back, and the kernel does when a set-user-id program is executed. The
//! anchor is in sight of no sandbox. It also ends by itself when this process is gone: who is killed
//! before the anchor has asked to die with it cannot have it killed.

use std::ffi::CString;
use std::io;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use crate::sandbox::Error;
use crate::sandbox::template::sealed::Program;
use crate::sys;
use crate::sys::namespace;
use crate::sys::namespace::Namespace;
use crate::sys::process;
use crate::sys::process::Child;

/// What the process is called, which does nothing.
pub(in crate::sandbox) const NAME: &str = "rbuild: anchor";

/// The number of the file by which it says that it is there, and knows that this process is, after
/// standard input, output and error.
const PIPE_FILE: i32 = 3;

/// What the process does; the exit code is for nobody but `ps`.
pub(in crate::sandbox) fn hold() -> i32 {
    process::stay(process::adopt(PIPE_FILE));
    0
}

/// The process.
pub(super) struct Anchor {
    process: Child,
    /// Closed by the kernel, at the latest, when this process ends.
    _alive: UnixStream,
}

impl Anchor {
    /// Starts it, and has all that this thread starts from now on end with it.
    pub(super) fn start(program: &Program) -> sys::Result<Anchor> {
        // A script that stands for the binary does not learn what it is called.
        let args = [NAME, "anchor"].map(|text| CString::new(text).expect("it has no NUL"));
        let pair = UnixStream::pair();
        let (watched, mut alive) = pair.map_err(|error| sys::Error::new("socketpair()", error))?;
        let process = program.launch(&[Namespace::Pid], &args, &[watched.as_fd()])?;
        drop(watched);
        match namespace::start_beside(&process) {
            // Without `CAP_SYS_PTRACE` nobody may look into a process that is on its way into a
            // program; it says when it is there.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let _there = alive.read(&mut [0]);
                namespace::start_beside(&process)?;
            }
            beside => beside?,
        }
        Ok(Anchor {
            process,
            _alive: alive,
        })
    }

    /// Has it end, and with it all in its namespace: it goes when all these were waited for.
    pub(super) fn end(&self) -> Result<(), Error> {
        process::signal(&self.process, process::KILL).map_err(Error::Signal)
    }
}
