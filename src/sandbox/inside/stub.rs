//! Mount points that the image does not have.
//!
//! A mount needs something to be mounted on. Where the image has nothing, an empty file or
//! directory is made: a stub. It is not the program's doing, so it must not end up in the layer:
//! when the sandbox is gone, stubs that are still empty are removed. The directories they were in
//! keep the times they had until then: that of the stub's making, or of what the program did, as
//! BuildKit has it.
//!
//! Directories that a stub made the overlay copy up stay in `upper`, as they were below; whoever
//! reads `upper` as a change set compares directories with those below anyway.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Handle;
use crate::sys::MakeDirs;
use crate::sys::Owner;
use crate::sys::Result;
use crate::sys::Root;
use crate::sys::Symlinks;

/// What was made, and what has to be put right afterwards.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::sandbox) struct Stubs {
    /// Paths inside the root, free of symbolic links, in the order they were made.
    made: Vec<PathBuf>,
    /// The directories they were made in that were there before.
    parents: Vec<PathBuf>,
}

/// What kind of place a mount needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Place {
    Directory,
    File,
}

/// As many symbolic links as the kernel follows in one path.
const LINKS_MAX: usize = 40;

impl Stubs {
    /// Finds the place for a mount, or makes it.
    pub(in crate::sandbox) fn place(
        &mut self,
        root: &Root,
        target: &Path,
        kind: Place,
    ) -> Result<Handle> {
        match root.resolve(target) {
            Err(error) if error.is_not_found() => {}
            found => return found,
        }
        match kind {
            Place::Directory => {
                self.make_dirs(root, target)?;
            }
            Place::File => self.make_file(root, target)?,
        }
        root.resolve(target)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.made.is_empty()
    }

    /// Makes a directory and what is missing above it; returns its real path and itself.
    fn make_dirs(&mut self, root: &Root, path: &Path) -> Result<(PathBuf, Dir)> {
        let options = MakeDirs {
            mode: 0o755,
            owner: Some(Owner::ROOT),
            modified: None,
            symlinks: Symlinks::Follow,
        };
        let made = root.make_dirs(path, &options)?;
        for created in made.created {
            self.note(root, created)?;
        }
        Ok((made.path, made.dir))
    }

    /// Makes an empty file, where a symbolic link to nowhere leads if there is one.
    fn make_file(&mut self, root: &Root, target: &Path) -> Result<()> {
        let mut target = target.to_path_buf();
        for _ in 0..LINKS_MAX {
            let (parent, dir) = self.make_dirs(root, target.parent().unwrap_or(Path::new("/")))?;
            let Some(name) = target.file_name().map(OsString::from) else {
                break;
            };
            if dir
                .find(&name)?
                .is_some_and(|stat| stat.kind == FileKind::Symlink)
            {
                target = Path::new("/").join(&parent).join(dir.read_link(&name)?);
                continue;
            }
            dir.create_file(&name, 0o644)?;
            self.note(root, parent.join(&name))?;
            break;
        }
        Ok(())
    }

    /// Remembers a stub, and its directory unless that is a stub itself.
    fn note(&mut self, root: &Root, stub: PathBuf) -> Result<()> {
        let parent = stub.parent().unwrap_or(Path::new(""));
        // What lies on a mount goes away with it.
        if root.stat(parent)?.identity.0 != root.dir().stat(".")?.identity.0 {
            return Ok(());
        }
        let is_known = |known: &PathBuf| known == parent;
        if !self.parents.iter().any(is_known) && !self.made.iter().any(is_known) {
            self.parents.push(parent.to_path_buf());
        }
        self.made.push(stub);
        Ok(())
    }

    /// Removes the stubs from the directory that holds the sandbox's changes.
    pub(in crate::sandbox) fn remove(&self, changes: &Path) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let top = match Dir::open(changes) {
            // Whoever gave up the sandbox has removed it.
            Err(error) if error.is_not_found() => return Ok(()),
            top => top?,
        };
        let mut times = Vec::new();
        for parent in &self.parents {
            if let Some(dir) = descend(&top, parent)? {
                let modified = dir.stat(".")?.modified;
                times.push((dir, modified));
            }
        }
        for stub in self.made.iter().rev() {
            remove_empty(&top, stub)?;
        }
        for (dir, modified) in times {
            dir.set_modified(".", modified)?;
        }
        Ok(())
    }
}

fn remove_empty(top: &Dir, stub: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (stub.parent(), stub.file_name()) else {
        return Ok(());
    };
    let Some(dir) = descend(top, parent)? else {
        return Ok(());
    };
    let Some(stat) = dir.find(name)? else {
        return Ok(());
    };
    match stat.kind {
        FileKind::Directory if dir.open_dir(name)?.entries()?.is_empty() => dir.remove_dir(name),
        FileKind::File if stat.size == 0 => dir.remove_file(name),
        _ => Ok(()),
    }
}

/// Opens a directory below another; nothing if it, or a part of the way, is no longer one.
fn descend(top: &Dir, path: &Path) -> Result<Option<Dir>> {
    let mut dir = top.try_clone()?;
    for name in path {
        if !dir.find(name)?.is_some_and(|stat| stat.is_dir()) {
            return Ok(None);
        }
        dir = dir.open_dir(name)?;
    }
    Ok(Some(dir))
}
