//! What an instruction made, as a snapshot and as a digest.
//!
//! Equal digests mean equal change sets, whenever and by whatever they were made: a command that
//! ran again and made the same is taken for the one that ran before, and what follows is a hit.
//! Names, kinds, modes, owners, attributes, contents, link targets, which names are one file and
//! what is hidden count; times do not. Those that are older than the work, because a command set them
//! or took them over, are digested on their own: the image has to have them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::cache::ContentDigest;
use crate::cache::ContentHasher;
use crate::layer::whiteout;
use crate::snapshot::Active;
use crate::snapshot::Snapshotter;
use crate::snapshot::Stack;
use crate::solver::Made;
use crate::sys;
use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Root;
use crate::sys::Stat;
use crate::sys::Timestamp;
use crate::worker::Error;
use crate::worker::files;

/// Up to this many files are read one after the other: threads cost more than they save.
const SEQUENTIAL_MAX: usize = 16;
const BUFFER_BYTES: usize = 128 << 10;

/// Gives the time at which a change set was begun, by the clock that files get their times from.
pub(in crate::worker) fn began(stack: &Stack) -> sys::Result<Timestamp> {
    let (Stack::Overlay { work: path, .. } | Stack::Directory(path)) = stack;
    Ok(Dir::open(path)?.stat(".")?.modified)
}

/// Makes a change set a snapshot of a new name, and digests it.
pub(in crate::worker) fn commit(
    snapshots: &dyn Snapshotter,
    active: Active,
    began: Timestamp,
) -> Result<Made, Error> {
    let id = snapshots.commit(active, None)?;
    let tree = snapshots.change_set(&id)?;
    // A change set that cannot be digested, because a path in it is too long to be opened, is like
    // no other.
    let (content, times) = digest(tree.root(), began).ok().unzip();
    Ok(Made {
        change_set: id,
        content,
        times,
        facts: Vec::new(),
        layer: None,
    })
}

/// Digests a change set as it lies on disk, with the root directory's own metadata; and the times in
/// it from before it `began`.
fn digest(root: &Root, began: Timestamp) -> sys::Result<(ContentDigest, ContentDigest)> {
    let mut walk = Walk::new(began);
    let top = root.dir();
    walk.describe(top, OsStr::new("."), Path::new(""), &top.stat(".")?)?;
    walk.list(top, Path::new(""))?;
    while let Some(path) = walk.directories.pop() {
        walk.list(&root.open_dir(&path)?, &path)?;
    }
    let content = |path: &PathBuf| read(root, path);
    let contents: sys::Result<Vec<ContentDigest>> = if walk.files.len() <= SEQUENTIAL_MAX {
        walk.files.iter().map(content).collect()
    } else {
        walk.files.par_iter().map(content).collect()
    };
    for content in contents? {
        walk.hasher.update(content.as_bytes());
    }
    Ok((walk.hasher.finish(), walk.times.finish()))
}

/// A walk under way.
struct Walk {
    hasher: ContentHasher,
    /// Takes the times from before the work began. Later ones only tell when it was done.
    times: ContentHasher,
    began: Timestamp,
    /// The directories that are not listed yet.
    directories: Vec<PathBuf>,
    /// The files whose contents are to be read, in the order of the walk.
    files: Vec<PathBuf>,
    /// The first name of each file that has several.
    names: HashMap<(u64, u64), PathBuf>,
}

impl Walk {
    fn new(began: Timestamp) -> Self {
        Self {
            hasher: ContentHasher::new(),
            times: ContentHasher::new(),
            began,
            directories: Vec::new(),
            files: Vec::new(),
            names: HashMap::new(),
        }
    }

