//! Putting selected files into a root filesystem, as `COPY` does.
//!
//! The rules are those of BuildKit's file operations: a directory's contents are copied, never the
//! directory; the destination's symbolic links are followed inside the root, those below it are
//! replaced; what is copied over a directory that exists merges with it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;

use crate::graph::FileMode;
use crate::solver::Cancel;
use crate::sys;
use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Made;
use crate::sys::MakeDirs;
use crate::sys::Node as NodeKind;
use crate::sys::Owner;
use crate::sys::Root;
use crate::sys::Stat;
use crate::sys::Symlinks;
use crate::worker::Error;
use crate::worker::files::mode;
use crate::worker::files::select::Node;
use crate::worker::files::select::Selected;
use crate::worker::files::xattr;

/// What a `COPY` says of the files it makes.
#[derive(Clone, Debug)]
pub(in crate::worker) struct Manner {
    /// Whose they become; none to keep the source's owners.
    pub(in crate::worker) owner: Option<Owner>,
    /// Whose directories become that are made on the way.
    pub(in crate::worker) parent_owner: Owner,
    /// `--chmod`.
    pub(in crate::worker) mode: Option<FileMode>,
    /// Whether paths are kept: `--parents`. The directory that a copy goes to is then only there
    /// for what is in it, and does not take the source's time.
    pub(in crate::worker) keeps_paths: bool,
    /// Whether they keep their capabilities: BuildKit's contexts arrive without.
    pub(in crate::worker) capabilities: bool,
    /// The wish to stop, heeded before each file.
    pub(in crate::worker) cancel: Cancel,
}

impl Manner {
    /// Says how an archive is unpacked: what `--chmod` says is not for it, nor for the directories
    /// that are made for it.
    pub(in crate::worker) fn of_archive(&self) -> Self {
        Self {
            mode: None,
            ..self.clone()
        }
    }

    /// Says how missing directories above the destination are made. BuildKit gives them an octal
    /// `--chmod` too, even one that makes them impassable.
    pub(in crate::worker) fn parents(&self) -> MakeDirs {
        let mode = match self.mode {
            Some(FileMode::Octal(bits)) => bits,
            _ => 0o755,
        };
        MakeDirs {
            mode,
            owner: Some(self.parent_owner),
            modified: None,
            symlinks: Symlinks::Follow,
        }
    }

    /// Says whose a file becomes.
    pub(in crate::worker) fn owner_of(&self, stat: &Stat) -> Owner {
        self.owner.unwrap_or(stat.owner)
    }

    /// Says which mode a file gets.
    pub(in crate::worker) fn mode_of(&self, stat: &Stat) -> u32 {
        match &self.mode {
            Some(mode) => mode::apply(mode, stat.mode, stat.is_dir()),
            None => stat.mode,
        }
    }
}

/// Copies `selected` from `source` to `destination` in `target`.
pub(in crate::worker) fn place(
    selected: &Selected,
    source: &Root,
    target: &Root,
    destination: &str,
    manner: &Manner,
) -> Result<(), Error> {
    let (parent, name) = prepare(selected, target, destination, manner)?;
    let top = &selected.node;
    let from = match selected.path.parent() {
        Some(above) => source.open_dir(above)?,
        None => source.dir().try_clone()?,
    };
    let from_name = selected.path.file_name().unwrap_or(OsStr::new("."));
    let into = target.open_dir(&parent)?;
    let mut copy = Copy {
        target,
        manner,
        links: HashMap::new(),
    };
    copy.node(
        top,
        (&from, from_name),
        (&into, &name, &parent.join(&name)),
        true,
    )
}

/// Makes a directory and those above it; what stands in the way is the Dockerfile's concern.
pub(in crate::worker) fn make_dirs(
    root: &Root,
    path: &Path,
    options: &MakeDirs,
) -> Result<Made, Error> {
    root.make_dirs(path, options)
        .map_err(|source| match source.kind() {
            ErrorKind::NotADirectory => Error::DirectoryBlocked {
                path: path.to_owned(),
                source,
            },
            _ => source.into(),
        })
}

