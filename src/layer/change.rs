//! What a change set changes in what lies below it.
//!
//! The upper directory of an overlay holds more than was changed: a directory is copied up with
//! every file made in it, a file by opening it for writing. What is the same as below is left out
//! here, by the rules of BuildKit and containerd, so that equal work gives equal layers. A directory
//! that hides what lies below is told apart by its files too: what it does not have again is
//! deleted, one by one.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use crate::layer::Error;
use crate::layer::Result;
use crate::layer::same::is_same;
use crate::layer::whiteout;
use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Root;
use crate::sys::Stat;

/// The mode of the root of a layer that was unpacked.
const ROOT_MODE: u32 = 0o755;

/// What a change set lies on.
#[derive(Debug, Clone, Copy)]
pub enum Below<'a> {
    /// An empty root file system: a whiteout hides nothing and is left out.
    Nothing,
    /// A root file system to compare with.
    Tree(&'a Root),
    /// Something that is not here: every file counts as changed.
    Unknown,
}

/// One difference that a change set makes.
#[derive(Debug)]
pub struct Change<'a> {
    /// The path inside the root file system, relative.
    pub path: &'a Path,
    /// What happened.
    pub kind: ChangeKind,
    /// The directory of the change set that the file is in.
    pub dir: &'a Dir,
    /// Its name there.
    pub name: &'a OsStr,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new, or other than below, or the parent of something that is.
    Written(Stat),
    /// It is as below, but one of several names of a file that another change may have written.
    Linked(Stat),
    /// It is gone.
    Deleted,
    /// All below this directory is gone; said only where what lies below is unknown.
    Emptied,
}

/// How much of a change set its changes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it: whoever makes the changes in an empty directory has the change set again.
    Whole,
    /// Not what is as below, nor that what is not below is hidden.
    Part,
}

/// Visits the changes of a change set in the order of their paths, parents before children, and
/// tells whether they are all there is to it.
///
/// A directory that did not change itself comes as [`ChangeKind::Written`] as soon as something in
/// it changed, since a layer names the parents of its entries. The root itself never comes.
pub fn changes(
    tree: &Root,
    below: Below<'_>,
    mut visit: impl FnMut(&Change<'_>) -> Result<()>,
) -> Result<Extent> {
    let mut extent = root_extent(tree)?;
    let mut levels = vec![Level::top(tree, below)?];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.names.pop() else {
            if level.unvisited.is_some() {
                extent = Extent::Part;
            }
            levels.pop();
            continue;
        };
        match level.look(&name)? {
            Found::Nothing => extent = Extent::Part,
            Found::Change(kind) => {
                let path = level.path.join(&name);
                announce(&mut levels, &mut visit)?;
                let dir = &levels.last().expect("the level is still there").dir;
                let name = name.as_os_str();
                visit(&Change {
                    path: &path,
                    kind,
                    dir,
                    name,
                })?;
            }
            Found::Dir { level, changed } => {
                if level.replaces {
                    extent = Extent::Part;
                }
                levels.push(level);
                if changed {
                    announce(&mut levels, &mut visit)?;
                }
            }
        }
    }
    Ok(extent)
}

/// A layer does not tell what its root is like: unpacked, it is what it is by default.
fn root_extent(tree: &Root) -> Result<Extent> {
    let root = tree.dir().stat(".").map_err(cannot_read(Path::new("")))?;
    let is_default = root.mode == ROOT_MODE && (root.owner.uid, root.owner.gid) == (0, 0);
    Ok(match is_default {
        true => Extent::Whole,
        false => Extent::Part,
    })
}

