//! Programs of this process's own, each with a thread that starts it and stays until it has ended.
//!
//! The kernel kills such a program when the thread that started it ends, and not only when this
//! process does: so one is there for nothing else.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::thread::JoinHandle;

use crate::sys::Error;
use crate::sys::Result;
use crate::sys::birth;
use crate::sys::birth::Launch;
use crate::sys::namespace::Namespace;
use crate::sys::process::Child;

/// The number that the first file has in a program.
pub const FIRST_FILE: usize = 3;

/// The thread of a program, and what it ends with.
#[derive(Debug)]
pub struct Keeper<T> {
    thread: Option<JoinHandle<T>>,
}

impl<T: Send + 'static> Keeper<T> {
    /// Starts a thread that is to start the program and to stay until it has ended.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn start(name: &str, keep: impl FnOnce() -> T + Send + 'static) -> io::Result<Keeper<T>> {
        let thread = std::thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(keep)?;
        Ok(Keeper {
            thread: Some(thread),
        })
    }

    /// Says whether it still keeps its program.
    pub fn is_there(&self) -> bool {
        self.thread.as_ref().is_some_and(|it| !it.is_finished())
    }

    /// Waits until the program has ended; gives the first time what its thread ended with.
    pub fn join(&mut self) -> Option<T> {
        let ended = self.thread.take()?.join();
        Some(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

/// Starts a program that is told nothing and not heard, with `files` from [`FIRST_FILE`] on.
pub fn launch(program: &Path, args: &[CString], files: &[BorrowedFd<'_>]) -> Result<Child> {
    launch_in(&[], program, args, files)
}

/// Starts such a program, and has what it says as errors go to a file. What it mounts and unmounts is
/// for itself alone: slirp4netns unmounts all it can, and would do so where mounts are shared. Whoever
/// it starts has ended when it has.
pub fn launch_heard(
    errors: BorrowedFd<'_>,
    program: &Path,
    args: &[CString],
    files: &[BorrowedFd<'_>],
) -> Result<Child> {
    let namespaces = [Namespace::Mount, Namespace::Pid];
    start(Some(errors), &namespaces, program, args, files)
}

/// Starts such a program in namespaces of its own.
pub fn launch_in(
    namespaces: &[Namespace],
    program: &Path,
    args: &[CString],
    files: &[BorrowedFd<'_>],
) -> Result<Child> {
    start(None, namespaces, program, args, files)
}

fn start(
    errors: Option<BorrowedFd<'_>>,
    namespaces: &[Namespace],
    program: &Path,
    args: &[CString],
    files: &[BorrowedFd<'_>],
) -> Result<Child> {
    let null = File::options().read(true).write(true).open("/dev/null");
    let null = null.map_err(|error| Error::new("open(\"/dev/null\")", error))?;
    let mut all = vec![null.as_fd(); FIRST_FILE];
    if let Some(errors) = errors {
        all[FIRST_FILE - 1] = errors;
    }
    all.extend(files);
    birth::launch(&Launch {
        program,
        args,
        files: &all,
        namespaces,
    })
}
