//! The directory that snapshots stand in, each in a directory of its name: what all snapshotters
//! do alike.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::snapshot::Error;
use crate::snapshot::Kind;
use crate::snapshot::Removed;
use crate::snapshot::Result;
use crate::snapshot::SnapshotId;
use crate::snapshot::View;
use crate::snapshot::alias;
use crate::snapshot::error::cannot;
use crate::snapshot::error::on_tree;
use crate::snapshot::hold::Held;
use crate::snapshot::hold::Holds;
use crate::snapshot::hold::number;
use crate::snapshot::implied;
use crate::snapshot::owners::Owners;
use crate::snapshot::scratch;
use crate::snapshot::scratch::Kept;
use crate::snapshot::scratch::Scratch;
use crate::sys::Dir;
use crate::sys::Root;
use crate::sys::Timestamp;
use crate::sys::file::make_private_dir;
use crate::sys::lease::Lease;
use crate::sys::remember;

/// The tree of a snapshot, in its directory.
pub(super) const TREE: &str = "fs";

/// What is known of a change set that was never on disk: what its layer is.
const LAYER: &str = "layer";

/// A directory with nothing in it.
const EMPTY: &str = ".empty";

/// A file that says that change sets remember what could not be set, and for which users and groups
/// it could.
const MARK: &str = ".remembers";

/// Where snapshots are kept.
#[derive(Debug)]
pub(super) struct Shelf {
    path: PathBuf,
    holds: Holds,
    /// What this process claims, so that nobody removes it.
    lease: Option<Arc<Lease>>,
}

impl Shelf {
    /// Opens the snapshots in a directory, which is made if it is missing.
    pub(super) fn open(path: &Path) -> Result<Self> {
        make_private_dir(path).map_err(cannot("create", path))?;
        let empty = path.join(EMPTY);
        fs::create_dir_all(&empty).map_err(cannot("create", empty))?;
        Ok(Self {
            path: path.to_owned(),
            holds: Holds::new(path),
            lease: None,
        })
    }

    /// Claims what is asked for, and what is made, under its name.
    pub(super) fn claiming(self, lease: Option<Arc<Lease>>) -> Self {
        Self { lease, ..self }
    }

    fn claim(&self, id: &SnapshotId) -> Result<()> {
        let Some(lease) = &self.lease else {
            return Ok(());
        };
        let claimed = lease.claim(id.as_str());
        claimed.map_err(cannot("lock", &self.path))
    }

    /// Sees to it, before root file systems are made or read in this way, that whoever remembers
    /// owners and whiteouts in attributes, and whoever does not, do not read each other's change
    /// sets: neither would see what is meant. Nor would who has other numbers of users than the
    /// files have.
    pub(super) fn check_form(&self, kind: Kind) -> Result<()> {
        match self.try_form(kind)? {
            Some(owners) => self.note(&owners),
            None => Ok(()),
        }
    }

