//! A chain of change sets as one tree: what overlayfs shows without copying, made by hand.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use crate::layer::whiteout;
use crate::snapshot::transfer::Manner;
use crate::snapshot::transfer::Transfer;
use crate::snapshot::transfer::metadata;
use crate::sys;
use crate::sys::Dir;
use crate::sys::Root;

/// A change set of a chain.
#[derive(Debug)]
pub(super) struct Part {
    /// Its tree.
    pub(super) tree: PathBuf,
    /// The directories in it that say nothing of their own metadata.
    pub(super) implied: BTreeSet<PathBuf>,
}

/// Fills the empty directory `target` with what a chain, its lowest part first, amounts to.
pub(super) fn merge(parts: &[Part], target: &Path, manner: Manner) -> sys::Result<()> {
    let root = Root::open(target)?;
    let top = Level::top(parts, root.dir().try_clone()?)?;
    let mut transfer = Transfer::new(manner, root);
    let mut levels = vec![top];
    while let Some(level) = levels.last_mut() {
        if let Some((name, first)) = level.names.pop_first() {
            let below = level.bring(&name, first, &mut transfer)?;
            levels.extend(below);
            continue;
        }
        level.finish(parts)?;
        levels.pop();
    }
    Ok(())
}

/// A directory being made.
struct Level {
    path: PathBuf,
    /// The directories that it consists of, the highest first, and the parts that they are of.
    sources: Vec<(usize, Dir)>,
    target: Dir,
    /// The names still to come, and the first source that each is in.
    names: BTreeMap<OsString, usize>,
}

impl Level {
    fn top(parts: &[Part], target: Dir) -> sys::Result<Self> {
        let open = |(index, part): (usize, &Part)| Ok((index, Dir::open(&part.tree)?));
        let sources = parts.iter().enumerate().rev().map(open);
        let sources = sources.collect::<sys::Result<Vec<_>>>()?;
        Level::new(PathBuf::new(), sources, target)
    }

    fn new(path: PathBuf, sources: Vec<(usize, Dir)>, target: Dir) -> sys::Result<Self> {
        let mut names = BTreeMap::new();
        for (index, (_, source)) in sources.iter().enumerate() {
            for entry in source.entries()? {
                names.entry(entry.name).or_insert(index);
            }
        }
        Ok(Self {
            path,
            sources,
            target,
            names,
        })
    }

    /// Makes what is seen of a name; gives the directory to go on with, if it is one.
    fn bring(
        &self,
        name: &OsStr,
        first: usize,
        transfer: &mut Transfer,
    ) -> sys::Result<Option<Level>> {
        let path = self.path.join(name);
        let mut dirs = Vec::new();
        for (part, source) in &self.sources[first..] {
            let Some(stat) = source.find(name)? else {
                continue;
            };
            if whiteout::is_whiteout(&stat) {
                break;
            }
            if !stat.is_dir() {
                if dirs.is_empty() {
                    transfer.file((source, name), &stat, (&self.target, &path))?;
                }
                break;
            }
            let dir = source.open_dir(name)?;
            let hides = whiteout::is_opaque(&dir)?;
            dirs.push((*part, dir));
            if hides {
                break;
            }
        }
        if dirs.is_empty() {
            return Ok(None);
        }
        self.target.make_dir(name, 0o700)?;
        Level::new(path, dirs, self.target.open_dir(name)?).map(Some)
    }

    /// Metadata comes last: every file made in a directory changes its time. It is that of the
    /// highest part that has any; the root's, that of the highest part.
    fn finish(&self, parts: &[Part]) -> sys::Result<()> {
        let says = |(part, _): &&(usize, Dir)| !parts[*part].implied.contains(&self.path);
        let source = self.sources.iter().find(says).or(self.sources.first());
        let Some((_, source)) = source else {
            return Ok(());
        };
        let here = OsStr::new(".");
        metadata((source, here), &source.stat(here)?, (&self.target, here))
    }
}
