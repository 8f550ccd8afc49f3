//! Making one file of an archive: its body, its content, its attributes.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::io::BufRead;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tar::EntryType;

use crate::layer::Error;
use crate::layer::Result;
use crate::layer::entries::Entries;
use crate::layer::entry::Entry;
use crate::layer::sparse::Piece;
use crate::layer::whiteout;
use crate::sys;
use crate::sys::Dir;
use crate::sys::Node;
use crate::sys::Owner;
use crate::sys::Root;

/// Space is reserved for files from this size on, so that a full disk shows at once.
const RESERVE_MIN: u64 = 1 << 20;

/// Who owns a directory that an archive implies.
pub(super) const IMPLIED_OWNER: Owner = Owner::ROOT;

pub(super) const IMPLIED_MODE: u32 = 0o755;

/// What there is in the place of an entry.
pub(super) enum Made {
    /// A new file, to be written.
    File(File),
    /// Something else that is new.
    Other,
    /// What was there before, by this name or another.
    Nothing,
}

/// Makes what is neither a directory nor a hard link.
pub(super) fn make(dir: &Dir, name: &OsStr, entry: &Entry) -> sys::Result<Made> {
    let (major, minor) = entry.device;
    let node = match entry.kind {
        EntryType::Symlink => {
            let target = Path::new(OsStr::from_bytes(&entry.link));
            return dir.symlink(target, name).map(|()| Made::Other);
        }
        EntryType::Char => Node::CharDevice(major, minor),
        EntryType::Block => Node::BlockDevice(major, minor),
        EntryType::Fifo => Node::Fifo,
        _ => return dir.create_private_file(name).map(Made::File),
    };
    dir.make_node(name, node, 0o600).map(|()| Made::Other)
}

/// Writes the content of the last entry.
pub(super) fn write(
    mut file: &File,
    path: &Path,
    entry: &Entry,
    entries: &mut Entries<impl BufRead>,
) -> Result<()> {
    let failed = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(pieces) = &entry.pieces {
        file.set_len(entry.size).map_err(failed)?;
        let mut holes = Holes {
            file,
            pieces,
            done: 0,
        };
        return entries.content(|bytes| holes.write(bytes).map_err(failed));
    }
    if entry.size >= RESERVE_MIN {
        let reserved = sys::file::reserve(file, entry.size);
        reserved.map_err(|source| Error::Extract {
            path: path.to_owned(),
            source,
        })?;
    }
    entries.content(|bytes| file.write_all(bytes).map_err(failed))
}

/// A file with holes being written.
struct Holes<'a> {
    file: &'a File,
    pieces: &'a [Piece],
    /// How much of the first piece was written.
    done: u64,
}

impl Holes<'_> {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let (false, Some(piece)) = (bytes.is_empty(), self.pieces.first()) {
            let left = usize::try_from(piece.length - self.done).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(left.min(bytes.len()));
            self.file.write_all_at(now, piece.offset + self.done)?;
            self.done += now.len() as u64;
            if self.done == piece.length {
                self.pieces = &self.pieces[1..];
                self.done = 0;
            }
            bytes = later;
        }
        Ok(())
    }
}

/// What to do where a file system refuses an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Fail, unless no file system of the kind could have it.
    Fails,
    /// Go on without.
    Passes,
}

/// Sets the attributes an entry has, but for those that belong to overlayfs: with them a layer
/// could reach for directories that are not its own.
pub(super) fn set_attributes(
    dir: &Dir,
    name: &OsStr,
    entry: &Entry,
    refused: Refused,
) -> sys::Result<()> {
    for (key, value) in &entry.xattrs {
        let key = OsStr::from_bytes(key);
        if whiteout::is_overlay_attribute(key) {
            continue;
        }
        match dir.set_xattr(name, key, value) {
            Err(error) if !is_forgiven(&error, key, entry, refused) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn is_forgiven(error: &sys::Error, key: &OsStr, entry: &Entry, refused: Refused) -> bool {
    match error.kind() {
        io::ErrorKind::Unsupported => true,
        // Only files and directories can have attributes of the user.
        io::ErrorKind::PermissionDenied => {
            refused == Refused::Passes
                || key.as_bytes().starts_with(b"user.")
                    && !matches!(entry.kind, EntryType::Regular | EntryType::Directory)
        }
        _ => false,
    }
}

/// A symbolic link has no mode; a hard link may lead to one.
pub(super) fn is_symlink(dir: &Dir, name: &OsStr, entry: &Entry) -> sys::Result<bool> {
    match entry.kind {
        EntryType::Symlink => Ok(true),
        EntryType::Link => Ok(dir.stat(name)?.kind == sys::FileKind::Symlink),
        _ => Ok(false),
    }
}

/// Where a layer has both a whiteout and files in a directory of that name, the directory is new
/// and hides the one below.
pub(super) fn replace_whiteouts(root: &Root, path: &Path) -> Result<()> {
    let mut ancestors: Vec<&Path> = path.ancestors().collect();
    while let Some(ancestor) = ancestors.pop() {
        let Ok((dir, name)) = root.parent(ancestor) else {
            continue;
        };
        let found = dir.find(&name).map_err(cannot_extract(ancestor))?;
        if !found.is_some_and(|stat| whiteout::is_whiteout(&stat)) {
            continue;
        }
        let replace = || {
            dir.remove_file(&name)?;
            dir.make_dir(&name, IMPLIED_MODE)?;
            dir.set_owner(&name, IMPLIED_OWNER)?;
            whiteout::make_opaque(&dir, &name)
        };
        replace().map_err(cannot_extract(ancestor))?;
    }
    Ok(())
}

pub(super) fn cannot_extract(path: &Path) -> impl FnOnce(sys::Error) -> Error {
    move |source| Error::Extract {
        path: path.to_owned(),
        source,
    }
}
