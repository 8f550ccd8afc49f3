//! Reading and writing that ends when the work shall stop.

use std::io;
use std::io::Read;
use std::io::Write;

use crate::solver::Cancel;

/// A reader or writer that fails once the work shall stop.
pub(super) struct Stoppable<'a, T> {
    pub(super) inner: T,
    pub(super) cancel: &'a Cancel,
}

impl<T> Stoppable<'_, T> {
    fn check(&self) -> io::Result<()> {
        match self.cancel.is_canceled() {
            true => Err(io::Error::other("canceled")),
            false => Ok(()),
        }
    }
}

impl<T: Read> Read for Stoppable<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.read(buffer)
    }
}

impl<T: Write> Write for Stoppable<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
