//! Files that appear complete or not at all, and are of bytes.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;

use crate::store::Error;
use crate::store::Store;
use crate::sys::file::open_regular;

/// After how many bytes those before are written to the disk, while more come.
const SYNC_BYTES: usize = 8 << 20;

/// Reads a file. One that is not of bytes is refused, as one of a foreign layout may be.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file in `tmp` that is removed unless it is put in its place.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    pub(super) file: File,
    placed: bool,
    /// How many bytes came since the last sync was begun.
    unsynced: usize,
    syncing: Option<JoinHandle<io::Result<()>>>,
}

impl Temporary {
    pub(super) fn create(store: &Store) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{number}", process::id());
            store.claim(&name)?;
            let path = store.temporary_folder().join(name);
            let created = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path);
            match created {
                Ok(file) => {
                    return Ok(Self {
                        path,
                        file,
                        placed: false,
                        unsynced: 0,
                        syncing: None,
                    });
                }
                // A killed process, or one in another pid namespace, has used the name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::Write { path, source }),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds bytes and gives how many were taken. The disk begins to take them early, so that
    /// [`place`](Self::place) need not wait for all of them.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.unsynced += count;
        let is_idle = self.syncing.as_ref().is_none_or(JoinHandle::is_finished);
        if self.unsynced >= SYNC_BYTES && is_idle {
            self.synced()?;
            let file = self.file.try_clone()?;
            let thread = thread::Builder::new().name("sync".to_owned());
            // Where there can be none, whoever places the file waits for all of its bytes.
            self.syncing = thread.spawn(move || file.sync_data()).ok();
            self.unsynced = 0;
        }
        Ok(count)
    }

    /// Waits for the sync that was begun last. The kernel tells of a failure once only.
    fn synced(&mut self) -> io::Result<()> {
        let synced = self.syncing.take().map(JoinHandle::join);
        synced.map_or(Ok(()), |synced| {
            synced.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Makes the bytes durable and gives the file its name, replacing what had that name.
    pub(super) fn place(mut self, path: &Path) -> Result<(), Error> {
        let write = |source| Error::Write {
            path: path.to_owned(),
            source,
        };
        let synced = self.synced().and_then(|()| self.file.sync_data());
        synced.map_err(write)?;
        fs::rename(&self.path, path).map_err(write)?;
        self.placed = true;
        Ok(())
    }
}

impl Temporary {
    /// Gives the file its name without waiting for the disk: after a power cut it may be torn.
    pub(super) fn place_unsynced(mut self, path: &Path) -> Option<()> {
        fs::rename(&self.path, path).ok()?;
        self.placed = true;
        Some(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed {
            // What remains is garbage that pruning removes.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Replaces the file at `path` by one that holds `bytes`.
pub(super) fn replace(store: &Store, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    let mut temporary = Temporary::create(store)?;
    temporary.file.write_all(bytes).map_err(write)?;
    temporary.place(path)?;
    let folder = path.parent().expect("every file of a store is in a folder");
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(write)
}
