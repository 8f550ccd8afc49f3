//! Locks that tell whose they are: a process's own ones on whole files (`fcntl(2)`, `F_SETLK`).
//!
//! The kernel gives the number of the process that holds one as whoever asks would count it, so
//! it is right in every namespace of process numbers. A process loses them as soon as it closes the
//! file, even if it opened that once more for something else.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Who has the lock of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody else than perhaps this process, which is not told of its own.
    Nobody,
    /// The process of this number.
    Process(u32),
    /// A process that has no number here.
    OutOfSight,
}

/// Takes the lock of a file that is open for writing; fails if another process has it.
pub fn take(file: &File) -> io::Result<()> {
    let mut range = whole_file();
    ask(file, libc::F_SETLK, &mut range)
}

/// Tells who has the lock of a file, and takes none.
pub fn owner(file: &File) -> io::Result<Owner> {
    let mut range = whole_file();
    ask(file, libc::F_GETLK, &mut range)?;
    if libc::c_int::from(range.l_type) == libc::F_UNLCK {
        return Ok(Owner::Nobody);
    }
    // Of a process on another machine the number is negative.
    let number = u32::try_from(range.l_pid).ok().filter(|pid| *pid != 0);
    Ok(number.map_or(Owner::OutOfSight, Owner::Process))
}

fn ask(file: &File, what: libc::c_int, range: &mut libc::flock) -> io::Result<()> {
    // SAFETY: the file is open, and the structure, which the call may write, lives through it.
    match unsafe { libc::fcntl(file.as_raw_fd(), what, std::ptr::from_mut(range)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The lock that nobody else has, from the first byte to the last there can be.
fn whole_file() -> libc::flock {
    // SAFETY: the structure is plain numbers, and zeros are of it.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    let short = |number| libc::c_short::try_from(number).expect("it is a small number");
    range.l_type = short(libc::F_WRLCK);
    range.l_whence = short(libc::SEEK_SET);
    range
}
