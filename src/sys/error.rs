//! What a failed system call leaves behind.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::path::PathBuf;

use crate::sys::FileKind;

/// A system call that failed: the call as text, and the kernel's answer as its source.
#[derive(Debug, thiserror::Error)]
#[error("{call}")]
pub struct Error {
    call: String,
    source: io::Error,
}

/// What every function of this room returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Makes an error of a call that the standard library made.
    pub fn new(call: impl Into<String>, source: io::Error) -> Self {
        Error {
            call: call.into(),
            source,
        }
    }

    /// The call that failed, with its arguments.
    pub fn call(&self) -> &str {
        &self.call
    }

    /// The call with the kernel's answer, in one line.
    pub fn in_one_line(&self) -> String {
        format!("{}: {}", self.call, self.source)
    }

    /// The kernel's error number, or 0 where the failure was not the kernel's.
    pub fn errno(&self) -> i32 {
        self.source.raw_os_error().unwrap_or(0)
    }

    /// The standard library's name for the failure.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Tells whether the file or one of its directories does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// Tells whether the path itself is why, such as a file in its way, and not how the machine is.
    pub fn is_of_path(&self) -> bool {
        const REASONS: [i32; 6] = [
            libc::ENOENT,
            libc::ENOTDIR,
            libc::EISDIR,
            libc::ELOOP,
            libc::ENAMETOOLONG,
            libc::EROFS,
        ];
        REASONS.contains(&self.errno())
    }

    /// Makes the error of a file that is a directory where none may be, or the other way round.
    pub fn wrong_kind(call: impl Into<String>, is_dir: bool) -> Self {
        let errno = if is_dir { libc::EISDIR } else { libc::ENOTDIR };
        Error::new(call, io::Error::from_raw_os_error(errno))
    }

    pub(super) fn not_a_file(call: impl Into<String>, kind: FileKind) -> Self {
        let source = match kind {
            FileKind::Directory => io::Error::from_raw_os_error(libc::EISDIR),
            _ => {
                let text = format!("it is {kind}, no regular file");
                io::Error::new(io::ErrorKind::Unsupported, text)
            }
        };
        Error::new(call, source)
    }

    pub(super) fn invalid(call: impl Into<String>) -> Self {
        Error::new(call, io::Error::from_raw_os_error(libc::EINVAL))
    }
}

/// Gives a failed call its text, which is only built when it is needed.
pub(super) trait Call<T> {
    fn call(self, text: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Call<T> for rustix::io::Result<T> {
    fn call(self, text: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Error::new(text(), errno.into()))
    }
}

impl<T> Call<T> for io::Result<T> {
    fn call(self, text: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::new(text(), source))
    }
}

/// The path behind a descriptor, for error texts: what the kernel knows of it now.
pub(super) fn path_of(fd: impl AsFd) -> PathBuf {
    let link = proc_path(fd);
    rustix::fs::readlink(&link, Vec::new())
        .map(|target| {
            use std::os::unix::ffi::OsStringExt;
            PathBuf::from(OsString::from_vec(target.into_bytes()))
        })
        .unwrap_or(link)
}

/// A path that leads to what a descriptor refers to, wherever that is.
pub(super) fn proc_path(fd: impl AsFd) -> PathBuf {
    Path::new("/proc/self/fd").join(fd.as_fd().as_raw_fd().to_string())
}
