//! What `ADD` makes of an archive.

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use crate::layer::Archived;
use crate::sys::FileKind;
use crate::sys::Owner;
use crate::sys::Stat;
use crate::sys::Timestamp;
use crate::worker::copy::draft::Draft;
use crate::worker::copy::draft::Entry;
use crate::worker::copy::draft::Folder;
use crate::worker::copy::draft::Ground;
use crate::worker::copy::draft::find;
use crate::worker::copy::draft::plain;
use crate::worker::files::Manner;

/// Who owns a directory that an archive implies, and its mode.
const IMPLIED: (u32, Owner) = (0o755, Owner::ROOT);

impl Draft<'_> {
    /// Adds what extracting an archive into `destination` would make; `owner` is whose it becomes,
    /// if not what the archive says. None if that takes more than looking.
    pub(crate) fn extract(
        &mut self,
        archived: Vec<Archived>,
        destination: &str,
        (manner, owner): (&Manner, Option<Owner>),
    ) -> Option<()> {
        let base = plain(destination)?;
        self.make_dirs(&base, &manner.of_archive())?;
        let mut times = Vec::new();
        for mut one in archived {
            let Some(name) = one.path.file_name().map(OsStr::to_owned) else {
                continue;
            };
            one.stat.owner = owner.unwrap_or(one.stat.owner);
            let path = base.join(&one.path);
            let is_dir = one.stat.is_dir();
            let entry = match &one.link {
                Some(target) if !is_dir => self.link(&base.join(target), &one.stat)?,
                _ => Entry::File(one.stat, one.source),
            };
            let folder = implied_folder(self.ground, &mut self.top, path.parent()?)?;
            if is_dir {
                times.push((path.clone(), one.stat.modified));
                make_dir(self.ground, folder, &path, &one.stat)?;
                continue;
            }
            let is_free = self.ground.is_free(folder, &path)?;
            let is_whiteout = one.stat.kind == FileKind::CharDevice && one.stat.device == (0, 0);
            if !is_free || is_whiteout {
                return None;
            }
            folder.add(name, entry, self.ground.now);
        }
        self.set_times(times)
    }

    /// Gives a file another name. The last name says what the file is like, so all must agree.
    fn link(&mut self, target: &Path, like: &Stat) -> Option<Entry> {
        self.numbered += 1;
        let number = (0, self.numbered);
        let folder = find(self.ground, &mut self.top, target.parent()?)??;
        let Some(Entry::File(stat, source)) = folder.entries.get_mut(target.file_name()?) else {
            return None;
        };
        let same_mode = stat.kind == FileKind::Symlink || stat.mode == like.mode;
        if !same_mode || (stat.owner, stat.modified) != (like.owner, like.modified) {
            return None;
        }
        if stat.links == 1 {
            (stat.links, stat.identity) = (2, number);
        }
        Some(Entry::File(*stat, source.clone()))
    }

    /// Directories get their times when all is in them.
    fn set_times(&mut self, times: Vec<(PathBuf, Timestamp)>) -> Option<()> {
        for (path, modified) in times {
            find(self.ground, &mut self.top, &path)??.stat.modified = modified;
        }
        Some(())
    }
}

/// Finds a directory, and makes it and those above it where the archive does not tell of them.
fn implied_folder<'f>(
    ground: Ground<'_>,
    top: &'f mut Folder,
    path: &Path,
) -> Option<&'f mut Folder> {
    let mut folder = top;
    let mut here = PathBuf::new();
    for name in path {
        here.push(name);
        if ground.enter(folder, &here)?.is_none() {
            let made = ground.folder(IMPLIED.0, IMPLIED.1);
            folder.add(name.to_owned(), Entry::Folder(made), ground.now);
        }
        folder = ground.enter(folder, &here)??;
    }
    Some(folder)
}

fn make_dir(ground: Ground<'_>, parent: &mut Folder, path: &Path, stat: &Stat) -> Option<()> {
    if ground.enter(parent, path)?.is_none() {
        let made = ground.folder(stat.mode, stat.owner);
        parent.add(
            path.file_name()?.to_owned(),
            Entry::Folder(made),
            ground.now,
        );
    }
    let folder = ground.enter(parent, path)??;
    (folder.stat.mode, folder.stat.owner) = (stat.mode, stat.owner);
    Some(())
}
