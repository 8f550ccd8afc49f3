//! Removing a whole tree by handles.

use std::ffi::OsStr;
use std::ffi::OsString;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Result;
use crate::sys::dir::plain;
use crate::sys::error::Call;

/// A directory being emptied: itself, the subdirectories still to go, and its name in its parent.
struct Level {
    dir: Dir,
    left: Vec<OsString>,
    name: OsString,
}

impl Dir {
    /// Removes a name and, if it is a directory, all below it; nothing there is no failure.
    ///
    /// No symbolic link is followed and nothing outside is touched, even if the tree is changed
    /// meanwhile. Depth costs a descriptor each, not stack.
    pub fn remove_all(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = name.as_ref();
        if self.remove_leaf(name)? {
            return Ok(());
        }
        let Some(top) = enter(self, name.to_owned())? else {
            return Ok(());
        };
        let mut levels = vec![top];
        while let Some(level) = levels.last_mut() {
            if let Some(child) = level.left.pop() {
                let entered = enter(&level.dir, child)?;
                levels.extend(entered);
                continue;
            }
            let emptied = levels.pop().expect("the loop looks at the last level");
            let parent = levels.last().map_or(self, |level| &level.dir);
            match parent.remove_dir(&emptied.name) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes a name unless it is a directory; tells whether it is gone.
    fn remove_leaf(&self, name: &OsStr) -> Result<bool> {
        let name = plain(name)?;
        match rustix::fs::unlinkat(self, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::ISDIR) => Ok(false),
            Err(errno) => Err(errno).call(|| self.text("unlinkat", name)),
        }
    }
}

/// Opens a directory and removes all in it that is not a directory itself.
fn enter(parent: &Dir, name: OsString) -> Result<Option<Level>> {
    let dir = match parent.open_dir(&name) {
        Ok(dir) => dir,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut left = Vec::new();
    for entry in dir.entries()? {
        if entry.kind == FileKind::Directory || !dir.remove_leaf(&entry.name)? {
            left.push(entry.name);
        }
    }
    Ok(Some(Level { dir, left, name }))
}
