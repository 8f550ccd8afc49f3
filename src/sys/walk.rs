//! Making directories inside a root, component by component.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Owner;
use crate::sys::Result;
use crate::sys::Root;
use crate::sys::Timestamp;
use crate::sys::error::Error;

/// As many symbolic links as the kernel follows in one path.
const LINKS_MAX: usize = 40;

/// How [`Root::make_dirs`] makes what is missing.
#[derive(Debug, Clone, Copy)]
pub struct MakeDirs {
    /// The permission bits of each directory made.
    pub mode: u32,
    /// Its owner; that of the process if not said.
    pub owner: Option<Owner>,
    /// Its time of modification; now if not said.
    pub modified: Option<Timestamp>,
    /// What to do with a symbolic link on the way.
    pub symlinks: Symlinks,
}

/// What [`Root::make_dirs`] does with a symbolic link on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symlinks {
    /// Goes where it leads, inside the root, and makes what is missing there.
    Follow,
    /// Fails.
    Refuse,
    /// Puts a directory in its place.
    Replace,
}

/// What [`Root::make_dirs`] found and made.
#[derive(Debug)]
pub struct Made {
    /// The directory the path leads to.
    pub dir: Dir,
    /// Its path inside the root, without symbolic links.
    pub path: PathBuf,
    /// The paths of the directories made, without symbolic links, the outermost first.
    pub created: Vec<PathBuf>,
}

impl Root {
    /// Makes a directory and those above it where they are missing.
    ///
    /// What exists is not changed. A file on the way is a failure; a symbolic link to nowhere is
    /// followed, and the directory it names is made, as `docker build` does.
    pub fn make_dirs(&self, path: &Path, options: &MakeDirs) -> Result<Made> {
        let mut walk = Walk {
            root: self.dir(),
            below: Vec::new(),
            left: VecDeque::new(),
            links: 0,
            created: Vec::new(),
        };
        walk.push_front(path);
        while let Some(name) = walk.left.pop_front() {
            walk.enter(name, options)?;
        }
        walk.finish(options)
    }
}

/// A walk under way: where it is, as the directories from the root down, and what is left.
struct Walk<'a> {
    root: &'a Dir,
    below: Vec<(OsString, Dir)>,
    left: VecDeque<OsString>,
    links: usize,
    created: Vec<(PathBuf, Dir)>,
}

impl Walk<'_> {
    fn here(&self) -> &Dir {
        self.below.last().map_or(self.root, |(_, dir)| dir)
    }

    fn path(&self) -> PathBuf {
        self.below.iter().map(|(name, _)| name).collect()
    }

    fn push_front(&mut self, path: &Path) {
        for component in path.components().rev() {
            match component {
                Component::Normal(name) => self.left.push_front(name.to_owned()),
                Component::ParentDir => self.left.push_front(OsString::from("..")),
                Component::RootDir => self.left.push_front(OsString::from("/")),
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }

    fn enter(&mut self, name: OsString, options: &MakeDirs) -> Result<()> {
        if name == "/" {
            self.below.clear();
            return Ok(());
        }
        if name == ".." {
            // Going up by what was walked, not by what the kernel calls the parent now.
            self.below.pop();
            return Ok(());
        }
        let found = self.here().find(&name)?;
        match found.map(|stat| stat.kind) {
            Some(FileKind::Symlink) if options.symlinks == Symlinks::Follow => self.follow(&name),
            Some(FileKind::Symlink) if options.symlinks == Symlinks::Replace => {
                self.here().remove_file(&name)?;
                self.make(name, options)
            }
            // A link to refuse and a file alike: opening them as a directory fails.
            Some(_) => {
                let dir = self.here().open_dir(&name)?;
                self.below.push((name, dir));
                Ok(())
            }
            None => self.make(name, options),
        }
    }

    fn follow(&mut self, name: &OsStr) -> Result<()> {
        self.links += 1;
        if self.links > LINKS_MAX {
            let source = std::io::Error::from_raw_os_error(libc::ELOOP);
            return Err(Error::new(
                self.here().text("readlinkat", Path::new(name)),
                source,
            ));
        }
        let target = self.here().read_link(name)?;
        self.push_front(&target);
        Ok(())
    }

    fn make(&mut self, name: OsString, options: &MakeDirs) -> Result<()> {
        match self.here().make_dir(&name, options.mode) {
            // Somebody else made it meanwhile; theirs is as good.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                self.left.push_front(name);
                return Ok(());
            }
            made => made?,
        }
        let dir = self.here().open_dir(&name)?;
        if let Some(owner) = options.owner {
            dir.set_owner(".", owner)?;
        }
        // The process's umask took bits away.
        dir.set_mode(".", options.mode)?;
        self.below.push((name, dir));
        let (path, dir) = (self.path(), self.here().try_clone()?);
        self.created.push((path, dir));
        Ok(())
    }

    /// Times come last, innermost first: making a directory changes that of its parent.
    fn finish(self, options: &MakeDirs) -> Result<Made> {
        if let Some(modified) = options.modified {
            for (_, dir) in self.created.iter().rev() {
                dir.set_modified(".", modified)?;
            }
        }
        let dir = self.here().try_clone()?;
        let path = self.path();
        let created = self.created.into_iter().map(|(path, _)| path).collect();
        Ok(Made { dir, path, created })
    }
}
