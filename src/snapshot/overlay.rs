//! Snapshots for overlayfs: a change set on disk is an upper directory as the kernel leaves it.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::snapshot::Active;
use crate::snapshot::Error;
use crate::snapshot::Result;
use crate::snapshot::SnapshotId;
use crate::snapshot::Snapshotter;
use crate::snapshot::Stack;
use crate::snapshot::View;
use crate::snapshot::active::mount;
use crate::snapshot::error::cannot;
use crate::snapshot::error::on_tree;
use crate::snapshot::implied;
use crate::snapshot::scratch;
use crate::snapshot::scratch::Scratch;
use crate::sys::Dir;
use crate::sys::Overlay as Mount;
use crate::sys::Root;
use crate::sys::Timestamp;

/// The tree of a snapshot, in its directory.
const TREE: &str = "fs";

/// What overlayfs needs beside it.
const WORK: &str = "work";

/// A directory with nothing in it: a mount of one layer needs a second.
const EMPTY: &str = ".empty";

/// Snapshots that overlayfs lays over each other.
#[derive(Debug)]
pub struct Overlay {
    store: PathBuf,
}

impl Overlay {
    /// Opens the snapshots in `store`, a directory that is made if it is missing.
    pub fn open(store: &Path) -> Result<Self> {
        let empty = store.join(EMPTY);
        fs::create_dir_all(&empty).map_err(cannot("create", empty))?;
        Ok(Self {
            store: store.to_owned(),
        })
    }

    fn place(&self, id: &SnapshotId) -> PathBuf {
        self.store.join(id.as_str())
    }

    fn tree(&self, id: &SnapshotId) -> PathBuf {
        self.place(id).join(TREE)
    }

    fn hold(&self, chain: &[SnapshotId]) -> Result<Vec<File>> {
        let hold = |id| scratch::hold(&self.place(id), id);
        chain.iter().map(hold).collect()
    }

    /// The trees of a chain, the lowest first, and those that have to be made for it.
    fn lowers(&self, chain: &[SnapshotId]) -> Result<(Vec<PathBuf>, Option<Scratch>)> {
        let mut lowers = Vec::new();
        let mut covers = None;
        for (index, id) in chain.iter().enumerate() {
            let tree = self.tree(id);
            let implied = implied::noted(&self.place(id))?;
            if index == 0 || implied.is_empty() {
                lowers.push(tree);
                continue;
            }
            let covers = match &mut covers {
                Some(covers) => covers,
                none => none.insert(Scratch::new(&self.store)?),
            };
            let cover = covers.path().join(index.to_string());
            fs::create_dir(&cover).map_err(cannot("create", &cover))?;
            let below = self.mount_view(&lowers)?;
            implied::cover(&cover, &tree, below.dir(), &implied)?;
            lowers.extend([tree, cover]);
        }
        Ok((lowers, covers))
    }

    fn mount_view(&self, trees: &[PathBuf]) -> Result<Root> {
        let empty = self.store.join(EMPTY);
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
        let held = self.hold(chain)?;
        let scratch = Scratch::new(&self.store)?;
        let (upper, work) = (scratch.path().join(TREE), scratch.path().join(WORK));
        let dir = Dir::open(scratch.path()).map_err(on_tree(scratch.path()))?;
        let top = chain.last().map(|id| self.tree(id));
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
            _held: held,
            _covers: covers,
        })
    }

    fn commit(&self, active: Active, id: Option<SnapshotId>) -> Result<SnapshotId> {
        let id = match id {
            Some(id) => id,
            None => SnapshotId::random()?,
        };
        scratch::remove_tree(&active.scratch.path().join(WORK))?;
        active.scratch.keep(&self.place(&id))?;
        Ok(id)
    }

    fn view(&self, chain: &[SnapshotId]) -> Result<View> {
        let held = self.hold(chain)?;
        if chain.is_empty() {
            let empty = self.store.join(EMPTY);
            let root = Root::open(&empty).map_err(on_tree(empty))?;
            return Ok(View {
                root,
                _held: held,
                _covers: None,
            });
        }
        let (lowers, covers) = self.lowers(chain)?;
        let root = self.mount_view(&lowers)?;
        Ok(View {
            root,
            _held: held,
            _covers: covers,
        })
    }

    fn change_set(&self, id: &SnapshotId) -> Result<View> {
        let held = self.hold(std::slice::from_ref(id))?;
        let tree = self.tree(id);
        let root = Root::open(&tree).map_err(on_tree(tree))?;
        Ok(View {
            root,
            _held: held,
            _covers: None,
        })
    }

    fn exists(&self, id: &SnapshotId) -> bool {
        self.place(id).is_dir()
    }

    /// The last thing that changes the directory of a snapshot is its commit.
    fn created(&self, id: &SnapshotId) -> Result<Timestamp> {
        let missing = || Error::Missing { id: id.clone() };
        let place = Dir::open(&self.place(id)).map_err(|_| missing())?;
        let stat = place.stat(".").map_err(on_tree(self.place(id)))?;
        Ok(stat.modified)
    }

    fn list(&self) -> Result<Vec<SnapshotId>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.store).map_err(cannot("read", &self.store))? {
            let name = entry.map_err(cannot("read", &self.store))?.file_name();
            let name = name.into_string().unwrap_or_default();
            found.extend(SnapshotId::new(name).ok());
        }
        found.sort();
        Ok(found)
    }

    fn remove(&self, id: &SnapshotId) -> Result<()> {
        let place = self.place(id);
        let alone = match File::open(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(cannot("read", &place))?,
        };
        alone
            .try_lock()
            .map_err(|_| Error::InUse { id: id.clone() })?;
        // First out of sight, at once, then piece by piece.
        let grave = Scratch::new(&self.store)?;
        fs::rename(&place, grave.path().join(TREE)).map_err(cannot("rename", &place))
    }

    fn prune(&self) -> Result<usize> {
        scratch::remove_dead(&self.store)
    }
}
