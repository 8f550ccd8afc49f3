//! Who may do what at the same time.

use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::store::Error;
use crate::store::Store;
use crate::sys::lease;
use crate::sys::lease::Claims;
use crate::sys::lease::Lease;

/// The time in which one process removes what nobody needs, and nobody is told what is there.
#[derive(Debug)]
pub struct Pruning {
    claims: Claims,
    index: File,
    lock: File,
}

impl Pruning {
    /// Says whether no process works with the store, but for those that only list what it has.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        !self.claims.has_claimants
    }

    /// Gives the names of all that a process was told is there, or is about to make.
    pub fn claimed(&self) -> impl Iterator<Item = &str> {
        self.claims.names.iter().map(String::as_str)
    }

    pub(super) fn is_claimed(&self, name: &str) -> bool {
        self.claims.names.contains(name)
    }
}

impl Drop for Pruning {
    fn drop(&mut self) {
        // A process that is being started has these files as well until it becomes its program.
        let _unlocked = self.lock.unlock().and_then(|()| self.index.unlock());
    }
}

impl Store {
    /// From now on, and as long as this or a clone of it lives, no pruning removes what was found
    /// or made through them. Waits while another process prunes.
    ///
    /// On a file system that cannot be written there is no pruning.
    ///
    /// # Errors
    /// [`Error::Lock`] if the kernel refuses.
    pub fn share(&self) -> Result<(), Error> {
        self.hold()?;
        self.settle()
    }

    /// As [`Store::share`], but nothing is pruned at all until [`Store::settle`]: for those who may
    /// be done at once, and then need not write what they found.
    ///
    /// # Errors
    /// [`Error::Lock`] if the kernel refuses.
    pub fn hold(&self) -> Result<(), Error> {
        if self.lease.get().is_some() {
            return Ok(());
        }
        let path = self.lock_path();
        let lease = open(&path).and_then(|lock| Lease::begin(lock, &self.temporary_folder()));
        match lease {
            // Another thread may have been faster.
            Ok(lease) => drop(self.lease.set(Arc::new(lease))),
            Err(source) if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
            Err(source) => return Err(Error::Lock { path, source }),
        }
        Ok(())
    }

    /// Lets others prune what was not found or made by now: to be called before what takes long.
    ///
    /// # Errors
    /// [`Error::Lock`] if the kernel refuses.
    pub fn settle(&self) -> Result<(), Error> {
        let settled = self.lease.get().map_or(Ok(()), |lease| lease.settle());
        settled.map_err(|source| self.cannot_lock(source))
    }

    /// Gives the claims that hold off pruning, if [`Store::hold`] was called: other things in the
    /// store's directory may be claimed as well.
    #[must_use]
    pub fn lease(&self) -> Option<Arc<Lease>> {
        self.lease.get().cloned()
    }

    /// Notes that this process needs what has the name, or will have it.
    pub(super) fn claim(&self, name: &str) -> Result<(), Error> {
        let Some(lease) = self.lease.get() else {
            return Ok(());
        };
        lease.claim(name).map_err(|source| self.cannot_lock(source))
    }

    /// Begins to remove what nobody needs. Those who look for something wait until it is over, and so
    /// do those who name an image.
    ///
    /// Waits for another that prunes, for who names an image, and for as long as a process claims
    /// everything: until it settles, or to its end if it could not write what it claims.
    ///
    /// # Errors
    /// [`Error::Lock`] if the kernel refuses.
    pub fn begin_pruning(&self) -> Result<Pruning, Error> {
        let (lock, index) = self.pruning_locks()?;
        // Neither is awaited while the other is held: who names an image has the index and may claim
        // something, and who claims everything may name an image.
        loop {
            lock.lock().map_err(|source| self.cannot_lock(source))?;
            if self.take(&index)? {
                return self.pruning(lock, index);
            }
            lock.unlock().map_err(|source| self.cannot_lock(source))?;
            let free = index.lock().and_then(|()| index.unlock());
            free.map_err(|source| self.cannot_lock(source))?;
        }
    }

    /// As [`Store::begin_pruning`], but gives none where that would wait.
    ///
    /// # Errors
    /// [`Error::Lock`] if the kernel refuses.
    pub fn try_begin_pruning(&self) -> Result<Option<Pruning>, Error> {
        let (lock, index) = self.pruning_locks()?;
        match self.take(&lock)? && self.take(&index)? {
            true => self.pruning(lock, index).map(Some),
            false => Ok(None),
        }
    }

    fn pruning_locks(&self) -> Result<(File, File), Error> {
        let open = |path: PathBuf| open(&path).map_err(|source| self.cannot_lock(source));
        Ok((open(self.lock_path())?, open(self.index_lock_path())?))
    }

    /// Takes a lock if nobody has it, and says whether it did.
    fn take(&self, lock: &File) -> Result<bool, Error> {
        match lock.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(source)) => Err(self.cannot_lock(source)),
        }
    }

    /// The pruning of who has both locks.
    fn pruning(&self, lock: File, index: File) -> Result<Pruning, Error> {
        let claims =
            lease::claims(&self.temporary_folder()).map_err(|source| self.cannot_lock(source))?;
        Ok(Pruning {
            claims,
            index,
            lock,
        })
    }

    fn cannot_lock(&self, source: io::Error) -> Error {
        Error::Lock {
            path: self.lock_path(),
            source,
        }
    }

    fn index_lock_path(&self) -> PathBuf {
        self.root().join("index.lock")
    }

    fn lock_path(&self) -> PathBuf {
        self.root().join("lock")
    }

    /// Waits for the right to rewrite the index.
    pub(super) fn lock_index(&self) -> Result<File, Error> {
        // It may be awaited for long.
        self.settle()?;
        let path = self.index_lock_path();
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