/// Makes the directories that the destination needs and decides what the copy is called: gives the
/// real path of the directory it goes to, and its name there (`.` for the root itself).
fn prepare(
    selected: &Selected,
    target: &Root,
    destination: &str,
    manner: &Manner,
) -> Result<(PathBuf, OsString), Error> {
    let is_dir = selected.node.stat.is_dir();
    let above = match destination.rsplit_once('/') {
        Some((above, name)) if !name.is_empty() && name != "." => above,
        _ => destination,
    };
    make_dirs(target, Path::new(above), &manner.parents())?;
    let mut real = target.real_path(Path::new(destination))?;
    let exists_as_dir = real.found.is_some_and(|stat| stat.is_dir());
    if !is_dir && exists_as_dir {
        real.path.push(&selected.base_name);
    }
    let needed = if is_dir && real.found.is_none() {
        real.path.as_path()
    } else {
        real.path.parent().unwrap_or(Path::new(""))
    };
    make_dirs(target, needed, &manner.parents())?;
    let name = real.path.file_name().unwrap_or(OsStr::new(".")).to_owned();
    let parent = real.path.parent().unwrap_or(Path::new("")).to_owned();
    Ok((parent, name))
}

/// One copy under way.
struct Copy<'a> {
    target: &'a Root,
    manner: &'a Manner,
    /// Where the first name of a file with several names went.
    links: HashMap<(u64, u64), PathBuf>,
}

/// A name in a directory of the source.
type From<'a> = (&'a Dir, &'a OsStr);
/// A name in a directory of the target, and its path from the root.
type Into<'a> = (&'a Dir, &'a OsStr, &'a Path);

impl Copy<'_> {
    fn node(
        &mut self,
        node: &Node,
        from: From<'_>,
        into: Into<'_>,
        top: bool,
    ) -> Result<(), Error> {
        if self.manner.cancel.is_canceled() {
            return Err(Error::Canceled);
        }
        if node.stat.is_dir() {
            return self.directory(node, from, into, top);
        }
        let (dir, name, path) = into;
        if let Some(old) = dir.find(name)? {
            if old.is_dir() {
                return Err(Error::FileOverDirectory {
                    path: path.to_owned(),
                });
            }
            dir.remove_file(name)?;
        }
        if node.stat.links > 1 {
            if let Some(first) = self.links.get(&node.stat.identity) {
                let (first_dir, first_name) = self.target.parent(first)?;
                first_dir.link(&first_name, dir, name)?;
                return Ok(());
            }
            self.links.insert(node.stat.identity, path.to_owned());
        }
        match node.stat.kind {
            FileKind::File => {
                let file = dir.create_file(name, 0o600)?;
                sys::file::copy(&from.0.open_file(from.1)?, &file)?;
            }
            FileKind::Symlink => dir.symlink(&from.0.read_link(from.1)?, name)?,
            _ => dir.make_node(name, special(&node.stat), node.stat.mode)?,
        }
        self.metadata(&node.stat, from, (dir, name))?;
        set_time(&node.stat, (dir, name))
    }

    fn directory(
        &mut self,
        node: &Node,
        from: From<'_>,
        into: Into<'_>,
        top: bool,
    ) -> Result<(), Error> {
        let (dir, name, path) = into;
        let created = match dir.find(name)? {
            None => {
                dir.make_dir(name, node.stat.mode)?;
                true
            }
            Some(old) if !old.is_dir() => {
                return Err(Error::DirectoryOverFile {
                    path: path.to_owned(),
                });
            }
            Some(_) => false,
        };
        if !node.children.is_empty() {
            let inner_from = from.0.open_dir(from.1)?;
            let inner_into = dir.open_dir(name)?;
            for child in &node.children {
                let child_path = path.join(&child.name);
                let child_into = (&inner_into, child.name.as_os_str(), child_path.as_path());
                self.node(child, (&inner_from, &child.name), child_into, false)?;
            }
        }
        if created || (!top && node.wanted) {
            self.metadata(&node.stat, from, (dir, name))?;
            // A directory that is only there for what is in it has the time of that.
            return if node.wanted {
                set_time(&node.stat, (dir, name))
            } else {
                Ok(())
            };
        }
        // The directory that a copy goes to keeps its own owner and mode, but not its time; that of
        // the source's root says nothing, since BuildKit makes that directory itself.
        if top && from.1 != "." && !self.manner.keeps_paths {
            set_time(&node.stat, (dir, name))?;
        }
        Ok(())
    }

    /// Order matters: changing the owner clears set-user-id.
    fn metadata(&self, stat: &Stat, from: From<'_>, into: (&Dir, &OsStr)) -> Result<(), Error> {
        let (dir, name) = into;
        dir.set_owner(name, self.manner.owner_of(stat))?;
        copy_xattrs(from, into, self.manner.capabilities);
        if stat.kind != FileKind::Symlink {
            dir.set_mode(name, self.manner.mode_of(stat))?;
        }
        Ok(())
    }
}

