//! What a tree was like when its change set began: enough to tell, without reading any file, what
//! may have changed since.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crate::sys;
use crate::sys::Dir;
use crate::sys::Root;
use crate::sys::Stat;
use crate::sys::Timestamp;

/// The names in a directory and what each stood for.
pub(super) type Names = BTreeMap<OsString, Mark>;

/// What no program can bring back once it changed a file: its number and its time of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    identity: (u64, u64),
    changed: Timestamp,
    pub(super) is_dir: bool,
}

/// A tree as it was, directory by directory.
#[derive(Debug, Default)]
pub(super) struct Index {
    directories: HashMap<PathBuf, Names>,
    newest: Option<Timestamp>,
}

/// How long the clock that files get their times from may stand still, and how often to look.
const TICK: Duration = Duration::from_millis(1);
const TICKS_MAX: usize = 100;

impl Mark {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            identity: stat.identity,
            changed: stat.changed,
            is_dir: stat.is_dir(),
        }
    }

    /// Tells whether this is the directory that it was, whatever happened to it.
    pub(super) fn is_same_dir(&self, then: &Mark) -> bool {
        self.is_dir && then.is_dir && self.identity == then.identity
    }
}

impl Index {
    /// Notes all of a tree.
    pub(super) fn of(tree: &Path) -> sys::Result<Self> {
        let root = Root::open(tree)?;
        let mut index = Self::default();
        let mut left = vec![PathBuf::new()];
        while let Some(path) = left.pop() {
            let names = read(&root.open_dir(&path)?)?;
            let dirs = names.iter().filter(|(_, stat)| stat.is_dir());
            left.extend(dirs.map(|(name, _)| path.join(name)));
            index.note(path, &names);
        }
        Ok(index)
    }

    /// Notes what is in a directory.
    pub(super) fn note(&mut self, path: PathBuf, names: &BTreeMap<OsString, Stat>) {
        let newest = names.values().map(|stat| stat.changed).max();
        self.newest = self.newest.max(newest);
        let mark = |(name, stat): (&OsString, &Stat)| (name.clone(), Mark::of(stat));
        let marks = names.iter().map(mark).collect();
        self.directories.insert(path, marks);
    }

    /// What was in a directory.
    pub(super) fn names(&self, path: &Path) -> Option<&Names> {
        self.directories.get(path)
    }

    /// Waits until a file that changes from now on gets a later time than any noted: file systems
    /// tell times only as exactly as the kernel's clock ticks.
    pub(super) fn settle(&self, place: &Path) -> sys::Result<()> {
        let failed = |source| sys::Error::new(format!("write({place:?})"), source);
        let probe = place.join("now");
        let now = || {
            let file = File::create(&probe).map_err(failed)?;
            sys::file::stat(&file).map(|stat| stat.changed)
        };
        for _ in 0..TICKS_MAX {
            // A clock that was set back cannot be waited for; no time noted will come again soon.
            if Some(now()?) > self.newest {
                break;
            }
            std::thread::sleep(TICK);
        }
        std::fs::remove_file(&probe).map_err(failed)
    }
}

/// Reads a directory with the metadata of all in it.
pub(super) fn read(dir: &Dir) -> sys::Result<BTreeMap<OsString, Stat>> {
    let mut names = BTreeMap::new();
    for entry in dir.entries()? {
        let stat = dir.stat(&entry.name)?;
        names.insert(entry.name, stat);
    }
    Ok(names)
}
