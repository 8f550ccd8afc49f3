//! What a sandbox finds at its mount points where nothing can be mounted: copies, put there before
//! and taken away afterwards, so that no change set has them.
//!
//! What the image has at such a place waits meanwhile beside the root file system. A directory that
//! belongs to rbuild, such as a cache, is moved in and out again instead of copied.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::sandbox;
use crate::sandbox::chroot::system;
use crate::sandbox::inside;
use crate::sandbox::inside::report::Problem;
use crate::sandbox::inside::stub::Place;
use crate::sandbox::inside::stub::Stubs;
use crate::sandbox::spec::Access;
use crate::sandbox::spec::MountSource;
use crate::sandbox::spec::Spec;
use crate::sys::Dir;
use crate::sys::Error;
use crate::sys::FileKind;
use crate::sys::Owner;
use crate::sys::Result;
use crate::sys::Root;
use crate::sys::Stat;
use crate::sys::file;
use crate::sys::loan::Borrower;
use crate::sys::loan::Loan;

/// The name of the directory, beside the root file system, where what was there waits.
const ASIDE: &str = "aside";

/// The name of a file in there, once all is taken away: what was not where it had been put.
const MISPLACED: &str = "misplaced";

/// A root file system with things in it that are not its own.
#[derive(Debug)]
pub(in crate::sandbox) struct Furnished {
    root: PathBuf,
    aside: Dir,
    /// Tells whoever looks for what the dead left behind that this is not yet that.
    _lock: File,
    stubs: Stubs,
    placed: Vec<Placed>,
    misplaced: Vec<String>,
    /// Whether devices could not be made.
    pub(super) lacks_devices: bool,
}

/// One thing that was put somewhere.
#[derive(Debug)]
struct Placed {
    dir: Dir,
    name: OsString,
    target: String,
    what: What,
}

/// What something is that was put somewhere.
#[derive(Debug)]
enum What {
    /// Nothing that matters elsewhere.
    Copy,
    /// A file that may be nowhere else: a secret.
    File(File),
    /// A directory of rbuild's.
    Directory(Loan),
}

impl From<()> for What {
    fn from((): ()) -> What {
        What::Copy
    }
}

impl What {
    /// Takes it away; tells whether nothing of it is anywhere else.
    fn take_away(self, dir: &Dir, name: &OsStr) -> Result<bool> {
        let is_there = match self {
            What::Directory(loan) => loan.end(dir, name)?,
            What::Copy => true,
            What::File(file) => {
                dir.remove_all(name)?;
                // It has another name, which a mount point could not get.
                file::stat(&file)?.links == 0
            }
        };
        dir.remove_all(name)?;
        Ok(is_there)
    }
}

impl Furnished {
    /// Furnishes the root file system at `root`. What lies below `own` may be moved.
    pub(super) fn new(
        root: &Path,
        own: &Path,
        spec: &Spec,
    ) -> std::result::Result<Furnished, Problem> {
        let (beside, _) = Dir::parent_of(root)?;
        beside.remove_all(ASIDE)?;
        beside.make_dir(ASIDE, 0o700)?;
        let mut furnished = Furnished {
            _lock: locked(root)?,
            root: root.to_owned(),
            aside: beside.open_dir(ASIDE)?,
            stubs: Stubs::default(),
            placed: Vec::new(),
            misplaced: Vec::new(),
            lacks_devices: false,
        };
        let done = furnished.furnish(own, spec);
        match done {
            Ok(()) => Ok(furnished),
            Err(error) => {
                // The first failure is the one to tell.
                let _ = furnished.clear();
                Err(error)
            }
        }
    }

