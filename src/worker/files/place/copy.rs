//! One file or tree being copied, with its kind, owner, mode, attributes and time.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use crate::sys;
use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Node as NodeKind;
use crate::sys::Root;
use crate::sys::Stat;
use crate::worker::Error;
use crate::worker::files::Manner;
use crate::worker::files::Node;
use crate::worker::files::xattr;

/// One copy under way.
pub(super) struct Copy<'a> {
    target: &'a Root,
    manner: &'a Manner,
    /// Where the first name of a file with several names went.
    links: HashMap<(u64, u64), PathBuf>,
}

/// A name in a directory of the source.
pub(super) type From<'a> = (&'a Dir, &'a OsStr);
/// A name in a directory of the target, and its path from the root.
pub(super) type Into<'a> = (&'a Dir, &'a OsStr, &'a Path);

impl<'a> Copy<'a> {
    /// Begins a copy to `target`.
    pub(super) fn new(target: &'a Root, manner: &'a Manner) -> Self {
        Self {
            target,
            manner,
            links: HashMap::new(),
        }
    }

    /// Copies what was selected.
    pub(super) fn top(&mut self, node: &Node, from: From<'_>, into: Into<'_>) -> Result<(), Error> {
        self.node(node, from, into, true)
    }

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
            Some(old) if !old.is_dir() && self.manner.replaces => {
                dir.remove_file(name)?;
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
