//! The change set between a tree and what it was: a copy of what may have changed, and whiteouts.
//!
//! More than what changed may be in it, as in an overlay's upper directory: a file that was written
//! with what it had already, the other names of a file that got one more. Who packs it compares.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use crate::layer::whiteout;
use crate::snapshot::index;
use crate::snapshot::index::Index;
use crate::snapshot::index::Mark;
use crate::snapshot::transfer::Manner;
use crate::snapshot::transfer::Transfer;
use crate::snapshot::transfer::metadata;
use crate::sys;
use crate::sys::Dir;
use crate::sys::Root;
use crate::sys::Stat;

/// Fills the empty directory `target` with what `tree` has other than it had; gives what it has now.
pub(super) fn extract(tree: &Path, before: &Index, target: &Path) -> sys::Result<Index> {
    let root = Root::open(target)?;
    let top = Dir::open(tree)?;
    let stat = top.stat(".")?;
    let mut now = Index::default();
    let mut level = Level::new(PathBuf::new(), top, stat, before)?;
    level.copy = Some(root.dir().try_clone()?);
    let mut extraction = Extraction {
        transfer: Transfer::new(Manner::Copied, root),
        levels: vec![level],
        before,
    };
    while extraction.step(&mut now)? {}
    Ok(now)
}

struct Extraction<'a> {
    transfer: Transfer,
    levels: Vec<Level>,
    before: &'a Index,
}

/// A directory being compared.
struct Level {
    path: PathBuf,
    dir: Dir,
    stat: Stat,
    /// What is there now.
    names: BTreeMap<OsString, Stat>,
    /// What is still to be looked at: what is there and what was.
    left: Vec<(OsString, Option<Mark>)>,
    /// The directory in the change set, once there is something to put in it.
    copy: Option<Dir>,
}

impl Level {
    fn new(path: PathBuf, dir: Dir, stat: Stat, before: &Index) -> sys::Result<Self> {
        let names = index::read(&dir)?;
        let then = before.names(&path);
        let of = |name: &OsString| then.and_then(|then| then.get(name)).copied();
        let mut left: Vec<_> = names.keys().map(|name| (name.clone(), of(name))).collect();
        let gone = then.into_iter().flatten();
        let gone = gone.filter(|(name, _)| !names.contains_key(*name));
        left.extend(gone.map(|(name, mark)| (name.clone(), Some(*mark))));
        Ok(Self {
            path,
            dir,
            stat,
            names,
            left,
            copy: None,
        })
    }

    fn copy(&self) -> &Dir {
        self.copy.as_ref().expect("made before it is asked for")
    }
}

impl Extraction<'_> {
    /// Looks at one name; tells whether there may be more.
    fn step(&mut self, now: &mut Index) -> sys::Result<bool> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(false);
        };
        let Some((name, then)) = level.left.pop() else {
            let done = self.levels.pop().expect("it was there a moment ago");
            if let Some(copy) = &done.copy {
                // Last, since every file made in it changes its time.
                let here = OsStr::new(".");
                metadata((&done.dir, here), &done.stat, (copy, here))?;
            }
            now.note(done.path, &done.names);
            return Ok(true);
        };
        match level.names.get(&name).copied() {
            None => {
                self.make_copies()?;
                self.last().copy().make_node(&name, whiteout::DEVICE, 0)?;
            }
            // A program's own device of this number is none: overlayfs does not let it be made.
            Some(stat) if then.is_none() && whiteout::is_whiteout(&stat) => {}
            Some(stat) if stat.is_dir() => self.enter(&name, stat, then)?,
            Some(stat) if then == Some(Mark::of(&stat)) => {}
            Some(stat) => {
                self.make_copies()?;
                let level = self.levels.last().expect("it was there a moment ago");
                let path = level.path.join(&name);
                let from = (&level.dir, name.as_os_str());
                self.transfer.file(from, &stat, (level.copy(), &path))?;
            }
        }
        Ok(true)
    }

    fn enter(&mut self, name: &OsStr, stat: Stat, then: Option<Mark>) -> sys::Result<()> {
        let mark = Mark::of(&stat);
        let stays = then.is_some_and(|then| mark.is_same_dir(&then));
        let replaces = !stays && then.is_some_and(|then| then.is_dir);
        let (path, dir) = (self.last().path.join(name), self.last().dir.open_dir(name)?);
        let nothing = Index::default();
        let before = if stays { self.before } else { &nothing };
        let level = Level::new(path, dir, stat, before)?;
        self.levels.push(level);
        if then != Some(mark) {
            self.make_copies()?;
        }
        if replaces {
            whiteout::make_opaque(self.last().copy(), ".")?;
        }
        Ok(())
    }

    fn last(&self) -> &Level {
        self.levels.last().expect("a level is left until the end")
    }

    /// Makes the directories on the way down that the change set does not have yet.
    fn make_copies(&mut self) -> sys::Result<()> {
        let first = self.levels.iter().position(|level| level.copy.is_none());
        for index in first.unwrap_or(self.levels.len())..self.levels.len() {
            let (above, own) = self.levels.split_at_mut(index);
            let (parent, own) = (above[index - 1].copy(), &mut own[0]);
            let name = own.path.file_name().unwrap_or_default();
            parent.make_dir(name, 0o700)?;
            own.copy = Some(parent.open_dir(name)?);
        }
        Ok(())
    }
}
