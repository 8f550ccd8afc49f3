//! Snapshots that this process keeps from being removed, by locks that every process sees.
//!
//! A lock is on a byte of one file, of which the place is the number of the snapshot's directory: so
//! a chain takes one descriptor, however high it is.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::Weak;

use crate::snapshot::Error;
use crate::snapshot::Result;
use crate::snapshot::SnapshotId;
use crate::snapshot::error::cannot;
use crate::sys::byte_lock::Alone;
use crate::sys::byte_lock::ByteLocks;
use crate::sys::byte_lock::Shared;

/// The file of the locks.
const LOCKS: &str = ".holds";

/// A snapshot that nobody removes while this lives.
#[derive(Debug)]
pub(super) struct Held {
    _lock: Shared,
    /// The number of its directory.
    number: u64,
    /// Set once it is known that there is a tree; while it is held, that stays so.
    tree: OnceLock<()>,
}

impl Held {
    /// Says whether this keeps the directory of a number.
    pub(super) fn is_of(&self, number: u64) -> bool {
        self.number == number
    }
}

/// What is held. The next instruction mostly wants the chain of the last one and one snapshot more,
/// and a chain is long: it stays held until another is asked for.
#[derive(Debug)]
pub(super) struct Holds {
    store: PathBuf,
    locks: OnceLock<Arc<ByteLocks>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<SnapshotId, Weak<Held>>,
    last: Vec<Arc<Held>>,
}

impl Holds {
    /// Holds nothing yet of the snapshots that stand in `store`.
    pub(super) fn new(store: &Path) -> Self {
        Self {
            store: store.to_owned(),
            locks: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// Holds a chain.
    pub(super) fn take(&self, chain: &[SnapshotId]) -> Result<Vec<Arc<Held>>> {
        let mut state = self.state();
        let all = chain.iter().map(|id| self.hold(&mut state, id));
        let all = all.collect::<Result<Vec<_>>>()?;
        state.last.clone_from(&all);
        Ok(all)
    }

    /// Holds one snapshot by itself.
    pub(super) fn take_one(&self, id: &SnapshotId) -> Result<Arc<Held>> {
        self.hold(&mut self.state(), id)
    }

    /// Has a snapshot for who removes it, if there is one. It is held no longer for the instruction
    /// that may come next.
    pub(super) fn take_away(&self, id: &SnapshotId) -> Result<Option<Alone>> {
        let place = self.store.join(id.as_str());
        let Some(number) = number(&place)? else {
            return Ok(None);
        };
        let mut state = self.state();
        if state.last.iter().any(|held| held.is_of(number)) {
            state.last.clear();
        }
        drop(state);
        let locks = self.store.join(LOCKS);
        let alone = ByteLocks::alone(&locks, number).map_err(cannot("lock", locks))?;
        let in_use = || Error::InUse { id: id.clone() };
        alone.map(Some).ok_or_else(in_use)
    }

    /// Says whether a snapshot has a tree, and asks only once while it is held.
    pub(super) fn has_tree(&self, id: &SnapshotId, find: impl FnOnce() -> bool) -> bool {
        let held = self.state().held.get(id).and_then(Weak::upgrade);
        let Some(held) = held else {
            return find();
        };
        let found = held.tree.get().is_some() || find();
        if found {
            held.tree.get_or_init(|| ());
        }
        found
    }

    fn hold(&self, state: &mut State, id: &SnapshotId) -> Result<Arc<Held>> {
        if let Some(held) = state.held.get(id).and_then(Weak::upgrade) {
            return Ok(held);
        }
        let held = Arc::new(self.lock(id)?);
        state.held.insert(id.clone(), Arc::downgrade(&held));
        Ok(held)
    }

    /// Locks the directory of a snapshot against removal.
    fn lock(&self, id: &SnapshotId) -> Result<Held> {
        let missing = || Error::Missing { id: id.clone() };
        let place = self.store.join(id.as_str());
        let found = number(&place)?.ok_or_else(missing)?;
        let locked = self.locks()?.share(found);
        // Whoever removes it has it alone.
        let lock = locked
            .map_err(cannot("lock", &place))?
            .ok_or_else(missing)?;
        if number(&place)? != Some(found) {
            return Err(missing());
        }
        Ok(Held {
            _lock: lock,
            number: found,
            tree: OnceLock::new(),
        })
    }

    fn locks(&self) -> Result<&Arc<ByteLocks>> {
        if let Some(locks) = self.locks.get() {
            return Ok(locks);
        }
        let path = self.store.join(LOCKS);
        let opened = ByteLocks::open(&path).map_err(cannot("lock", path))?;
        Ok(self.locks.get_or_init(|| Arc::new(opened)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the number of a directory, if it is there.
pub(super) fn number(place: &Path) -> Result<Option<u64>> {
    match fs::metadata(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found
            .map(|found| Some(found.ino()))
            .map_err(cannot("read", place)),
    }
}