    fn furnish(&mut self, own: &Path, spec: &Spec) -> std::result::Result<(), Problem> {
        self.place("/proc", Place::Directory, |dir, name| {
            system::make_proc(dir, name)
        })?;
        self.place("/sys", Place::Directory, |dir, name| {
            dir.make_dir(name, 0o555)
        })?;
        let mut has_devices = true;
        self.place("/dev", Place::Directory, |dir, name| {
            has_devices = system::make_dev(dir, name)?;
            Ok(())
        })?;
        self.lacks_devices = !has_devices;
        for mount in spec
            .mounts
            .iter()
            .filter(|mount| !inside::system::is_dev(mount))
        {
            let target = mount.target.as_str();
            match &mount.source {
                MountSource::Bind { path, access } => {
                    self.bind(target, path, (*access, path.starts_with(own)))?;
                }
                MountSource::Own => {
                    self.find_or_make(target, Place::Directory)?;
                }
                MountSource::Tmpfs { mode, .. } => {
                    let make = |dir: &Dir, name: &OsStr| dir.make_dir(name, *mode);
                    self.place(target, Place::Directory, make)?;
                }
                MountSource::File {
                    content,
                    mode,
                    uid,
                    gid,
                    ..
                } => {
                    let owner = Owner {
                        uid: *uid,
                        gid: *gid,
                    };
                    self.place(target, Place::File, |dir, name| {
                        let mut made = dir.create_file(name, 0o600)?;
                        // What is open for writing could not be executed.
                        let kept = dir.open_file(name)?;
                        let text = || format!("write({} bytes)", content.len());
                        made.write_all(content)
                            .map_err(|source| Error::new(text(), source))?;
                        file::set_owner(&made, owner)?;
                        file::set_mode(&made, *mode)?;
                        Ok(What::File(kept))
                    })?;
                }
                MountSource::Layered { .. } => {
                    let refused = io::ErrorKind::Unsupported.into();
                    return Err(Error::new(format!("mount({target:?})"), refused).into());
                }
            }
        }
        Ok(())
    }

    fn bind(
        &mut self,
        target: &str,
        path: &Path,
        how: (Access, bool),
    ) -> std::result::Result<(), Problem> {
        let real = || {
            let real = fs::canonicalize(path);
            real.map_err(|source| Error::new(format!("realpath({path:?})"), source))
        };
        // `.` has no name of its own.
        if path.file_name().is_none() && path.parent().is_some() {
            return self.bind(target, &real()?, how);
        }
        let (from, from_name) = Dir::parent_of(path)?;
        let stat = from.stat(&from_name)?;
        // A link of the host leads where the host says.
        if stat.kind == FileKind::Symlink {
            return self.bind(target, &real()?, how);
        }
        let kind = match stat.is_dir() {
            true => Place::Directory,
            false => Place::File,
        };
        match how {
            (Access::ReadOnly, _) => self.place(target, kind, |dir, name| {
                copy_all((&from, &from_name), &stat, (dir, name))
            }),
            (Access::ReadWrite, true) if stat.is_dir() => {
                let root = self.root.clone();
                let borrower = Borrower {
                    root: &root,
                    target,
                };
                self.place(target, kind, |dir, name| {
                    Loan::begin((from, from_name), (dir, name), borrower).map(What::Directory)
                })
            }
            // Another name of a socket leads to whoever listens on it.
            (Access::ReadWrite, true) => {
                self.place(target, kind, |dir, name| from.link(&from_name, dir, name))
            }
            (Access::ReadWrite, false) => {
                let refused = io::ErrorKind::Unsupported.into();
                Err(Error::new(format!("mount({path:?})"), refused).into())
            }
        }
    }

    /// Finds a place in the root file system, or makes it; gives the root.
    fn find_or_make(&mut self, target: &str, kind: Place) -> std::result::Result<Root, Problem> {
        let (root, target) = (Root::open(&self.root)?, Path::new(target));
        match self.stubs.place(&root, target, kind) {
            Ok(_) => Ok(root),
            Err(error) => Err(Problem::at(target, error)),
        }
    }

    /// Puts something at a place, which is free while `make` makes it.
    fn place<W: Into<What>>(
        &mut self,
        target: &str,
        kind: Place,
        make: impl FnOnce(&Dir, &OsStr) -> Result<W>,
    ) -> std::result::Result<(), Problem> {
        let root = self.find_or_make(target, kind)?;
        let real = root.real_path(Path::new(target))?.path;
        let (dir, name) = root.parent(&real)?;
        let modified = dir.stat(".")?.modified;
        dir.rename(&name, &self.aside, self.placed.len().to_string())?;
        self.placed.push(Placed {
            dir: dir.try_clone()?,
            name: name.clone(),
            target: target.to_owned(),
            what: What::Copy,
        });
        let what = make(&dir, &name)?.into();
        if let Some(placed) = self.placed.last_mut() {
            placed.what = what;
        }
        Ok(dir.set_modified(".", modified)?)
    }

