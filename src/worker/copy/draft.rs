//! What a copy will make, drawn up without making it.
//!
//! If nobody reads the files of a copy, its layer is all that is wanted of it, and that can be
//! packed straight from the source. A draft follows the rules of
//! [`place()`](crate::worker::files::place) by looking only: at what is selected, and at the
//! directories that it goes to. Where that is not enough (a link on the way, something in a file's
//! place, attributes of directories that are there), it gives up, and the copy is made as all others
//! are.

mod archive;
mod copy;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::layer::NewFile;
use crate::layer::Source;
use crate::sys::FileKind;
use crate::sys::Owner;
use crate::sys::Root;
use crate::sys::Stat;
use crate::sys::Timestamp;
use crate::worker::copy::draft::copy::Copy;
use crate::worker::files::Manner;
use crate::worker::files::Selected;

/// The tree that copies make, as far as they change it.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    ground: Ground<'a>,
    top: Folder,
    /// How many files with several names there are.
    numbered: u64,
}

/// What a copy finds.
#[derive(Clone, Copy, Debug)]
struct Ground<'a> {
    /// The root filesystem; none if it is empty.
    below: Option<&'a Root>,
    /// The time that everything made now has.
    now: Timestamp,
}

/// A directory of the draft.
#[derive(Debug)]
struct Folder {
    stat: Stat,
    source: Source,
    /// The mode and owner it has below, if it is there.
    original: Option<(u32, Owner)>,
    entries: BTreeMap<OsString, Entry>,
}

#[derive(Debug)]
enum Entry {
    File(Stat, Source),
    Folder(Folder),
}

impl<'a> Draft<'a> {
    /// Begins with a root filesystem, or with nothing; `now` is the time that directories get when
    /// something is made in them.
    pub(super) fn new(below: Option<&'a Root>, now: Timestamp) -> Option<Self> {
        let ground = Ground { below, now };
        let mut top = ground.folder(0o755, Owner::ROOT);
        top.original = Some((top.stat.mode, top.stat.owner));
        if let Some(below) = below {
            let found = ground.look(below, Path::new(""))?;
            // A layer says nothing of the root's own mode and owner.
            if found.original != top.original {
                return None;
            }
        }
        Some(Self {
            ground,
            top,
            numbered: 0,
        })
    }

    /// Adds what [`place()`](crate::worker::files::place) would make of `selected`; none if that
    /// takes more than looking.
    pub(super) fn place(
        &mut self,
        selected: &Selected,
        source: &Arc<Root>,
        destination: &str,
        manner: &Manner,
    ) -> Option<()> {
        let is_dir = selected.node.stat.is_dir();
        let above = match destination.rsplit_once('/') {
            Some((above, name)) if !name.is_empty() && name != "." => above,
            _ => destination,
        };
        self.make_dirs(&plain(above)?, manner)?;
        let mut place = plain(destination)?;
        let is_there = self.find(&place)?.is_some();
        if !is_dir && is_there {
            place.push(&selected.base_name);
        }
        let parent = place.parent().unwrap_or(Path::new("")).to_owned();
        self.make_dirs(if is_dir { &place } else { &parent }, manner)?;
        let mut copy = Copy {
            ground: self.ground,
            source,
            manner,
            links: HashMap::new(),
            numbered: self.numbered,
        };
        let folder = find(
            self.ground,
            &mut self.top,
            if is_dir { &place } else { &parent },
        )??;
        if is_dir {
            copy.top(folder, &place, selected)?;
        } else {
            copy.file(folder, &place, &selected.node, &selected.path)?;
        }
        self.numbered = copy.numbered;
        Some(())
    }

    /// Gives the files of the layer, in its order.
    pub(super) fn files(self) -> Vec<NewFile> {
        let mut files = Vec::new();
        list(self.top, &mut PathBuf::new(), &mut files);
        files
    }

    fn find(&mut self, path: &Path) -> Option<Option<&mut Folder>> {
        find(self.ground, &mut self.top, path)
    }

    /// Makes a directory and those above it where they are missing.
    fn make_dirs(&mut self, path: &Path, manner: &Manner) -> Option<()> {
        let options = manner.parents();
        let mut folder = &mut self.top;
        let mut here = PathBuf::new();
        for name in path {
            here.push(name);
            if self.ground.enter(folder, &here)?.is_none() {
                let made = self.ground.folder(options.mode, manner.parent_owner);
                folder.add(name.to_owned(), Entry::Folder(made), self.ground.now);
            }
            folder = self.ground.enter(folder, &here)??;
        }
        Some(())
    }
}

