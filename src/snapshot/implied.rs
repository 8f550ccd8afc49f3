//! Directories that a layer implies and does not describe.
//!
//! A layer may hold `tmp/file` without an entry for `tmp`. Its snapshot needs the directory, but
//! overlayfs would show the metadata of that one instead of what the layers below say of `tmp`.
//! Since a snapshot does not know what it lies on, this is put right where a chain is mounted: a
//! tree that has only such directories, with the metadata from below, is laid over the snapshot.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

use crate::layer::whiteout;
use crate::snapshot::Result;
use crate::snapshot::error::cannot;
use crate::snapshot::error::on_tree;
use crate::sys;
use crate::sys::Dir;
use crate::sys::Timestamp;

/// Where a snapshot lists such directories, beside its tree; most have none.
pub(super) const LIST: &str = "implied";

/// Notes the directories that a layer implies in the directory of its snapshot.
pub(super) fn note(place: &Path, implied: &[PathBuf]) -> Result<()> {
    if implied.is_empty() {
        return Ok(());
    }
    let paths: Vec<&[u8]> = implied
        .iter()
        .map(|path| path.as_os_str().as_bytes())
        .collect();
    let list = place.join(LIST);
    fs::write(&list, paths.join(&0)).map_err(cannot("create", list))
}

/// Reads the directories that the layer of a snapshot implies.
pub(super) fn noted(place: &Path) -> Result<BTreeSet<PathBuf>> {
    let list = place.join(LIST);
    let paths = match fs::read(&list) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        read => read.map_err(cannot("read", list))?,
    };
    let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    Ok(paths.split(|byte| *byte == 0).map(path).collect())
}

/// Makes, in the empty directory `over`, the tree to lay over `tree`.
pub(super) fn cover(
    over: &Path,
    tree: &Path,
    below: &Dir,
    implied: &BTreeSet<PathBuf>,
) -> Result<()> {
    let make = || {
        let root = Step {
            tree: Dir::open(tree)?,
            below: Some(below.try_clone()?),
            over: Dir::open(over)?,
        };
        copy_metadata(&root.tree, &root.over)?;
        for path in implied {
            root.descend(path, implied)?;
        }
        Ok(())
    };
    make().map_err(on_tree(tree))
}

/// One directory, in the snapshot, below it if it is seen there, and in the tree being made.
struct Step {
    tree: Dir,
    below: Option<Dir>,
    over: Dir,
}

impl Step {
    /// Makes a directory and those on the way to it.
    fn descend(&self, path: &Path, implied: &BTreeSet<PathBuf>) -> sys::Result<()> {
        let mut names = path.iter();
        let Some(name) = names.next() else {
            return Ok(());
        };
        let mut here = PathBuf::from(name);
        let mut step = self.enter(name, &here, implied)?;
        for name in names {
            here.push(name);
            step = step.enter(name, &here, implied)?;
        }
        Ok(())
    }

    fn enter(&self, name: &OsStr, path: &Path, implied: &BTreeSet<PathBuf>) -> sys::Result<Step> {
        let tree = self.tree.open_dir(name)?;
        let below = match &self.below {
            Some(below) if !whiteout::is_opaque(&tree)? => match below.find(name)? {
                Some(stat) if stat.is_dir() => Some(below.open_dir(name)?),
                _ => None,
            },
            _ => None,
        };
        let is_new = self.over.find(name)?.is_none();
        if is_new {
            let before = self.over.stat(".")?.modified;
            self.over.make_dir(name, 0o700)?;
            self.over.set_modified(".", before)?;
        }
        let over = self.over.open_dir(name)?;
        if is_new {
            let described_by = below.as_ref().filter(|_| implied.contains(path));
            copy_metadata(described_by.unwrap_or(&tree), &over)?;
        }
        Ok(Step { tree, below, over })
    }
}

fn copy_metadata(from: &Dir, to: &Dir) -> sys::Result<()> {
    let stat = from.stat(".")?;
    to.set_owner(".", stat.owner)?;
    for key in from.xattrs(".")? {
        if whiteout::is_overlay_attribute(&key) {
            continue;
        }
        if let Some(value) = from.xattr(".", &key)? {
            to.set_xattr(".", &key, &value)?;
        }
    }
    to.set_mode(".", stat.mode)?;
    let modified: Timestamp = stat.modified;
    to.set_modified(".", modified)
}
