//! Directories that are lent: moved into a root file system for a while, and brought home.
//!
//! A note beside the root file system, `lent-<inode>`, says meanwhile where one belongs. So whoever
//! finds it there when all that used it are dead can bring it home too.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::fs::OFlags;

use crate::sys::Dir;
use crate::sys::Error;
use crate::sys::Result;
use crate::sys::Root;
use crate::sys::error::path_of;

/// What the name of a note begins with.
const PREFIX: &str = "lent-";

/// A directory that is lent. Its parent is locked as long as this lives, so that others can tell
/// that it will come back.
#[derive(Debug)]
pub struct Loan {
    home: Dir,
    name: OsString,
    lent: Dir,
    notes: Dir,
    note: String,
    _lock: File,
}

/// Where something is lent to: a root file system and a path in it.
#[derive(Debug, Clone, Copy)]
pub struct Borrower<'a> {
    /// The root file system; the directory around it is for notes.
    pub root: &'a Path,
    /// The path inside.
    pub target: &'a str,
}

impl Loan {
    /// Moves `name` in `home` to `to`, where the borrower has it. Nobody else may lend one of there.
    pub fn begin(
        (home, name): (Dir, OsString),
        to: (&Dir, &OsStr),
        borrower: Borrower<'_>,
    ) -> Result<Loan> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let lock = File::from(home.open_as(Path::new("."), flags, Mode::empty())?);
        let locked = lock.try_lock();
        locked.map_err(|error| Error::new(format!("flock({:?})", path_of(&home)), error.into()))?;
        let lent = home.open_dir(&name)?;
        let number = lent.stat(".")?.identity.1;
        let (note, notes) = (format!("{PREFIX}{number}"), around(borrower.root)?);
        let (at, root) = (path_of(&home).join(&name), Dir::open(borrower.root)?);
        let parts = [path_of(&root), PathBuf::from(borrower.target), at];
        let text = parts.map(|part| part.into_os_string().into_encoded_bytes());
        let mut file = notes.create_file(&note, 0o600)?;
        let written = file.write_all(&text.join(&0));
        written.map_err(|source| Error::new(format!("write({note:?})"), source))?;
        home.rename(&name, to.0, to.1)?;
        Ok(Loan {
            home,
            name,
            lent,
            notes,
            note,
            _lock: lock,
        })
    }

    /// Moves it back from where it was put, or from where else it is; tells whether it was in its
    /// place, or nowhere any more. What is in its place instead is left there: a link would lead the
    /// next borrower outside.
    pub fn end(self, dir: &Dir, name: &OsStr) -> Result<bool> {
        let stat = self.lent.stat(".")?;
        let is_there = match dir.find(name)? {
            Some(found) if found.identity == stat.identity => {
                dir.rename(name, &self.home, &self.name)?;
                true
            }
            _ if stat.links == 0 => true,
            _ => {
                let (dir, name) = Dir::parent_of(&path_of(&self.lent))?;
                dir.rename(name, &self.home, &self.name)?;
                false
            }
        };
        self.notes.remove_file(&self.note)?;
        Ok(is_there)
    }
}

/// Brings home what the dead had in root file systems inside of the directory `folder`. What another
/// has taken the place of, or is no longer where it was put, stays.
pub fn end_all(folder: &Path) -> Result<()> {
    let notes = Dir::open(folder)?;
    for entry in notes.entries()? {
        if !entry.name.as_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let mut text = Vec::new();
        let read = notes.open_file(&entry.name)?.read_to_end(&mut text);
        read.map_err(|source| Error::new(format!("read({:?})", entry.name), source))?;
        let number = &entry.name.as_bytes()[PREFIX.len()..];
        let parts: Vec<&Path> = text.split(|byte| *byte == 0).map(path).collect();
        // One that was not written to its end is of nothing that was moved.
        if let [root, target, home] = parts[..] {
            bring_home(number, (root, target), home)?;
        }
        notes.remove_file(&entry.name)?;
    }
    Ok(())
}

fn bring_home(number: &[u8], (root, target): (&Path, &Path), home: &Path) -> Result<()> {
    let place = Root::open(root).and_then(|root| {
        let real = root.real_path(target)?;
        root.parent(&real.path)
    });
    // A command may have made anything of the way there.
    let (Ok((dir, name)), Ok((home, own_name))) = (place, Dir::parent_of(home)) else {
        return Ok(());
    };
    let is_it = match dir.find(&name)? {
        Some(found) => found.identity.1.to_string().as_bytes() == number,
        None => false,
    };
    match is_it && home.find(&own_name)?.is_none() {
        true => dir.rename(name, &home, own_name),
        false => Ok(()),
    }
}

fn around(root: &Path) -> Result<Dir> {
    Dir::parent_of(root).map(|(around, _)| around)
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::Borrower;
    use super::Loan;
    use super::end_all;
    use crate::sys::Dir;

    /// Lends `home/data` to `fs/place`.
    fn lend(folder: &Path) -> Loan {
        fs::create_dir_all(folder.join("home/data")).unwrap();
        fs::create_dir_all(folder.join("around/fs")).unwrap();
        fs::write(folder.join("home/data/file"), "").unwrap();
        let root = folder.join("around/fs");
        let borrower = Borrower {
            root: &root,
            target: "/place",
        };
        let from = Dir::parent_of(&folder.join("home/data")).unwrap();
        let into = Dir::open(&root).unwrap();
        Loan::begin(from, (&into, "place".as_ref()), borrower).unwrap()
    }

    #[test]
    fn what_the_dead_borrowed_comes_home() {
        let folder = tempfile::tempdir().unwrap();
        drop(lend(folder.path()));
        assert!(!folder.path().join("home/data").exists());
        end_all(&folder.path().join("around")).unwrap();
        assert!(folder.path().join("home/data/file").exists());
        let left = fs::read_dir(folder.path().join("around")).unwrap();
        assert_eq!(left.count(), 1, "the root file system");
    }

    #[test]
    fn what_took_its_place_does_not() {
        let folder = tempfile::tempdir().unwrap();
        drop(lend(folder.path()));
        let place = folder.path().join("around/fs/place");
        fs::rename(&place, place.with_file_name("elsewhere")).unwrap();
        symlink("/", &place).unwrap();
        end_all(&folder.path().join("around")).unwrap();
        assert!(folder.path().join("home/data").symlink_metadata().is_err());
    }

    #[test]
    fn what_was_moved_comes_home_and_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let loan = lend(folder.path());
        let into = folder.path().join("around/fs");
        fs::rename(into.join("place"), into.join("elsewhere")).unwrap();
        let into = Dir::open(&into).unwrap();
        assert!(!loan.end(&into, "place".as_ref()).unwrap());
        assert!(folder.path().join("home/data/file").exists());
    }
}
