//! One entry of a layer that is being packed, before its content is read.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use tar::EntryType;

use crate::layer::Error;
use crate::layer::Result;
use crate::layer::attribute;
use crate::layer::change::cannot_read;
use crate::layer::header;
use crate::layer::header::EntryHeader;
use crate::sys;
use crate::sys::Dir;
use crate::sys::Nearby;
use crate::sys::Root;

/// An entry to be written.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// All that is known without looking at the file: attributes and a link's target are not.
    pub(super) header: EntryHeader,
    pub(super) source: Source,
}

/// Where the rest of an entry is found.
#[derive(Debug, Clone)]
pub enum Source {
    /// There is no more: an empty file or a directory without attributes.
    Nothing,
    /// The file itself.
    Tree {
        /// The tree that it is in.
        root: Arc<Root>,
        /// Its path there.
        path: PathBuf,
        /// Whether its capabilities go into the layer.
        has_capabilities: bool,
    },
    /// An archive, in which the content lies in one piece. There are no attributes.
    Archive {
        /// The archive.
        archive: Arc<File>,
        /// Where in it the content begins.
        offset: u64,
        /// Where a symbolic link leads.
        target: Vec<u8>,
    },
}

impl Item {
    /// Says whether content follows the header.
    pub(super) fn has_content(&self) -> bool {
        self.header.kind == EntryType::Regular && self.header.size > 0
    }

    /// Gives how many bytes of tar it takes, unless it has attributes or does not fit in ustar.
    pub(super) fn usual_bytes(&self) -> u64 {
        let block = header::BLOCK as u64;
        let content = if self.has_content() {
            self.header.size.saturating_add(block - 1) / block * block
        } else {
            0
        };
        content.saturating_add(block)
    }
}

/// Reads items into tar bytes, one after the other; neighbours often lie in one directory.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The directory that was read from last, and the tree that it is in.
    nearby: Nearby,
    tree: Option<Arc<Root>>,
}

impl Reader {
    /// Opens the directory that a path of a tree is in.
    fn parent<'p>(&mut self, root: &Arc<Root>, path: &'p Path) -> Result<(&Dir, &'p OsStr)> {
        if self
            .tree
            .as_ref()
            .is_none_or(|tree| !Arc::ptr_eq(tree, root))
        {
            self.nearby = Nearby::default();
            self.tree = Some(Arc::clone(root));
        }
        self.nearby.parent(root, path).map_err(cannot_read(path))
    }

    /// Adds an item with its content.
    pub(super) fn entry(&mut self, item: &Item, out: &mut Vec<u8>) -> Result<()> {
        let file = self.header(item, out)?;
        if !item.has_content() {
            return Ok(());
        }
        self.content(item, file, (0, item.header.size), out)
    }

    /// Adds a part of an item's content; with the last part, what fills up the tar's block.
    pub(super) fn part(&mut self, item: &Item, part: (u64, u64), out: &mut Vec<u8>) -> Result<()> {
        let file = match &item.source {
            Source::Tree { root, path, .. } => {
                let (dir, name) = self.parent(root, path)?;
                Some(dir.open_file(name).map_err(cannot_read(path))?)
            }
            Source::Archive { .. } | Source::Nothing => None,
        };
        self.content(item, file, part, out)
    }

    /// Adds the header of an item; gives its file, if it is one with content.
    pub(super) fn header(&mut self, item: &Item, out: &mut Vec<u8>) -> Result<Option<File>> {
        let mut header = item.header.clone();
        let Source::Tree {
            root,
            path,
            has_capabilities,
        } = &item.source
        else {
            if let (Source::Archive { target, .. }, EntryType::Symlink) =
                (&item.source, header.kind)
            {
                header.link.clone_from(target);
            }
            out.extend_from_slice(&header.encode());
            return Ok(None);
        };
        let (dir, name) = self.parent(root, path)?;
        let mut file = None;
        if item.has_content() {
            file = Some(dir.open_file(name).map_err(cannot_read(path))?);
        }
        if header.kind == EntryType::Symlink {
            let target = dir.read_link(name).map_err(cannot_read(path))?;
            header.link = target.as_os_str().as_bytes().to_vec();
        }
        // An open file can be asked at once whether it has any.
        if *has_capabilities && file.as_ref().is_none_or(sys::file::has_attributes) {
            header.xattrs = attribute::read_packed(dir, name).map_err(cannot_read(path))?;
        }
        out.extend_from_slice(&header.encode());
        Ok(file)
    }

    fn content(
        &self,
        item: &Item,
        file: Option<File>,
        (from, length): (u64, u64),
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let is_last = from + length == item.header.size;
        match (&item.source, &file) {
            (
                Source::Archive {
                    archive, offset, ..
                },
                _,
            ) => fill(archive, item, (offset + from, length, After::More), out),
            (_, Some(file)) if is_last => fill(file, item, (from, length, After::End), out),
            (_, Some(file)) => fill(file, item, (from, length, After::More), out),
            (_, None) => Ok(()),
        }?;
        if is_last {
            out.resize(out.len().next_multiple_of(header::BLOCK), 0);
        }
        Ok(())
    }
}

/// What must follow the bytes that are read of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    End,
    More,
}

/// Reads so many bytes from an offset; with nothing to follow, the file must end there.
fn fill(
    file: &File,
    item: &Item,
    (offset, length, after): (u64, u64, After),
    out: &mut Vec<u8>,
) -> Result<()> {
    let path = || PathBuf::from(OsStr::from_bytes(&item.header.path));
    let start = out.len();
    let length = usize::try_from(length).expect("a part is no larger than a block");
    let asked = length + usize::from(after == After::End);
    out.resize(start + asked, 0);
    let mut found = 0;
    while found < length {
        let place = offset + found as u64;
        match file.read_at(&mut out[start + found..], place) {
            Ok(0) => break,
            Ok(count) => found += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(Error::Read {
                    path: path(),
                    source,
                });
            }
        }
    }
    if found != length {
        return Err(Error::Changed {
            path: path(),
            size: item.header.size,
        });
    }
    out.truncate(start + length);
    Ok(())
}
