//! Snapshots where nothing can be mounted: a root file system under way is a copy of all that the
//! chain has, and what changed in it is found afterwards.
//!
//! Change sets are kept in the form that overlayfs has them in, so a store can be used by both.
//! What it costs is one copy of the base for a build: when a change set is committed, the copy that
//! it was made in is just what the next instruction wants, and waits for it.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::snapshot::Active;
use crate::snapshot::Kind;
use crate::snapshot::Removed;
use crate::snapshot::Result;
use crate::snapshot::SnapshotId;
use crate::snapshot::Snapshotter;
use crate::snapshot::Stack;
use crate::snapshot::View;
use crate::snapshot::difference;
use crate::snapshot::error::on_tree;
use crate::snapshot::implied;
use crate::snapshot::index::Index;
use crate::snapshot::merge::Part;
use crate::snapshot::merge::merge;
use crate::snapshot::scratch::Scratch;
use crate::snapshot::shelf::Shelf;
use crate::snapshot::shelf::TREE;
use crate::snapshot::transfer::Manner;
use crate::sys::Dir;
use crate::sys::Root;
use crate::sys::Timestamp;

/// How many copies wait for the next instruction; as many stages can be built side by side without
/// copying anything twice.
const SPARE_MAX: usize = 4;

/// How many trees for reading are kept for the next reader.
const VIEWS_MAX: usize = 8;

/// Snapshots that are copied.
#[derive(Debug)]
pub struct Copy {
    shelf: Arc<Shelf>,
    spare: Mutex<Vec<Spare>>,
    views: Mutex<Vec<(Vec<SnapshotId>, Arc<Scratch>)>>,
}

/// What a copy was made of, and what it was then.
#[derive(Debug)]
pub(super) struct Base {
    chain: Vec<SnapshotId>,
    index: Index,
}

/// A copy that nothing is done to.
#[derive(Debug)]
struct Spare {
    base: Base,
    scratch: Scratch,
}

impl Copy {
    /// Opens the snapshots in `store`, a directory that is made if it is missing.
    pub fn open(store: &Path) -> Result<Self> {
        Self::on(Arc::new(Shelf::open(store)?))
    }

    pub(super) fn on(shelf: Arc<Shelf>) -> Result<Self> {
        shelf.check_form(Kind::Copy)?;
        Ok(Self {
            shelf,
            spare: Mutex::default(),
            views: Mutex::default(),
        })
    }

    /// Makes the tree of a chain in a directory of its own.
    fn merged(&self, chain: &[SnapshotId], manner: Manner) -> Result<Scratch> {
        let scratch = self.make()?;
        let part = |id: &SnapshotId| {
            Ok(Part {
                tree: self.shelf.tree(id),
                implied: implied::noted(&self.shelf.place(id))?,
            })
        };
        let parts = chain.iter().map(part).collect::<Result<Vec<_>>>()?;
        let tree = scratch.path().join(TREE);
        merge(&parts, &tree, manner).map_err(on_tree(&tree))?;
        Ok(scratch)
    }

    /// Makes an empty tree.
    fn make(&self) -> Result<Scratch> {
        let scratch = self.shelf.scratch()?;
        let made = Dir::open(scratch.path()).and_then(|dir| dir.make_dir(TREE, 0o755));
        made.map_err(on_tree(scratch.path()))?;
        Ok(scratch)
    }

    /// Takes a copy that waits, or makes one.
    fn take(&self, chain: &[SnapshotId]) -> Result<Spare> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = spare.iter().position(|spare| spare.base.chain == chain) {
            return Ok(spare.remove(found));
        }
        drop(spare);
        let scratch = self.merged(chain, Manner::Copied)?;
        let tree = scratch.path().join(TREE);
        let index = Index::of(&tree).map_err(on_tree(&tree))?;
        let base = Base {
            chain: chain.to_vec(),
            index,
        };
        Ok(Spare { base, scratch })
    }

    /// Keeps the copy that a change set was made in for what comes next on it.
    fn put_back(&self, spare: Spare) {
        let mut all = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = (all.len() == SPARE_MAX).then(|| all.remove(0));
        all.push(spare);
        drop(all);
        drop(oldest);
    }

    /// Finds or makes the tree of a chain for readers.
    fn tree(&self, chain: &[SnapshotId]) -> Result<Arc<Scratch>> {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = views.iter().position(|(of, _)| of == chain) {
            let found = views.remove(found);
            let tree = Arc::clone(&found.1);
            views.push(found);
            return Ok(tree);
        }
        drop(views);
        let made = Arc::new(self.merged(chain, Manner::Linked)?);
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = (views.len() == VIEWS_MAX).then(|| views.remove(0));
        views.push((chain.to_vec(), Arc::clone(&made)));
        drop(views);
        drop(oldest);
        Ok(made)
    }
}

impl Snapshotter for Copy {
    fn prepare(&self, chain: &[SnapshotId]) -> Result<Active> {
        let held = self.shelf.hold(chain)?;
        let (scratch, base) = if chain.is_empty() {
            // The tree and the change set are the same.
            (self.make()?, None)
        } else {
            let Spare { base, scratch } = self.take(chain)?;
            let settled = base.index.settle(scratch.path());
            settled.map_err(on_tree(scratch.path()))?;
            (scratch, Some(base))
        };
        Ok(Active {
            stack: Stack::Directory(scratch.path().join(TREE)),
            scratch,
            base,
            held,
            _covers: None,
            grounds: None,
        })
    }

    fn commit(&self, active: Active, id: Option<SnapshotId>) -> Result<SnapshotId> {
        let Some(mut base) = active.base else {
            return self.shelf.keep(active.scratch, id);
        };
        let changes = self.make()?;
        let (tree, target) = (active.scratch.path().join(TREE), changes.path().join(TREE));
        let extracted = difference::extract(&tree, &base.index, &target);
        base.index = extracted.map_err(on_tree(&tree))?;
        let id = self.shelf.keep(changes, id)?;
        base.chain.push(id.clone());
        self.put_back(Spare {
            base,
            scratch: active.scratch,
        });
        Ok(id)
    }

    fn keep_layer(&self, layer: &[u8]) -> Result<SnapshotId> {
        self.shelf.keep_layer(layer)
    }

    fn layer_alone(&self, id: &SnapshotId) -> Result<Option<Vec<u8>>> {
        self.shelf.layer_alone(id)
    }

    fn view(&self, chain: &[SnapshotId]) -> Result<View> {
        if chain.is_empty() {
            return self.shelf.view_empty();
        }
        let held = self.shelf.hold(chain)?;
        let made = self.tree(chain)?;
        let tree = made.path().join(TREE);
        Ok(View {
            root: Root::open(&tree).map_err(on_tree(tree))?,
            _held: held,
            _made: Some(made),
        })
    }

    fn change_set(&self, id: &SnapshotId) -> Result<View> {
        self.shelf.change_set(id)
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
        self.shelf.remove(id)
    }

    fn remove_all(&self, ids: &[SnapshotId]) -> Result<Removed> {
        self.shelf.remove_all(ids)
    }

    fn prune(&self) -> Result<usize> {
        self.shelf.prune()
    }
}
