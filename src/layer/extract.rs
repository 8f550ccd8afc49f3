//! Making the files that entries ask for, inside a root.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::io::BufRead;
use std::path::Path;
use std::path::PathBuf;

use tar::EntryType;

use crate::layer::Content;
use crate::layer::Error;
use crate::layer::Result;
use crate::layer::entries::Entries;
use crate::layer::entry::Entry;
use crate::layer::entry::clean;
use crate::layer::finish::Finisher;
use crate::layer::finish::Rest;
use crate::layer::make::IMPLIED_MODE;
use crate::layer::make::IMPLIED_OWNER;
use crate::layer::make::Made;
use crate::layer::make::Refused;
use crate::layer::make::cannot_extract;
use crate::layer::make::is_symlink;
use crate::layer::make::make;
use crate::layer::make::replace_whiteouts;
use crate::layer::make::set_attributes;
use crate::layer::make::write;
use crate::layer::whiteout;
use crate::layer::whiteout::Meaning;
use crate::sys;
use crate::sys::Dir;
use crate::sys::MakeDirs;
use crate::sys::Owner;
use crate::sys::Root;
use crate::sys::Stat;
use crate::sys::Symlinks;
use crate::sys::Timestamp;

/// Up to this size a new file is left to the finisher.
const SMALL_BYTES: u64 = 64 << 10;

/// Extracts entries in whatever order they come; the last one of a path counts.
pub(super) struct Extractor<'a> {
    root: &'a Root,
    content: Content,
    /// The directory of the last entry: mostly also that of the next.
    parent: Option<Parent>,
    finisher: Finisher,
    /// Who owns what this process makes, if it is who it seems to be.
    own: Option<Owner>,
    /// Whether any file was made yet.
    has_made: bool,
    /// Whether anything was removed to make place.
    has_removed: bool,
    /// When each directory was modified, set last: every file made in it would change that.
    times: Vec<(PathBuf, Timestamp)>,
    implied: BTreeSet<PathBuf>,
}

/// A directory in which files are made.
struct Parent {
    path: PathBuf,
    dir: Dir,
    /// Who owns what is made in it, if that is sure.
    gives: Option<Owner>,
}

impl<'a> Extractor<'a> {
    pub(super) fn new(root: &'a Root, content: Content) -> Self {
        Self {
            root,
            content,
            parent: None,
            finisher: Finisher::default(),
            own: Some(sys::id::effective()),
            has_made: false,
            has_removed: false,
            times: Vec::new(),
            implied: BTreeSet::new(),
        }
    }

    /// Makes what an entry asks for; the entry's content is still to be read from `entries`.
    pub(super) fn add(&mut self, entry: &Entry, entries: &mut Entries<impl BufRead>) -> Result<()> {
        let path = clean(&entry.path);
        let Some(name) = path.file_name() else {
            return Ok(());
        };
        let parent = path.parent().unwrap_or(Path::new(""));
        let meaning = match self.content {
            Content::Layer => whiteout::meaning(name),
            Content::Archive { .. } => Meaning::File,
        };
        let invalid = |reason| {
            Err(Error::Archive {
                entry: entries.count,
                path: path.clone(),
                reason,
            })
        };
        match meaning {
            Meaning::File => self.add_file(entry, &path, name, entries),
            Meaning::Gone(hidden) => self.hide(parent, hidden),
            Meaning::Opaque if parent == Path::new("") => invalid("whiteout of the whole root"),
            Meaning::Opaque => {
                let dir = self.parent(parent)?;
                whiteout::make_opaque(dir, ".").map_err(cannot_extract(parent))
            }
            Meaning::Ignored => Ok(()),
            Meaning::Invalid => invalid("whiteout without a name"),
        }
    }

    /// Sets what can only be set at the end; gives the directories that were implied.
    pub(super) fn finish(mut self) -> Result<Vec<PathBuf>> {
        self.finisher.wait()?;
        let mut times = std::mem::take(&mut self.times);
        // Those of one directory come together, and of one path the last one still last.
        times.sort_by(|(one, _), (two, _)| one.parent().cmp(&two.parent()));
        let mut kept: Option<(&Path, Dir)> = None;
        for (path, modified) in &times {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            let dir = match kept.take().filter(|(kept, _)| *kept == parent) {
                Some((_, dir)) => dir,
                None => match self.root.open_dir(parent) {
                    Ok(dir) => dir,
                    Err(_) => continue,
                },
            };
            // A later entry may have put something else in its place.
            let is_there = !self.has_removed
                || dir
                    .find(name)
                    .map_err(cannot_extract(path))?
                    .is_some_and(|stat| stat.is_dir());
            if is_there {
                dir.set_modified(name, *modified)
                    .map_err(cannot_extract(path))?;
            }
            kept = Some((parent, dir));
        }
        Ok(self.implied.into_iter().collect())
    }