    /// Takes what is in a directory, by name.
    fn list(&mut self, dir: &Dir, path: &Path) -> sys::Result<()> {
        let mut names: Vec<_> = dir.entries()?.into_iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        for name in names {
            let stat = dir.stat(&name)?;
            let path = path.join(&name);
            self.describe(dir, &name, &path, &stat)?;
            self.date(&path, stat.modified);
            match stat.kind {
                FileKind::Directory => self.directories.push(path),
                FileKind::File if !self.is_known(&path, &stat) => self.files.push(path),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes all of a file but its content.
    fn describe(&mut self, dir: &Dir, name: &OsStr, path: &Path, stat: &Stat) -> sys::Result<()> {
        let hasher = &mut self.hasher;
        hasher.update_sized(path.as_os_str().as_bytes());
        hasher.update_sized(files::kind_name(stat.kind).as_bytes());
        let (major, minor) = stat.device;
        for number in [stat.mode, stat.owner.uid, stat.owner.gid, major, minor] {
            hasher.update(&number.to_le_bytes());
        }
        if stat.kind == FileKind::Symlink {
            hasher.update_sized(dir.read_link(name)?.as_os_str().as_bytes());
        }
        if stat.links > 1 && !stat.is_dir() {
            let first = self.names.entry(stat.identity);
            let first = first.or_insert_with(|| path.to_owned());
            hasher.update_sized(first.as_os_str().as_bytes());
        }
        let mut keys = dir.xattrs(name)?;
        keys.retain(|key| counts(key));
        keys.sort_unstable();
        hasher.update(&(keys.len() as u64).to_le_bytes());
        for key in keys {
            hasher.update_sized(key.as_bytes());
            hasher.update_sized(&dir.xattr(name, &key)?.unwrap_or_default());
        }
        Ok(())
    }

    /// Takes the time of a file, if it says more than when the work was done.
    fn date(&mut self, path: &Path, modified: Timestamp) {
        if modified < self.began {
            self.times.update_sized(path.as_os_str().as_bytes());
            self.times.update(&modified.seconds.to_le_bytes());
            self.times.update(&modified.nanoseconds.to_le_bytes());
        }
    }

    /// Says whether a file was met under another name.
    fn is_known(&self, path: &Path, stat: &Stat) -> bool {
        let first = self.names.get(&stat.identity);
        first.is_some_and(|first| first != path)
    }
}

/// Of overlayfs's own marks, only the one that hides what lies below says what was made; others
/// tell where a file was copied from.
fn counts(key: &OsStr) -> bool {
    !whiteout::is_overlay_attribute(key) || key.as_bytes().ends_with(b".opaque")
}

/// Reads what lies between the holes of a file, which may be far larger than that.
fn read(root: &Root, path: &Path) -> sys::Result<ContentDigest> {
    let mut file = root.open_file(path)?;
    let failed = |source| sys::Error::new(format!("read({path:?})"), source);
    let size = sys::file::stat(&file)?.size;
    let mut hasher = ContentHasher::new();
    hasher.update(&size.to_le_bytes());
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut at = 0;
    while let Some((begin, end)) = sys::file::data_from(&file, at, size)? {
        hasher.update(&begin.to_le_bytes());
        hasher.update(&(end - begin).to_le_bytes());
        file.seek(SeekFrom::Start(begin)).map_err(failed)?;
        let mut piece = (&file).take(end - begin);
        loop {
            let count = piece.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
        }
        at = end;
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::time::Duration;
    use std::time::SystemTime;

    use super::digest;
    use crate::cache::ContentDigest;
    use crate::sys::Root;
    use crate::sys::Timestamp;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("dir");
        fs::create_dir(&dir).unwrap();
        for number in 0..20 {
            fs::write(dir.join(format!("file{number}")), "content").unwrap();
        }
        fs::hard_link(dir.join("file0"), dir.join("same")).unwrap();
        symlink("file0", dir.join("link")).unwrap();
        folder
    }

    fn of(folder: &Path) -> ContentDigest {
        dated(folder).0
    }

    /// Digests what was begun in the tenth second of all times.
    fn dated(folder: &Path) -> (ContentDigest, ContentDigest) {
        let began = Timestamp {
            seconds: 10,
            nanoseconds: 0,
        };
        digest(&Root::open(folder).unwrap(), began).unwrap()
    }

    #[test]
    fn times_count_on_their_own_if_they_are_older_than_the_work() {
        let (one, two) = (folder(), folder());
        let at = |seconds| {
            let file = fs::File::open(two.path().join("dir/file3")).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
                .unwrap();
            dated(two.path())
        };
        assert_eq!(at(11), dated(one.path()));
        let (content, times) = at(5);
        assert_eq!(content, of(one.path()));
        assert_ne!(times, dated(one.path()).1);
        assert_ne!(times, at(6).1);
    }

    #[test]
    fn a_file_with_holes_is_not_read_whole() {
        let sparse = |bytes: u64| {
            let folder = folder();
            let file = fs::File::create(folder.path().join("sparse")).unwrap();
            file.write_all_at(b"x", 1 << 20).unwrap();
            file.set_len(bytes).unwrap();
            of(folder.path())
        };
        // Whoever read it would be at it for days.
        assert_eq!(sparse(1 << 43), sparse(1 << 43));
        assert_ne!(sparse(1 << 43), sparse((1 << 43) + 1));
    }

    #[test]
    fn everything_else_counts() {
        type Change = (&'static str, fn(&Path));
        let changes: [Change; 9] = [
            ("content", |dir| fs::write(dir.join("file7"), "x").unwrap()),
            ("name", |dir| {
                fs::rename(dir.join("file7"), dir.join("z")).unwrap();
            }),
            ("mode", |dir| {
                fs::set_permissions(dir.join("file7"), fs::Permissions::from_mode(0o600)).unwrap();
            }),
            ("mode of a directory", |dir| {
                fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
            }),
            ("mode of the root", |dir| {
                let root = dir.parent().unwrap();
                fs::set_permissions(root, fs::Permissions::from_mode(0o711)).unwrap();
            }),
            ("a new directory", |dir| {
                fs::create_dir(dir.join("new")).unwrap();
            }),
            ("a missing file", |dir| {
                fs::remove_file(dir.join("file7")).unwrap();
            }),
            ("link target", |dir| {
                fs::remove_file(dir.join("link")).unwrap();
                symlink("file1", dir.join("link")).unwrap();
            }),
            ("hard link", |dir| {
                fs::remove_file(dir.join("same")).unwrap();
                fs::write(dir.join("same"), "content").unwrap();
            }),
        ];
        for (what, change) in changes {
            let changed = folder();
            change(&changed.path().join("dir"));
            assert_ne!(of(folder().path()), of(changed.path()), "{what}");
        }
    }
}
