//! Finding out where a path leads inside a root, also when it leads to nothing yet.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use crate::sys::FileKind;
use crate::sys::Result;
use crate::sys::Root;
use crate::sys::Stat;
use crate::sys::error::Error;

/// As many symbolic links as are followed in one path before it counts as a loop.
const LINKS_MAX: usize = 255;

/// Where a path leads inside a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealPath {
    /// The path without symbolic links, relative to the root; empty for the root itself.
    pub path: PathBuf,
    /// What is there; none if there is nothing yet.
    pub found: Option<Stat>,
}

impl Root {
    /// Follows every symbolic link of a path, the last one too. Names that do not exist stay as
    /// they are written, and `..` after them goes back by what was written.
    ///
    /// The answer describes the tree of this moment: whoever uses it walks again, inside the root.
    pub fn real_path(&self, path: &Path) -> Result<RealPath> {
        let mut real = PathBuf::new();
        let mut found = Some(self.stat(Path::new(""))?);
        let mut left = VecDeque::new();
        push_front(&mut left, path);
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            if name == "/" {
                real.clear();
            } else if name == ".." {
                real.pop();
            } else {
                real.push(name);
            }
            found = self.find(&real)?;
            if found.is_some_and(|stat| stat.kind == FileKind::Symlink) {
                links += 1;
                if links > LINKS_MAX {
                    let source = std::io::Error::from_raw_os_error(libc::ELOOP);
                    return Err(Error::new(format!("readlink({path:?})"), source));
                }
                let target = self.read_link(&real)?;
                real.pop();
                push_front(&mut left, &target);
            }
        }
        Ok(RealPath { path: real, found })
    }

    /// Metadata of what a path names, or none if there is nothing of that name.
    pub fn find(&self, path: &Path) -> Result<Option<Stat>> {
        match self.lstat(path) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.is_not_found() => Ok(None),
            // A file on the way: nothing can be below it.
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn push_front(left: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => left.push_front(name.to_owned()),
            Component::ParentDir => left.push_front(OsString::from("..")),
            Component::RootDir => left.push_front(OsString::from("/")),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Root;

    #[test]
    fn follows_links_inside_and_keeps_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        root.dir().make_dir("a", 0o755).unwrap();
        root.dir().symlink(Path::new("/a"), "absolute").unwrap();
        root.dir()
            .symlink(Path::new("../../../a"), "climbing")
            .unwrap();
        root.dir()
            .symlink(Path::new("nowhere/x"), "dangling")
            .unwrap();
        root.dir().symlink(Path::new("loop"), "loop").unwrap();
        for (path, real, exists) in [
            ("", "", true),
            ("/", "", true),
            ("../..", "", true),
            ("absolute", "a", true),
            ("climbing/./b", "a/b", false),
            ("dangling", "nowhere/x", false),
            ("missing/../a", "a", true),
        ] {
            let answer = root.real_path(Path::new(path)).unwrap();
            assert_eq!(answer.path, Path::new(real), "{path}");
            assert_eq!(answer.found.is_some(), exists, "{path}");
        }
        assert!(root.real_path(Path::new("loop/x")).is_err());
    }
}
