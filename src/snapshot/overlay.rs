//! Snapshots for overlayfs: a change set on disk is an upper directory as the kernel leaves it.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::snapshot::Active;
use crate::snapshot::Result;
use crate::snapshot::SnapshotId;
use crate::snapshot::Snapshotter;
use crate::snapshot::Stack;
use crate::snapshot::View;
use crate::snapshot::active::mount;
use crate::snapshot::alias;
use crate::snapshot::error::cannot;
use crate::snapshot::error::on_tree;
use crate::snapshot::implied;
use crate::snapshot::scratch;
use crate::snapshot::scratch::Scratch;
use crate::snapshot::shelf::Shelf;
use crate::snapshot::shelf::TREE;
use crate::sys::Dir;
use crate::sys::Overlay as Mount;
use crate::sys::Root;
use crate::sys::Timestamp;

/// What overlayfs needs beside the tree.
const WORK: &str = "work";

/// Snapshots that overlayfs lays over each other.
#[derive(Debug)]
pub struct Overlay {
    shelf: Shelf,
}

impl Overlay {
    /// Opens the snapshots in `store`, a directory that is made if it is missing.
    pub fn open(store: &Path) -> Result<Self> {
        let shelf = Shelf::open(store)?;
        Ok(Self { shelf })
    }

    /// The trees of a chain, the lowest first, and those that have to be made for it.
    fn lowers(&self, chain: &[SnapshotId]) -> Result<(Vec<PathBuf>, Option<Scratch>)> {
        let own =
            |id: &SnapshotId| alias::target(&self.shelf.place(id)).unwrap_or_else(|| id.clone());
        let own: Vec<SnapshotId> = chain.iter().map(own).collect();
        let mut lowers = Vec::new();
        let mut covers = None;
        for (index, id) in chain.iter().enumerate() {
            // One directory cannot be laid over itself: it is seen where it lies highest.
            if own[index + 1..].contains(&own[index]) {
                continue;
            }
            let tree = self.shelf.tree(id);
            let implied = implied::noted(&self.shelf.place(id))?;
            if lowers.is_empty() || implied.is_empty() {
                lowers.push(tree);
                continue;
            }
            let covers = match &mut covers {
                Some(covers) => covers,
                none => none.insert(self.shelf.scratch()?),
            };
            let cover = covers.path().join(index.to_string());
            fs::create_dir(&cover).map_err(cannot("create", &cover))?;
            let below = self.mount_view(&lowers)?;
            implied::cover(&cover, &tree, below.dir(), &implied)?;
            lowers.extend([tree, cover]);
        }
        Ok((lowers, covers))
    }

    /// A mount of one layer needs a second.
    fn mount_view(&self, trees: &[PathBuf]) -> Result<Root> {
        let empty = self.shelf.empty();
        let mut lowers = vec![empty.clone()];
        lowers.extend_from_slice(trees);
        let overlay = Mount {
            lowers: &lowers,
            upper: None,
            options: &[],
        };
        mount(&overlay, &empty)
    }
}

impl Snapshotter for Overlay {
    fn prepare(&self, chain: &[SnapshotId]) -> Result<Active> {
        let held = self.shelf.hold(chain)?;
        let scratch = self.shelf.scratch()?;
        let (upper, work) = (scratch.path().join(TREE), scratch.path().join(WORK));
        let dir = Dir::open(scratch.path()).map_err(on_tree(scratch.path()))?;
        let top = chain.last().map(|id| self.shelf.tree(id));
        let make = || {
            dir.make_dir(WORK, 0o700)?;
            dir.make_dir(TREE, 0o755)?;
            // The root directory has the owner and mode that the topmost layer gives it.
            let Some(top) = top else {
                return Ok(());
            };
            let stat = Dir::open(&top)?.stat(".")?;
            dir.set_owner(TREE, stat.owner)?;
            dir.set_mode(TREE, stat.mode)
        };
        make().map_err(on_tree(&upper))?;
        let (lowers, covers) = self.lowers(chain)?;
        Ok(Active {
            scratch,
            stack: Stack::Overlay {
                lowers,
                upper,
                work,
            },
            base: None,
            _held: held,
            _covers: covers,
        })
    }

    fn commit(&self, active: Active, id: Option<SnapshotId>) -> Result<SnapshotId> {
        scratch::remove_tree(&active.scratch.path().join(WORK))?;
        self.shelf.keep(active.scratch, id)
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
        let (lowers, covers) = self.lowers(chain)?;
        let root = self.mount_view(&lowers)?;
        Ok(View {
            root,
            _held: held,
            _made: covers.map(Arc::new),
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

    fn prune(&self) -> Result<usize> {
        self.shelf.prune()
    }
}
