//! Locks on any number of things through one open file.
//!
//! A lock on a file takes a descriptor for as long as it is held, and a process may have few. Here
//! each thing has a number, and its lock is one on the byte of that number in a file that holds
//! nothing (open file description locks, `fcntl(2)`). The kernel gives all of them back when the file
//! is closed, also those of a killed process.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// The file, and what this process shares by it.
#[derive(Debug)]
pub struct ByteLocks {
    file: File,
    /// How often each number is held: the kernel counts a file's lock once.
    held: Mutex<HashMap<u64, usize>>,
}

/// A lock that is held together with others, until it is dropped.
#[derive(Debug)]
pub struct Shared {
    locks: Arc<ByteLocks>,
    number: u64,
}

/// A lock that nobody else has, until it is dropped.
#[derive(Debug)]
pub struct Alone {
    file: File,
    number: u64,
}

impl ByteLocks {
    /// Opens a file of locks, and makes it if there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: open(path)?,
            held: Mutex::default(),
        })
    }

    /// Takes the lock of a number together with others; none if somebody has it alone.
    pub fn share(self: &Arc<Self>, number: u64) -> io::Result<Option<Shared>> {
        let mut held = self.held();
        let count = held.get(&number).copied().unwrap_or_default();
        if count == 0 && !set(&self.file, libc::F_RDLCK, number)? {
            return Ok(None);
        }
        held.insert(number, count + 1);
        Ok(Some(Shared {
            locks: Arc::clone(self),
            number,
        }))
    }

    /// Takes the lock of a number that nobody has, this process neither; none if somebody has it.
    pub fn alone(path: &Path, number: u64) -> io::Result<Option<Alone>> {
        let file = open(path)?;
        let is_locked = set(&file, libc::F_WRLCK, number)?;
        Ok(is_locked.then(|| Alone { file, number }))
    }

    fn held(&self) -> MutexGuard<'_, HashMap<u64, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut held = self.locks.held();
        let Some(count) = held.get_mut(&self.number) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            held.remove(&self.number);
            // What cannot be given back is when the process ends.
            let _ = set(&self.locks.file, libc::F_UNLCK, self.number);
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // A process that is just being started has the file open, too, until it becomes its program.
        let _ = set(&self.file, libc::F_UNLCK, self.number);
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let options = options.read(true).write(true).create(true);
    options.truncate(false).open(path)
}

/// Sets the lock of one byte, and does not wait; tells whether it could be.
fn set(file: &File, kind: libc::c_int, number: u64) -> io::Result<bool> {
    // SAFETY: the structure is plain numbers, and zeros are of it.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    let short = |number| libc::c_short::try_from(number).expect("it is a small number");
    range.l_type = short(kind);
    range.l_whence = short(libc::SEEK_SET);
    // A file has 2^63 bytes at most, and nobody is to reckon close to that. Numbers that come to one
    // byte share its lock: then more is locked than need be.
    range.l_start = (number & (u64::MAX >> 2)).cast_signed();
    range.l_len = 1;
    // SAFETY: the file is open and the structure lives through the call.
    let set = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const range) };
    if set == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::ByteLocks;

    #[test]
    fn a_number_is_shared_or_has_one_holder() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("locks");
        let [one, other] = [(); 2].map(|()| Arc::new(ByteLocks::open(&path).unwrap()));
        let is_free = |number| ByteLocks::alone(&path, number).unwrap().is_some();
        for number in [7, u64::MAX] {
            let first = one.share(number).unwrap().unwrap();
            let second = one.share(number).unwrap().unwrap();
            let third = other.share(number).unwrap().unwrap();
            assert!(!is_free(number));
            assert!(is_free(8));
            drop((first, third));
            assert!(!is_free(number), "it is still held once");
            drop(second);
            let alone = ByteLocks::alone(&path, number).unwrap();
            assert!(alone.is_some());
            assert!(one.share(number).unwrap().is_none());
            drop(alone);
            assert!(one.share(number).unwrap().is_some());
        }
    }
}
