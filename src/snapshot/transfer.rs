//! Bringing one file from tree to tree with all that a snapshot keeps of it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use crate::layer;
use crate::sys;
use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Node;
use crate::sys::Root;
use crate::sys::Stat;

/// How a file comes into a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// As a copy, which shares its blocks where the file system can: either may change.
    Copied,
    /// As another name of the same file: neither may change. Copied where that is refused.
    Linked,
}

/// Files under way to one tree, and which of those with several names have arrived.
#[derive(Debug)]
pub(super) struct Transfer {
    manner: Manner,
    target: Root,
    arrived: HashMap<(u64, u64), PathBuf>,
}

/// A name in a directory.
pub(super) type Name<'a> = (&'a Dir, &'a OsStr);

impl Transfer {
    /// Begins to fill a tree.
    pub(super) fn new(manner: Manner, target: Root) -> Self {
        Self {
            manner,
            target,
            arrived: HashMap::new(),
        }
    }

    /// Brings what is not a directory to a free name, which has this path in the tree.
    pub(super) fn file(
        &mut self,
        from: Name<'_>,
        stat: &Stat,
        (dir, path): (&Dir, &Path),
    ) -> sys::Result<()> {
        let name = path.file_name().unwrap_or_default();
        if self.manner == Manner::Linked && from.0.link(from.1, dir, name).is_ok() {
            return Ok(());
        }
        if stat.links == 1 {
            return copy(from, stat, (dir, name));
        }
        if let Some(first) = self.arrived.get(&stat.identity) {
            let (first, first_name) = self.target.parent(first)?;
            return first.link(first_name, dir, name);
        }
        self.arrived.insert(stat.identity, path.to_owned());
        copy(from, stat, (dir, name))
    }
}

fn copy(from: Name<'_>, stat: &Stat, (dir, name): Name<'_>) -> sys::Result<()> {
    match stat.kind {
        FileKind::File => {
            let file = dir.create_file(name, 0o600)?;
            if stat.size > 0 {
                sys::file::copy(&from.0.open_file(from.1)?, &file)?;
            }
        }
        FileKind::Symlink => dir.symlink(&from.0.read_link(from.1)?, name)?,
        kind => dir.make_node(name, node(kind, stat.device), 0o600)?,
    }
    metadata(from, stat, (dir, name))
}

fn node(kind: FileKind, (major, minor): (u32, u32)) -> Node {
    match kind {
        FileKind::CharDevice => Node::CharDevice(major, minor),
        FileKind::BlockDevice => Node::BlockDevice(major, minor),
        FileKind::Socket => Node::Socket,
        _ => Node::Fifo,
    }
}

/// Sets owner, attributes, mode and time, in this order: each undoes some of a later one.
pub(super) fn metadata(from: Name<'_>, stat: &Stat, (dir, name): Name<'_>) -> sys::Result<()> {
    dir.set_owner(name, stat.owner)?;
    for (key, value) in layer::attributes(from.0, from.1)? {
        dir.set_xattr(name, &key, &value)?;
    }
    if stat.kind != FileKind::Symlink {
        dir.set_mode(name, stat.mode)?;
    }
    dir.set_modified(name, stat.modified)
}
