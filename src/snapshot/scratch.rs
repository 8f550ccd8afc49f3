//! Directories under way: locked while their process lives, removed when it is done with them.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::snapshot::Result;
use crate::snapshot::SnapshotId;
use crate::snapshot::error::cannot;
use crate::snapshot::error::on_tree;
use crate::sys::Dir;
use crate::sys::family;
use crate::sys::loan;

/// What the name of a directory under way begins with; no snapshot's does.
pub(super) const PREFIX: &str = ".tmp-";

/// Whoever makes a scratch directory holds this shared until it is locked, and who looks whether one
/// is dead holds it alone: between its making and its locking, a new one looks dead.
const LOCK: &str = ".lock";

/// A directory of this process, removed with all in it when dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    /// Holds the lock by which others know that it is in use.
    _lock: File,
}

impl Scratch {
    /// Makes an empty one in a snapshot store.
    pub(super) fn new(store: &Path) -> Result<Self> {
        let making = lock_file(store)?;
        making.lock_shared().map_err(cannot("lock", store))?;
        let path = store.join(format!("{PREFIX}{}", SnapshotId::random()?));
        fs::create_dir(&path).map_err(cannot("create", &path))?;
        let lock = File::open(&path).map_err(cannot("read", &path))?;
        lock.lock_shared().map_err(cannot("lock", &path))?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves it to its final name, unless there is one of that name: equal names stand for equal
    /// content.
    pub(super) fn keep(self, place: &Path) -> Result<Kept> {
        match fs::rename(&self.path, place) {
            // A directory replaces only an empty one: there is one with something in it, or a
            // second name of one.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty
                        | io::ErrorKind::AlreadyExists
                        | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(Kept::Found(self))
            }
            renamed => renamed
                .map(|()| Kept::Moved)
                .map_err(cannot("rename", &self.path)),
        }
    }
}

/// What became of a directory that was finished.
pub(super) enum Kept {
    /// It has its final name.
    Moved,
    /// There was one already, and this one is still what it was.
    Found(Scratch),
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody can be told; what stays is found by the next prune.
        let _ = remove_tree(&self.path);
    }
}

/// Removes what killed processes left half made in a snapshot store; tells how many directories that
/// was. One that cannot be removed keeps no other, and fails it in the end. Others go on meanwhile.
pub fn remove_dead(store: &Path) -> Result<usize> {
    let making = lock_file(store)?;
    let (mut removed, mut failed) = (0, None);
    for entry in fs::read_dir(store).map_err(cannot("read", store))? {
        let path = entry.map_err(cannot("read", store))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if !name.is_some_and(|name| name.starts_with(PREFIX)) {
            continue;
        }
        match remove_if_dead(&path, &making) {
            Ok(is_removed) => removed += usize::from(is_removed),
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(removed), Err)
}

/// Removes a scratch directory if its process is gone; says whether it did.
fn remove_if_dead(path: &Path, making: &File) -> Result<bool> {
    making.lock().map_err(cannot("lock", path))?;
    let taken = take_if_dead(path);
    making.unlock().map_err(cannot("lock", path))?;
    let Some(_taken) = taken? else {
        return Ok(false);
    };
    // What ran in it, where nothing else held it.
    family::end_strays(path).map_err(on_tree(path))?;
    loan::end_all(path).map_err(on_tree(path))?;
    remove_tree(path)?;
    Ok(true)
}

/// Has a scratch directory for itself if its process is gone.
fn take_if_dead(path: &Path) -> Result<Option<File>> {
    let lock = match File::open(path) {
        // Its process removed it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(cannot("read", path))?,
    };
    Ok(lock.try_lock().is_ok().then_some(lock))
}

/// Removes a directory and all below it; nothing there is no failure.
pub(super) fn remove_tree(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let removed = Dir::open(parent).and_then(|dir| dir.remove_all(name));
    removed.map_err(on_tree(path))
}

fn lock_file(store: &Path) -> Result<File> {
    let path = store.join(LOCK);
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    opened.map_err(cannot("create", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_removed_keeps_nothing_else() {
        let store = tempfile::tempdir().unwrap();
        let place = |name: &str| store.path().join(format!("{PREFIX}{name}"));
        // Nobody opens a link to itself.
        std::os::unix::fs::symlink(place("loop"), place("loop")).unwrap();
        for number in 0..20 {
            fs::create_dir(place(&number.to_string())).unwrap();
        }
        let held = Scratch::new(store.path()).unwrap();
        let error = remove_dead(store.path()).unwrap_err();
        assert!(error.to_string().contains("loop"), "{error}");
        assert!((0..20).all(|number| !place(&number.to_string()).exists()));
        assert!(held.path().exists());
        fs::remove_file(place("loop")).unwrap();
        assert_eq!(remove_dead(store.path()).unwrap(), 0);
    }
}