    /// Takes everything away again and puts back what was there; to be called once.
    pub(super) fn clear(&mut self) -> Result<()> {
        let mut placed = std::mem::take(&mut self.placed);
        let mut done = Ok(());
        while let Some(thing) = placed.pop() {
            // What else was lent must not stay.
            let taken = self.take_back(thing, placed.len());
            done = done.and(taken);
        }
        done?;
        self.stubs.remove(&self.root)?;
        if self.misplaced.is_empty() {
            let (beside, _) = Dir::parent_of(&self.root)?;
            return beside.remove_all(ASIDE);
        }
        let mut note = self.aside.create_file(MISPLACED, 0o600)?;
        let written = note.write_all(self.misplaced.join(" and ").as_bytes());
        written.map_err(|source| Error::new(format!("write({MISPLACED:?})"), source))
    }

    fn take_back(&mut self, thing: Placed, number: usize) -> Result<()> {
        let modified = thing.dir.stat(".")?.modified;
        if !thing.what.take_away(&thing.dir, &thing.name)? {
            self.misplaced.push(thing.target);
        }
        // The directory it was in may be gone: then so is this.
        let back = number.to_string();
        if forgiving(self.aside.rename(back, &thing.dir, &thing.name))? {
            thing.dir.set_modified(".", modified)?;
        }
        Ok(())
    }
}

/// Holds the directory around a root file system as long as the file is open.
fn locked(root: &Path) -> Result<File> {
    let around = root.parent().unwrap_or(root);
    let file = File::open(around).and_then(|file| file.lock_shared().map(|()| file));
    file.map_err(|source| Error::new(format!("flock({around:?})"), source))
}

/// Fails if a root file system still has things in it that are not its own, or had them elsewhere
/// than where they were put.
pub(super) fn check_cleared(root: &Path) -> std::result::Result<(), sandbox::Error> {
    let aside = root.with_file_name(ASIDE);
    if !aside.exists() {
        return Ok(());
    }
    match fs::read_to_string(aside.join(MISPLACED)) {
        Ok(targets) => Err(sandbox::Error::Misplaced { targets }),
        // Why, only the supervisor knew.
        Err(_) => Err(sandbox::Error::NotTakenBack),
    }
}

/// Tells whether it was done; that there is nothing to do it with is no failure.
fn forgiving(done: Result<()>) -> Result<bool> {
    match done {
        Err(error) if error.is_not_found() => Ok(false),
        done => done.map(|()| true),
    }
}

/// Copies a file or a tree as it is; what is neither file, directory nor link is left out.
fn copy_all(from: (&Dir, &OsStr), stat: &Stat, (into, new): (&Dir, &OsStr)) -> Result<()> {
    let (dir, name) = from;
    match stat.kind {
        FileKind::Directory => {
            into.make_dir(new, 0o700)?;
            let (inner, inner_into) = (dir.open_dir(name)?, into.open_dir(new)?);
            for entry in inner.entries()? {
                let stat = inner.stat(&entry.name)?;
                copy_all((&inner, &entry.name), &stat, (&inner_into, &entry.name))?;
            }
            into.set_owner(new, stat.owner)?;
            into.set_mode(new, stat.mode)?;
        }
        FileKind::File => {
            let made = into.create_file(new, 0o600)?;
            file::copy(&dir.open_file(name)?, &made)?;
            file::set_owner(&made, stat.owner)?;
            file::set_mode(&made, stat.mode)?;
        }
        FileKind::Symlink => {
            into.symlink(&dir.read_link(name)?, new)?;
            into.set_owner(new, stat.owner)?;
        }
        _ => return Ok(()),
    }
    into.set_modified(new, stat.modified)
}