/// Finds a directory; nothing if something else is there or on the way.
fn find<'f>(
    ground: Ground<'_>,
    top: &'f mut Folder,
    path: &Path,
) -> Option<Option<&'f mut Folder>> {
    let mut folder = top;
    let mut here = PathBuf::new();
    for name in path {
        here.push(name);
        match ground.enter(folder, &here)? {
            Some(next) => folder = next,
            None => return Some(None),
        }
    }
    Some(Some(folder))
}

impl Ground<'_> {
    /// Makes an empty directory without attributes.
    fn folder(self, mode: u32, owner: Owner) -> Folder {
        Folder {
            stat: Stat {
                kind: FileKind::Directory,
                mode: mode & 0o7777,
                owner,
                size: 0,
                links: 1,
                identity: (0, 0),
                device: (0, 0),
                modified: self.now,
                changed: self.now,
            },
            source: Source::Nothing,
            original: None,
            entries: BTreeMap::new(),
        }
    }

    /// Looks at a directory that is there. One with attributes is too much: what is made in it
    /// may inherit them.
    fn look(self, below: &Root, path: &Path) -> Option<Folder> {
        let dir = below.open_dir(path).ok()?;
        if !dir.xattrs(".").ok()?.is_empty() {
            return None;
        }
        let stat = dir.stat(".").ok()?;
        let mut folder = self.folder(stat.mode, stat.owner);
        folder.stat.modified = stat.modified;
        folder.original = Some((stat.mode, stat.owner));
        Some(folder)
    }

    /// Goes into the directory at `path`, which is in `folder`, if it is there; gives up if
    /// something else is.
    fn enter<'f>(self, folder: &'f mut Folder, path: &Path) -> Option<Option<&'f mut Folder>> {
        let name = path.file_name()?;
        if !folder.entries.contains_key(name)
            && let Some(below) = self.below.filter(|_| folder.original.is_some())
            && let Some(stat) = below.find(path).ok()?
        {
            let found = stat.is_dir().then(|| self.look(below, path))??;
            folder.entries.insert(name.to_owned(), Entry::Folder(found));
        }
        match folder.entries.get_mut(name) {
            None => Some(None),
            Some(Entry::Folder(found)) => Some(Some(found)),
            Some(Entry::File(..)) => None,
        }
    }
}

impl Ground<'_> {
    /// Says whether nothing is at `path`, which is in `folder`.
    fn is_free(self, folder: &Folder, path: &Path) -> Option<bool> {
        if folder.entries.contains_key(path.file_name()?) {
            return Some(false);
        }
        match self.below.filter(|_| folder.original.is_some()) {
            Some(below) => Some(below.find(path).ok()?.is_none()),
            None => Some(true),
        }
    }
}

impl Folder {
    /// Puts something into it, which changes its time.
    fn add(&mut self, name: OsString, entry: Entry, now: Timestamp) {
        self.entries.insert(name, entry);
        self.stat.modified = now;
    }

    /// Says whether it is other than below by itself.
    fn is_changed(&self) -> bool {
        self.original != Some((self.stat.mode, self.stat.owner))
    }

    /// Says whether anything in it is other than below.
    fn holds_changes(&self) -> bool {
        self.entries.values().any(|entry| match entry {
            Entry::File(..) => true,
            Entry::Folder(folder) => folder.is_changed() || folder.holds_changes(),
        })
    }
}

/// Brings a path to plain names; none if it goes up again.
fn plain(path: &str) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

/// Lists what is in a folder, each directory before what is in it.
fn list(folder: Folder, path: &mut PathBuf, files: &mut Vec<NewFile>) {
    for (name, entry) in folder.entries {
        path.push(&name);
        match entry {
            Entry::File(stat, source) => files.push(NewFile {
                path: path.clone(),
                stat,
                source,
            }),
            Entry::Folder(mut folder) => {
                if folder.is_changed() || folder.holds_changes() {
                    files.push(NewFile {
                        path: path.clone(),
                        stat: folder.stat,
                        source: std::mem::replace(&mut folder.source, Source::Nothing),
                    });
                }
                list(folder, path, files);
            }
        }
        path.pop();
    }
}
