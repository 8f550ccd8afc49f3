//! Who may do what at the same time.

use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::store::Error;
use crate::store::Store;

/// Holds off pruning while blobs that no image names yet are written or read.
#[derive(Debug)]
pub struct Shared {
    /// The kernel gives the lock back when the file is closed, also that of a killed process.
    _file: Option<File>,
}

/// Has the store for itself.
#[derive(Debug)]
pub struct Alone {
    _file: File,
}

impl Store {
    /// Holds off pruning until the guard is dropped; waits while another process prunes.
    ///
    /// On a file system that cannot be written there is nothing to hold off.
    ///
    /// # Errors
    /// [`Error::Lock`] if the kernel refuses.
    pub fn share(&self) -> Result<Shared, Error> {
        let path = self.root().join("lock");
        let file = match open(&path) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                return Ok(Shared { _file: None });
            }
            Err(source) => return Err(Error::Lock { path, source }),
        };
        match file.lock_shared() {
            Ok(()) => Ok(Shared { _file: Some(file) }),
            Err(source) => Err(Error::Lock { path, source }),
        }
    }

    /// Takes the store for itself; does not wait.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process works with it, [`Error::Lock`] if the kernel refuses.
    pub fn alone(&self) -> Result<Alone, Error> {
        let path = self.root().join("lock");
        let file = match open(&path) {
            Ok(file) => file,
            Err(source) => return Err(Error::Lock { path, source }),
        };
        match file.try_lock() {
            Ok(()) => Ok(Alone { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse {
                root: self.root().to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(Error::Lock { path, source }),
        }
    }

    /// Waits for the right to rewrite the index.
    pub(super) fn lock_index(&self) -> Result<File, Error> {
        let path: PathBuf = self.root().join("index.lock");
        let error = |source| Error::Lock {
            path: path.clone(),
            source,
        };
        let file = open(&path).map_err(error)?;
        file.lock().map_err(error)?;
        Ok(file)
    }
}

/// Locking needs no right to write, so a file that is there is opened for reading only.
fn open(path: &Path) -> io::Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path),
        opened => opened,
    }
}
