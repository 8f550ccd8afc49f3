//! Snapshots that this process keeps from being removed, by locks that every process sees.

use std::collections::HashMap;
use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
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

/// A snapshot that nobody removes while this lives.
#[derive(Debug)]
pub(super) struct Held {
    _lock: File,
    /// Set once it is known that there is a tree; while it is held, that stays so.
    tree: OnceLock<()>,
}

/// What is held. The next instruction mostly wants the chain of the last one and one snapshot more,
/// and a chain is long: it stays held until another is asked for.
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    held: HashMap<SnapshotId, Weak<Held>>,
    last: Vec<Arc<Held>>,
}

impl Holds {
    /// Holds a chain of the snapshots that stand in `store`.
    pub(super) fn take(&self, store: &Path, chain: &[SnapshotId]) -> Result<Vec<Arc<Held>>> {
        let mut state = self.state();
        let all = chain.iter().map(|id| state.hold(store, id));
        let all = all.collect::<Result<Vec<_>>>()?;
        state.last.clone_from(&all);
        Ok(all)
    }

    /// Holds one snapshot by itself.
    pub(super) fn take_one(&self, store: &Path, id: &SnapshotId) -> Result<Arc<Held>> {
        self.state().hold(store, id)
    }

    /// Holds nothing any more that nobody uses.
    pub(super) fn let_go(&self) {
        self.state().last.clear();
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hold(&mut self, store: &Path, id: &SnapshotId) -> Result<Arc<Held>> {
        if let Some(held) = self.held.get(id).and_then(Weak::upgrade) {
            return Ok(held);
        }
        let held = Arc::new(lock(&store.join(id.as_str()), id)?);
        self.held.insert(id.clone(), Arc::downgrade(&held));
        Ok(held)
    }
}

/// Locks the directory of a snapshot against removal.
fn lock(place: &Path, id: &SnapshotId) -> Result<Held> {
    let missing = || Error::Missing { id: id.clone() };
    let lock = match File::open(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
        opened => opened.map_err(cannot("read", place))?,
    };
    // Whoever removes it has it alone.
    lock.try_lock_shared().map_err(|_| missing())?;
    let now = fs::metadata(place).map_err(|_| missing())?;
    let ours = lock.metadata().map_err(cannot("read", place))?;
    if now.ino() != ours.ino() {
        return Err(missing());
    }
    Ok(Held {
        _lock: lock,
        tree: OnceLock::new(),
    })
}
