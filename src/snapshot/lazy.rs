//! Snapshots whose kind is decided when the first root file system is asked for: what is known of
//! change sets by their names alone needs neither mounts nor copies.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;

use crate::snapshot::Active;
use crate::snapshot::Copy;
use crate::snapshot::Overlay;
use crate::snapshot::Removed;
use crate::snapshot::Result;
use crate::snapshot::SnapshotId;
use crate::snapshot::Snapshotter;
use crate::snapshot::View;
use crate::snapshot::shelf::Shelf;
use crate::sys::Timestamp;
use crate::sys::lease::Lease;

/// How root file systems are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By laying directories over each other.
    Overlay,
    /// By copying.
    Copy,
}

/// Snapshots of a kind that is decided late.
pub struct Lazy {
    shelf: Arc<Shelf>,
    decide: Box<dyn Fn() -> Kind + Send + Sync>,
    decided: OnceLock<Box<dyn Snapshotter>>,
}

impl Lazy {
    /// Opens the snapshots in `store`, a directory that is made if it is missing.
    pub fn open(store: &Path, decide: impl Fn() -> Kind + Send + Sync + 'static) -> Result<Self> {
        Self::claiming(None, store, decide)
    }

    /// Opens them for a process that claims what it is told of and what it makes, so that nobody
    /// removes it.
    pub fn claiming(
        lease: Option<Arc<Lease>>,
        store: &Path,
        decide: impl Fn() -> Kind + Send + Sync + 'static,
    ) -> Result<Self> {
        Ok(Self {
            shelf: Arc::new(Shelf::open(store)?.claiming(lease)),
            decide: Box::new(decide),
            decided: OnceLock::new(),
        })
    }

    /// Fails where no root file system could be made or read, since the change sets there are have
    /// files of users that this process does not know, or have another form than it makes.
    ///
    /// # Errors
    /// [`Owners`](crate::snapshot::Error::Owners) or [`Form`](crate::snapshot::Error::Form), which is what making one would fail with.
    pub fn check(&self) -> Result<()> {
        self.shelf.try_form((self.decide)()).map(drop)
    }

    fn decided(&self) -> Result<&dyn Snapshotter> {
        if let Some(decided) = self.decided.get() {
            return Ok(decided.as_ref());
        }
        let shelf = Arc::clone(&self.shelf);
        let decided: Box<dyn Snapshotter> = match (self.decide)() {
            Kind::Overlay => Box::new(Overlay::on(shelf)?),
            Kind::Copy => Box::new(Copy::on(shelf)?),
        };
        Ok(self.decided.get_or_init(|| decided).as_ref())
    }
}

impl fmt::Debug for Lazy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Lazy")
            .field("shelf", &self.shelf)
            .field("decided", &self.decided)
            .finish_non_exhaustive()
    }
}

impl Snapshotter for Lazy {
    fn prepare(&self, chain: &[SnapshotId]) -> Result<Active> {
        self.decided()?.prepare(chain)
    }

    fn commit(&self, active: Active, id: Option<SnapshotId>) -> Result<SnapshotId> {
        self.decided()?.commit(active, id)
    }

    fn keep_layer(&self, layer: &[u8]) -> Result<SnapshotId> {
        self.shelf.keep_layer(layer)
    }

    fn layer_alone(&self, id: &SnapshotId) -> Result<Option<Vec<u8>>> {
        self.shelf.layer_alone(id)
    }

    fn view(&self, chain: &[SnapshotId]) -> Result<View> {
        self.decided()?.view(chain)
    }

    fn change_set(&self, id: &SnapshotId) -> Result<View> {
        self.decided()?.change_set(id)
    }

    fn exists(&self, id: &SnapshotId) -> bool {
        self.shelf.exists(id)
    }

    fn alias(&self, id: &SnapshotId, name: &SnapshotId) -> Result<()> {
        self.shelf.alias(id, name)
    }

    fn own_name(&self, id: &SnapshotId) -> Option<SnapshotId> {
        self.shelf.own_name(id)
    }

    fn created(&self, id: &SnapshotId) -> Result<Timestamp> {
        self.shelf.created(id)
    }

    fn list(&self) -> Result<Vec<SnapshotId>> {
        self.shelf.list()
    }

    fn remove(&self, id: &SnapshotId) -> Result<()> {
        match self.decided.get() {
            Some(decided) => decided.remove(id),
            None => self.shelf.remove(id),
        }
    }

    fn remove_all(&self, ids: &[SnapshotId]) -> Result<Removed> {
        match self.decided.get() {
            Some(decided) => decided.remove_all(ids),
            None => self.shelf.remove_all(ids),
        }
    }

    fn prune(&self) -> Result<usize> {
        self.shelf.prune()
    }
}
