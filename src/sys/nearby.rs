//! Looking at many files of a tree in their order: neighbours lie in one directory.

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use crate::sys::Dir;
use crate::sys::Result;
use crate::sys::Root;

/// The directory that was looked into last.
#[derive(Debug, Default)]
pub struct Nearby {
    last: Option<(PathBuf, Dir)>,
}

impl Nearby {
    /// Opens the directory that a path is in, unless it was the last one; gives the name there,
    /// which is `.` for the root itself.
    pub fn parent<'p>(&mut self, root: &Root, path: &'p Path) -> Result<(&Dir, &'p OsStr)> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().unwrap_or(OsStr::new("."));
        let kept = self.last.take().filter(|(kept, _)| kept == parent);
        let kept = match kept {
            Some(kept) => kept,
            None => (parent.to_owned(), root.open_dir(parent)?),
        };
        Ok((&self.last.insert(kept).1, name))
    }
}