    fn add_file(
        &mut self,
        entry: &Entry,
        path: &Path,
        name: &OsStr,
        entries: &mut Entries<impl BufRead>,
    ) -> Result<()> {
        let made = match entry.kind {
            EntryType::Directory => self.make_dir(path, name),
            EntryType::Link => self.make_link(path, name, &clean(&entry.link)),
            _ => self.make_new(path, name, |dir| make(dir, name, entry)),
        }?;
        if entry.kind == EntryType::Directory {
            self.implied.remove(path);
            self.times.push((path.to_owned(), entry.modified));
        }
        // The first file is looked at when it is written.
        let is_small = entry.size <= SMALL_BYTES && self.has_made;
        match made {
            Made::File(file) if is_small && entry.is_plain() => {
                self.finish_later(file, (entry, path), entries)
            }
            made => {
                if let Made::File(file) = &made {
                    write(file, path, entry, entries)?;
                    self.learn(file, path)?;
                }
                self.finish_file(entry, path, name, &made)
            }
        }
    }

    fn finish_later(
        &mut self,
        file: File,
        (entry, path): (&Entry, &Path),
        entries: &mut Entries<impl BufRead>,
    ) -> Result<()> {
        let owner = self.owner(entry);
        let gives = self.open(path.parent().unwrap_or(Path::new("")))?.gives;
        let mut content = Vec::new();
        entries.content(|bytes| {
            content.extend_from_slice(bytes);
            Ok(())
        })?;
        self.finisher.add(Rest {
            file,
            path: path.to_owned(),
            content,
            owner: Some(owner).filter(|owner| gives != Some(*owner)),
            mode: entry.mode,
            modified: entry.modified,
        })
    }

    /// Says who owns what an entry becomes.
    fn owner(&self, entry: &Entry) -> Owner {
        match self.content {
            Content::Archive { owner: Some(owner) } => owner,
            _ => Owner {
                uid: entry.uid,
                gid: entry.gid,
            },
        }
    }

    /// Sees by the first file whether it is this process that owns what it makes: on a file system
    /// of another machine that may be somebody else.
    fn learn(&mut self, file: &File, path: &Path) -> Result<()> {
        if std::mem::replace(&mut self.has_made, true) {
            return Ok(());
        }
        let owner = sys::file::stat(file).map_err(cannot_extract(path))?.owner;
        if self.own.is_some_and(|own| own.uid != owner.uid) {
            self.own = None;
            self.parent = None;
        }
        Ok(())
    }

