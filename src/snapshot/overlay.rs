//! Snapshots for overlayfs: a change set on disk is an upper directory as the kernel leaves it.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
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
use crate::snapshot::alias;
use crate::snapshot::error::cannot;
use crate::snapshot::error::on_tree;
use crate::snapshot::ground::Grounds;
use crate::snapshot::ground::mount;
use crate::snapshot::hold::Held;
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
    shelf: Arc<Shelf>,
    /// What is known of snapshots that were asked for; it stays so.
    known: Mutex<HashMap<SnapshotId, Arc<Known>>>,
    grounds: Arc<Grounds>,
}

/// What a mount has to know of a snapshot.
#[derive(Debug)]
struct Known {
    /// The snapshot that it is another name of, or its own.
    own: SnapshotId,
    /// The directories that it implies.
    implied: BTreeSet<PathBuf>,
    /// Whether there is nothing in it. Laid below another it then shows nothing, not even its root
    /// directory, and a mount takes longer with each layer it has.
    is_empty: bool,
}

impl Overlay {
    /// Opens the snapshots in `store`, a directory that is made if it is missing.
    pub fn open(store: &Path) -> Result<Self> {
        Self::on(Arc::new(Shelf::open(store)?))
    }

    pub(super) fn on(shelf: Arc<Shelf>) -> Result<Self> {
        shelf.check_form(Kind::Overlay)?;
        Ok(Self {
            shelf,
            known: Mutex::default(),
            grounds: Arc::default(),
        })
    }

    fn know(&self, id: &SnapshotId) -> Result<Arc<Known>> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(id) {
            return Ok(Arc::clone(known));
        }
        let place = self.shelf.place(id);
        let entries = fs::read_dir(self.shelf.tree(id));
        let known = Arc::new(Known {
            own: alias::target(&place).unwrap_or_else(|| id.clone()),
            implied: implied::noted(&place)?,
            is_empty: entries.is_ok_and(|mut entries| entries.next().is_none()),
        });
        all.insert(id.clone(), Arc::clone(&known));
        Ok(known)
    }

    /// Forgets the mounts that keep a snapshot from being removed.
    fn let_go(&self, id: &SnapshotId) -> Result<()> {
        if let Some(number) = self.shelf.number(id)? {
            self.grounds.let_go(number);
        }
        Ok(())
    }

    /// The trees of a chain, the lowest first, and those that have to be made for it.
    fn lowers(&self, chain: &[SnapshotId]) -> Result<(Vec<PathBuf>, Option<Scratch>)> {
        let known = chain.iter().map(|id| self.know(id));
        let known: Vec<Arc<Known>> = known.collect::<Result<_>>()?;
        let mut highest = HashMap::new();
        for (index, known) in known.iter().enumerate() {
            highest.insert(&known.own, index);
        }
        let mut shown: Vec<usize> = highest.into_values().collect();
        shown.sort_unstable();
        let mut lowers = Vec::new();
        let mut covers = None;
        // One directory cannot be laid over itself: it is seen where it lies highest.
        for index in shown {
            let Known {
                implied, is_empty, ..
            } = &*known[index];
            if *is_empty && index + 1 < chain.len() {
                continue;
            }
            let tree = self.shelf.tree(&chain[index]);
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
            let below = self.mount_view(&lowers, None)?;
            implied::cover(&cover, &tree, below.dir(), implied)?;
            lowers.extend([tree, cover]);
        }
        Ok((lowers, covers))
    }

    /// Mounts trees to be read; a ground may be used if they are kept.
    fn mount_view(&self, trees: &[PathBuf], held: Option<&[Arc<Held>]>) -> Result<Root> {
        let empty = self.shelf.empty();
        // A mount of one layer needs a second.
        let padded = [&empty, trees.first().unwrap_or(&empty)].map(PathBuf::clone);
        let overlay = Mount {
            ground: None,
            lowers: if trees.len() > 1 { trees } else { &padded },
            upper: None,
            options: &[],
        };
        match held {
            Some(held) => self.grounds.mount(&overlay, &empty, held),
            None => mount(&overlay, &empty),
        }
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
            held,
            grounds: covers.is_none().then(|| Arc::clone(&self.grounds)),
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
        // What was made for this chain is no ground for another.
        let root = self.mount_view(&lowers, covers.is_none().then_some(&held))?;
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
        self.let_go(id)?;
        self.shelf.remove(id)
    }

    fn remove_all(&self, ids: &[SnapshotId]) -> Result<Removed> {
        ids.iter().try_for_each(|id| self.let_go(id))?;
        self.shelf.remove_all(ids)
    }

    fn prune(&self) -> Result<usize> {
        self.shelf.prune()
    }
}