/// Visits the directories on the way down that were not visited yet.
fn announce(levels: &mut [Level], visit: &mut impl FnMut(&Change<'_>) -> Result<()>) -> Result<()> {
    let first = levels.iter().position(|level| level.unvisited.is_some());
    for index in first.unwrap_or(levels.len())..levels.len() {
        let (above, own) = levels.split_at_mut(index);
        let (parent, own) = (&above[index - 1], &mut own[0]);
        let Some(stat) = own.unvisited.take() else {
            continue;
        };
        let name = own.path.file_name().expect("only the root has no name");
        let change = |kind| Change {
            path: &own.path,
            kind,
            dir: &parent.dir,
            name,
        };
        visit(&change(ChangeKind::Written(stat)))?;
        if own.emptied {
            visit(&change(ChangeKind::Emptied))?;
        }
    }
    Ok(())
}

/// The directory below that corresponds to one of the change set.
#[derive(Debug)]
enum Lower {
    Nothing,
    Dir(Dir),
    Unknown,
}

/// A directory being walked.
#[derive(Debug)]
struct Level {
    path: PathBuf,
    dir: Dir,
    lower: Lower,
    /// Whether nothing of what lies below shows through, so that what is missing here is deleted.
    replaces: bool,
    /// Whether what lies below is hidden and unknown.
    emptied: bool,
    /// The directory's own metadata, until it was visited.
    unvisited: Option<Stat>,
    /// The names still to come, the last first.
    names: Vec<OsString>,
}

/// What is to be done about a name.
enum Found {
    Nothing,
    Change(ChangeKind),
    Dir { level: Level, changed: bool },
}

impl Level {
    fn top(tree: &Root, below: Below<'_>) -> Result<Self> {
        let path = PathBuf::new();
        let lower = match below {
            Below::Nothing => Lower::Nothing,
            Below::Unknown => Lower::Unknown,
            Below::Tree(root) => Lower::Dir(root.dir().try_clone().map_err(cannot_read(&path))?),
        };
        let level = Self {
            dir: tree.dir().try_clone().map_err(cannot_read(&path))?,
            lower,
            replaces: false,
            emptied: false,
            unvisited: None,
            names: Vec::new(),
            path,
        };
        level.with_names()
    }

    fn with_names(mut self) -> Result<Self> {
        let list = |dir: &Dir| dir.entries().map_err(cannot_read(&self.path));
        let mut names: BTreeSet<_> = list(&self.dir)?
            .into_iter()
            .map(|entry| entry.name)
            .collect();
        if let (true, Lower::Dir(lower)) = (self.replaces, &self.lower) {
            names.extend(list(lower)?.into_iter().map(|entry| entry.name));
        }
        self.names = names.into_iter().rev().collect();
        Ok(self)
    }

    fn look(&self, name: &OsStr) -> Result<Found> {
        let path = self.path.join(name);
        let lower = match &self.lower {
            Lower::Dir(dir) => dir.find(name).map_err(cannot_read(&path))?,
            Lower::Nothing | Lower::Unknown => None,
        };
        let hides = lower.is_some() || matches!(self.lower, Lower::Unknown);
        let upper = self.dir.find(name).map_err(cannot_read(&path))?;
        let Some(stat) = upper.filter(|stat| !whiteout::is_whiteout(stat)) else {
            let change = hides.then_some(ChangeKind::Deleted);
            return Ok(change.map_or(Found::Nothing, Found::Change));
        };
        if stat.kind == FileKind::Socket {
            return Ok(Found::Nothing);
        }
        let same = match (&self.lower, &lower) {
            (Lower::Dir(dir), Some(lower)) => {
                is_same((&self.dir, &stat), (dir, lower), name, &path)?
            }
            _ => false,
        };
        if stat.is_dir() {
            let level = self.enter(path, name, stat, lower)?;
            return Ok(Found::Dir {
                level,
                changed: !same,
            });
        }
        Ok(match same {
            false => Found::Change(ChangeKind::Written(stat)),
            true if self.replaces && stat.links > 1 => Found::Change(ChangeKind::Linked(stat)),
            true => Found::Nothing,
        })
    }

    fn enter(&self, path: PathBuf, name: &OsStr, own: Stat, below: Option<Stat>) -> Result<Level> {
        let dir = self.dir.open_dir(name).map_err(cannot_read(&path))?;
        refuse_redirect(&dir, &path)?;
        let opaque = whiteout::is_opaque(&dir).map_err(cannot_read(&path))?;
        let lower = match &self.lower {
            Lower::Dir(lower) if below.is_some_and(|stat| stat.is_dir()) => {
                Lower::Dir(lower.open_dir(name).map_err(cannot_read(&path))?)
            }
            Lower::Unknown if !opaque => Lower::Unknown,
            _ => Lower::Nothing,
        };
        let level = Level {
            replaces: self.replaces || opaque,
            emptied: opaque && matches!(self.lower, Lower::Unknown),
            unvisited: Some(own),
            names: Vec::new(),
            path,
            dir,
            lower,
        };
        level.with_names()
    }
}

/// Overlayfs can rename a directory by a note of where it was; such a change set needs the exact
/// directory below it.
fn refuse_redirect(dir: &Dir, path: &Path) -> Result<()> {
    let attribute = "trusted.overlay.redirect";
    let found = dir.xattr(".", OsStr::new(attribute));
    match found.map_err(cannot_read(path))? {
        None => Ok(()),
        Some(_) => Err(Error::Incomplete {
            path: path.to_owned(),
            attribute,
        }),
    }
}

/// Names the file that a failed call was about.
pub(super) fn cannot_read(path: &Path) -> impl FnOnce(crate::sys::Error) -> Error {
    move |source| Error::Inspect {
        path: path.to_owned(),
        source,
    }
}