    /// The same, but notes nothing: gives whose files can be, if that is to be noted.
    pub(super) fn try_form(&self, kind: Kind) -> Result<Option<Owners>> {
        if kind == Kind::Copy {
            remember::try_in(&self.path).map_err(on_tree(&self.path))?;
        }
        let mark = self.path.join(MARK);
        let marked = match fs::read_to_string(&mark) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read.map_err(cannot("read", &mark))?),
        };
        match (remember::is_needed(), marked) {
            (true, None) if self.list()?.is_empty() => Ok(Some(Owners::own())),
            (true, Some(marked)) => self.try_owners(Owners::parse(&marked)),
            (false, None) => Ok(None),
            (is_needed, _) => Err(Error::Form {
                path: self.path.clone(),
                rights: if is_needed { "more" } else { "fewer" },
            }),
        }
    }

    /// Who knows more users than were known so far may use what there is; the others may not use
    /// what he makes. Of files that are not noted to be anybody's, nobody can say whose they are.
    fn try_owners(&self, known: Option<Owners>) -> Result<Option<Owners>> {
        let own = Owners::own();
        let may_use = known.as_ref().is_some_and(|known| own.include(known));
        match () {
            () if known.as_ref() == Some(&own) => Ok(None),
            () if may_use || self.list()?.is_empty() => Ok(Some(own)),
            () => Err(Error::Owners {
                path: self.path.clone(),
            }),
        }
    }

    /// Notes whose files can be, whole or not at all.
    fn note(&self, owners: &Owners) -> Result<()> {
        let draft = self.scratch()?;
        let path = draft.path().join(MARK);
        fs::write(&path, owners.to_string()).map_err(cannot("write", &path))?;
        fs::rename(&path, self.path.join(MARK)).map_err(cannot("rename", &path))
    }

    /// A directory with nothing in it.
    pub(super) fn empty(&self) -> PathBuf {
        self.path.join(EMPTY)
    }

    pub(super) fn place(&self, id: &SnapshotId) -> PathBuf {
        self.path.join(id.as_str())
    }

    pub(super) fn tree(&self, id: &SnapshotId) -> PathBuf {
        self.place(id).join(TREE)
    }

    /// Begins a directory that is gone when it is dropped.
    pub(super) fn scratch(&self) -> Result<Scratch> {
        Scratch::new(&self.path)
    }

    /// Keeps the snapshots of a chain from being removed.
    pub(super) fn hold(&self, chain: &[SnapshotId]) -> Result<Vec<Arc<Held>>> {
        self.holds.take(chain)
    }

    /// Gives the number of a snapshot's directory, if there is one.
    pub(super) fn number(&self, id: &SnapshotId) -> Result<Option<u64>> {
        number(&self.place(id))
    }

    /// Gives a finished directory its name as a snapshot.
    pub(super) fn keep(&self, scratch: Scratch, id: Option<SnapshotId>) -> Result<SnapshotId> {
        let id = match id {
            Some(id) => id,
            None => SnapshotId::random()?,
        };
        self.claim(&id)?;
        let place = self.place(&id);
        alias::forget_dangling(&place)?;
        match scratch.keep(&place)? {
            Kept::Moved => {}
            // It was there already. If only its layer was known, this is its tree.
            Kept::Found(scratch) => fill(&scratch, &place)?,
        }
        Ok(id)
    }

    /// Keeps a change set that only has a layer.
    pub(super) fn keep_layer(&self, layer: &[u8]) -> Result<SnapshotId> {
        let scratch = self.scratch()?;
        let path = scratch.path().join(LAYER);
        fs::write(&path, layer).map_err(cannot("create", path))?;
        self.keep(scratch, None)
    }

    /// Tells what the layer is of a change set that has no tree.
    pub(super) fn layer_alone(&self, id: &SnapshotId) -> Result<Option<Vec<u8>>> {
        self.claim(id)?;
        if self.holds.has_tree(id, || self.tree(id).is_dir()) {
            return Ok(None);
        }
        let path = self.place(id).join(LAYER);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::Missing { id: id.clone() })
            }
            read => read.map(Some).map_err(cannot("read", path)),
        }
    }

    /// The root file system of a chain of nothing.
    pub(super) fn view_empty(&self) -> Result<View> {
        let empty = self.empty();
        Ok(View {
            root: Root::open(&empty).map_err(on_tree(empty))?,
            _held: Vec::new(),
            _made: None,
        })
    }

    pub(super) fn change_set(&self, id: &SnapshotId) -> Result<View> {
        let held = self.holds.take_one(id)?;
        let tree = self.tree(id);
        Ok(View {
            root: Root::open(&tree).map_err(on_tree(tree))?,
            _held: vec![held],
            _made: None,
        })
    }

    /// Claims the name and tells whether there is a snapshot of it.
    pub(super) fn exists(&self, id: &SnapshotId) -> bool {
        // What cannot be claimed is as good as gone.
        self.claim(id).is_ok() && self.place(id).is_dir()
    }

    pub(super) fn alias(&self, id: &SnapshotId, name: &SnapshotId) -> Result<()> {
        alias::make(&self.place(name), id)
    }

    pub(super) fn own_name(&self, id: &SnapshotId) -> Option<SnapshotId> {
        let name = || alias::target(&self.place(id)).unwrap_or_else(|| id.clone());
        self.exists(id).then(name)
    }

    /// The last thing that changes the directory of a snapshot is its commit; that of a layer may
    /// get a tree later.
    pub(super) fn created(&self, id: &SnapshotId) -> Result<Timestamp> {
        let missing = || Error::Missing { id: id.clone() };
        let place = Dir::open(&self.place(id)).map_err(|_| missing())?;
        let find = || match place.find(LAYER)? {
            Some(layer) => Ok(layer),
            None => place.stat("."),
        };
        let stat = find().map_err(on_tree(self.place(id)))?;
        Ok(stat.modified)
    }

    pub(super) fn list(&self) -> Result<Vec<SnapshotId>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(cannot("read", &self.path))? {
            let name = entry.map_err(cannot("read", &self.path))?.file_name();
            let name = name.into_string().unwrap_or_default();
            found.extend(SnapshotId::new(name).ok());
        }
        found.sort();
        Ok(found)
    }

    pub(super) fn remove(&self, id: &SnapshotId) -> Result<()> {
        self.bury(id, &self.scratch()?)
    }

    pub(super) fn remove_all(&self, ids: &[SnapshotId]) -> Result<Removed> {
        let grave = self.scratch()?;
        let mut count = 0;
        for id in ids {
            match self.bury(id, &grave) {
                Err(Error::InUse { .. }) => {}
                buried => {
                    buried?;
                    count += 1;
                }
            }
        }
        Ok(Removed {
            count,
            _grave: grave,
        })
    }

    /// Puts a snapshot out of sight, at once; piece by piece it goes with the grave.
    fn bury(&self, id: &SnapshotId, grave: &Scratch) -> Result<()> {
        let place = self.place(id);
        if alias::target(&place).is_some() {
            return fs::remove_file(&place).map_err(cannot("remove", place));
        }
        let Some(_alone) = self.holds.take_away(id)? else {
            return Ok(());
        };
        fs::rename(&place, grave.path().join(id.as_str())).map_err(cannot("rename", &place))
    }

    pub(super) fn prune(&self) -> Result<usize> {
        for id in self.list()? {
            alias::forget_dangling(&self.place(&id))?;
        }
        scratch::remove_dead(&self.path)
    }
}

/// Moves a tree to where only a layer is; another process may be first.
fn fill(scratch: &Scratch, place: &Path) -> Result<()> {
    for name in [implied::LIST, TREE] {
        let from = scratch.path().join(name);
        match fs::rename(&from, place.join(name)) {
            // There is one with something in it, or nothing is implied.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound
                ) => {}
            renamed => renamed.map_err(cannot("rename", from))?,
        }
    }
    Ok(())
}