    /// Makes a directory unless there is one.
    fn make_dir(&mut self, path: &Path, name: &OsStr) -> Result<Made> {
        let dir = self.parent(path.parent().unwrap_or(Path::new("")))?;
        match dir.make_private_dir(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| Made::Other).map_err(cannot_extract(path)),
        }
        let found = dir.find(name).map_err(cannot_extract(path))?;
        if found.is_some_and(|stat| stat.is_dir()) {
            return Ok(Made::Nothing);
        }
        let hides = found.is_some_and(|stat| self.is_whiteout(&stat));
        self.make_new(path, name, |dir| {
            dir.make_private_dir(name)?;
            match hides {
                true => whiteout::make_opaque(dir, name),
                false => Ok(()),
            }
            .map(|()| Made::Other)
        })
    }

    fn make_link(&mut self, path: &Path, name: &OsStr, target: &Path) -> Result<Made> {
        let missing = || Error::LinkTarget {
            path: path.to_owned(),
            target: target.to_owned(),
        };
        // What a link says of the file comes after what the file itself says.
        self.finisher.wait()?;
        let (from, from_name) = self.root.parent(target).map_err(|_| missing())?;
        let found = from.find(&from_name).map_err(cannot_extract(path))?;
        let found = found.filter(|stat| !stat.is_dir() && !self.is_whiteout(stat));
        let found = found.ok_or_else(missing)?;
        let dir = self.parent(path.parent().unwrap_or(Path::new("")))?;
        let there = dir.find(name).map_err(cannot_extract(path))?;
        if there.is_some_and(|stat| stat.identity == found.identity) {
            return Ok(Made::Nothing);
        }
        self.make_new(path, name, |dir| {
            from.link(&from_name, dir, name).map(|()| Made::Nothing)
        })
    }

    /// Makes a file, in place of what is there.
    fn make_new(
        &mut self,
        path: &Path,
        name: &OsStr,
        make: impl Fn(&Dir) -> sys::Result<Made>,
    ) -> Result<Made> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let dir = self.parent(parent)?;
        match make(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                dir.remove_all(name).map_err(cannot_extract(path))?;
                // What was removed may have been on the way to the directory kept.
                self.parent = None;
                self.has_removed = true;
                make(self.parent(parent)?).map_err(cannot_extract(path))
            }
            made => made.map_err(cannot_extract(path)),
        }
    }

    /// Sets owner, attributes, mode and time, in this order: each undoes some of a later one.
    fn finish_file(&mut self, entry: &Entry, path: &Path, name: &OsStr, made: &Made) -> Result<()> {
        let owner = self.owner(entry);
        let refused = match self.content {
            Content::Layer => Refused::Fails,
            Content::Archive { .. } => Refused::Passes,
        };
        let Parent { dir, gives, .. } = self.open(path.parent().unwrap_or(Path::new("")))?;
        let set = || {
            match made {
                Made::File(_) | Made::Other if *gives == Some(owner) => {}
                Made::File(file) => sys::file::set_owner(file, owner)?,
                Made::Other | Made::Nothing => dir.set_owner(name, owner)?,
            }
            set_attributes(dir, name, entry, refused)?;
            match (made, entry.kind) {
                (Made::File(file), _) => {
                    sys::file::set_mode(file, entry.mode)?;
                    sys::file::set_modified(file, entry.modified)
                }
                (_, EntryType::Directory) => dir.set_mode(name, entry.mode),
                _ => {
                    if !is_symlink(dir, name, entry)? {
                        dir.set_mode(name, entry.mode)?;
                    }
                    dir.set_modified(name, entry.modified)
                }
            }
        };
        set().map_err(cannot_extract(path))
    }

    /// Notes that the file of this name, below, is gone.
    fn hide(&mut self, parent: &Path, name: &OsStr) -> Result<()> {
        let path = parent.join(name);
        let dir = self.parent(parent)?;
        match dir.find(name).map_err(cannot_extract(&path))? {
            None => dir.make_node(name, whiteout::DEVICE, 0),
            // The directory of this layer stays, but nothing of the one below shows through it.
            Some(stat) if stat.is_dir() => whiteout::make_opaque(dir, name),
            Some(_) => Ok(()),
        }
        .map_err(cannot_extract(&path))
    }

    /// Opens the directory an entry is in, and makes it where it is missing.
    fn parent(&mut self, path: &Path) -> Result<&Dir> {
        self.open(path).map(|parent| &parent.dir)
    }

    fn open(&mut self, path: &Path) -> Result<&Parent> {
        let kept = self.parent.take().filter(|kept| kept.path == path);
        let kept = match kept {
            Some(kept) => kept,
            None => {
                let dir = self.open_parent(path)?;
                let group = dir.stat(".").map_err(cannot_extract(path))?.owner.gid;
                Parent {
                    path: path.to_owned(),
                    dir,
                    // What is made in it may get its group.
                    gives: self.own.filter(|own| own.gid == group),
                }
            }
        };
        Ok(self.parent.insert(kept))
    }

    fn open_parent(&mut self, path: &Path) -> Result<Dir> {
        match self.root.open_dir(path) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) => {}
            opened => return opened.map_err(cannot_extract(path)),
        }
        if self.content == Content::Layer {
            replace_whiteouts(self.root, path)?;
        }
        let options = MakeDirs {
            mode: IMPLIED_MODE,
            owner: Some(IMPLIED_OWNER),
            modified: None,
            symlinks: Symlinks::Follow,
        };
        let made = self
            .root
            .make_dirs(path, &options)
            .map_err(cannot_extract(path))?;
        self.implied.extend(made.created);
        Ok(made.dir)
    }

    fn is_whiteout(&self, stat: &Stat) -> bool {
        self.content == Content::Layer && whiteout::is_whiteout(stat)
    }
}