fn set_time(stat: &Stat, (dir, name): (&Dir, &OsStr)) -> Result<(), Error> {
    Ok(dir.set_modified(name, stat.modified)?)
}

/// Copies what attributes the target takes. BuildKit ignores failures too: the source may have
/// attributes that the target's file system does not know.
fn copy_xattrs(from: From<'_>, into: (&Dir, &OsStr), capabilities: bool) {
    for (key, value) in xattr::read(from.0, from.1) {
        if key == xattr::CAPABILITY && !capabilities {
            continue;
        }
        let _ignored = into.0.set_xattr(into.1, &key, &value);
    }
}

fn special(stat: &Stat) -> NodeKind {
    let (major, minor) = stat.device;
    match stat.kind {
        FileKind::CharDevice => NodeKind::CharDevice(major, minor),
        FileKind::BlockDevice => NodeKind::BlockDevice(major, minor),
        FileKind::Socket => NodeKind::Socket,
        _ => NodeKind::Fifo,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::Manner;
    use super::place;
    use crate::graph::FileMode;
    use crate::graph::Patterns;
    use crate::solver::Cancel;
    use crate::sys::Owner;
    use crate::sys::Root;
    use crate::worker::Error;
    use crate::worker::files::select::Wish;
    use crate::worker::files::select::select;

    /// A source with files, links and a target with a few directories.
    fn folders() -> (tempfile::TempDir, Root, Root) {
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("source"), folder.path().join("target"));
        fs::create_dir_all(source.join("dir/inner")).unwrap();
        fs::write(source.join("a.txt"), "a").unwrap();
        fs::write(source.join("b.txt"), "b").unwrap();
        fs::write(source.join("dir/c"), "c").unwrap();
        fs::hard_link(source.join("dir/c"), source.join("dir/inner/c2")).unwrap();
        symlink("a.txt", source.join("link")).unwrap();
        symlink("/a.txt", source.join("dir/absolute")).unwrap();
        fs::create_dir_all(target.join("there")).unwrap();
        symlink("there", target.join("alias")).unwrap();
        symlink("../../outside", target.join("out")).unwrap();
        let roots = (Root::open(&source).unwrap(), Root::open(&target).unwrap());
        (folder, roots.0, roots.1)
    }

    /// Whoever runs the test, so that it needs no rights.
    fn owner() -> Owner {
        let metadata = fs::metadata("/proc/self").unwrap();
        Owner {
            uid: metadata.uid(),
            gid: metadata.gid(),
        }
    }

    fn copy(
        roots: (&Root, &Root),
        path: &str,
        destination: &str,
        mode: Option<FileMode>,
    ) -> Result<(), Error> {
        let wish = Wish {
            path,
            literal: false,
            excludes: &[],
            parents: false,
            ignore: None,
        };
        let manner = Manner {
            owner: Some(owner()),
            parent_owner: owner(),
            mode,
            keeps_paths: false,
            capabilities: true,
            cancel: Cancel::new(),
        };
        for selected in select(roots.0, &wish)? {
            place(&selected, roots.0, roots.1, destination, &manner)?;
        }
        Ok(())
    }

    #[test]
    fn follows_the_rules_of_docker_for_destinations() {
        for (path, destination, made) in [
            ("a.txt", "/x", "x"),
            ("a.txt", "/x/", "x/a.txt"),
            ("a.txt", "/x/y/z", "x/y/z"),
            ("a.txt", "/there", "there/a.txt"),
            ("a.txt", "/alias", "there/a.txt"),
            ("a.txt", "/alias/new", "there/new"),
            ("a.txt", "/", "a.txt"),
            ("link", "/x", "x"),
            ("link", "/there/", "there/link"),
            ("dir", "/x", "x/inner/c2"),
            ("dir/", "/there", "there/c"),
            ("dir", "/", "inner/c2"),
            ("?.txt", "/x/", "x/b.txt"),
            ("/", "/x", "x/dir/c"),
            ("../../a.txt", "/x", "x"),
        ] {
            let (folder, source, target) = folders();
            copy((&source, &target), path, destination, None).unwrap();
            let made_path = folder.path().join("target").join(made);
            let metadata = fs::symlink_metadata(&made_path);
            assert!(
                metadata.is_ok_and(|m| m.is_file()),
                "{path} to {destination}: no {made}"
            );
        }
    }

    #[test]
    fn stops_between_files() {
        let (folder, source, target) = folders();
        let manner = Manner {
            owner: Some(owner()),
            parent_owner: owner(),
            mode: None,
            keeps_paths: false,
            capabilities: true,
            cancel: Cancel::new(),
        };
        manner.cancel.cancel();
        let wish = Wish {
            path: "dir",
            literal: false,
            excludes: &[],
            parents: false,
            ignore: None,
        };
        let selected = select(&source, &wish).unwrap();
        let placed = place(&selected[0], &source, &target, "/x", &manner);
        assert!(matches!(placed, Err(Error::Canceled)));
        assert!(!folder.path().join("target/x/c").exists());
    }

    #[test]
    fn stays_inside_the_target() {
        let (folder, source, target) = folders();
        copy((&source, &target), "a.txt", "/out", None).unwrap();
        assert!(!folder.path().join("outside").exists());
        assert!(folder.path().join("target/outside").is_file());
        copy((&source, &target), "a.txt", "/../../up", None).unwrap();
        assert!(folder.path().join("target/up").is_file());
    }

    #[test]
    fn keeps_links_among_the_copied_and_modes_as_told() {
        let (folder, source, target) = folders();
        copy(
            (&source, &target),
            "dir",
            "/x",
            Some(FileMode::Octal(0o640)),
        )
        .unwrap();
        let made = folder.path().join("target/x");
        let (first, second) = (made.join("c"), made.join("inner/c2"));
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        assert_eq!(inode(&first), inode(&second));
        assert_ne!(inode(&first), inode(&folder.path().join("source/dir/c")));
        assert_eq!(fs::metadata(&first).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::metadata(&made).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(
            fs::read_link(made.join("absolute")).unwrap(),
            Path::new("/a.txt")
        );
    }

    #[test]
    fn refuses_to_mix_files_and_directories() {
        let (_folder, source, target) = folders();
        copy((&source, &target), "a.txt", "/file", None).unwrap();
        let error = copy((&source, &target), "dir", "/file", None).unwrap_err();
        assert!(
            matches!(
                error,
                Error::DirectoryOverFile { .. } | Error::System { .. }
            ),
            "{error}"
        );
        target.dir().make_dir("a.txt", 0o755).unwrap();
        let error = copy((&source, &target), "a.txt", "/", None).unwrap_err();
        assert!(matches!(error, Error::FileOverDirectory { .. }), "{error}");
    }

    #[test]
    fn says_what_is_missing_and_what_is_ignored() {
        let (_folder, source, target) = folders();
        let error = copy((&source, &target), "nowhere", "/x", None).unwrap_err();
        assert!(matches!(error, Error::SourceMissing { .. }), "{error}");
        assert!(copy((&source, &target), "nowher[e]", "/x", None).is_ok());
        let ignore = Patterns::new(["*.txt", "dir", "!dir/c"]).unwrap();
        let ask = |path| {
            let wish = Wish {
                path,
                literal: false,
                excludes: &[],
                parents: false,
                ignore: Some(&ignore),
            };
            select(&source, &wish)
        };
        let error = ask("a.txt").unwrap_err();
        assert!(error.to_string().contains("*.txt"), "{error}");
        assert!(ask("*.txt").unwrap().is_empty());
        let names: Vec<_> = ask("dir").unwrap()[0]
            .node
            .children
            .iter()
            .map(|n| n.name.clone())
            .collect();
        assert_eq!(names, ["c"]);
    }

    #[test]
    fn parents_keep_the_path_and_excludes_leave_out() {
        let (folder, source, target) = folders();
        let manner = Manner {
            owner: Some(owner()),
            parent_owner: owner(),
            mode: None,
            keeps_paths: false,
            capabilities: true,
            cancel: Cancel::new(),
        };
        let excludes = ["**/c2".to_owned()];
        for path in ["dir/inner/", "./dir/./inner", "dir/c"] {
            let wish = Wish {
                path,
                literal: false,
                excludes: &excludes,
                parents: true,
                ignore: None,
            };
            for selected in select(&source, &wish).unwrap() {
                place(&selected, &source, &target, "/p/", &manner).unwrap();
            }
        }
        let made = folder.path().join("target/p");
        assert!(made.join("dir/inner").is_dir() && made.join("inner").is_dir());
        assert!(made.join("dir/c").is_file() && !made.join("dir/inner/c2").exists());
        let wish = Wish {
            path: "dir/nowhere",
            literal: false,
            excludes: &[],
            parents: true,
            ignore: None,
        };
        assert!(select(&source, &wish).is_err());
    }
}
