//! The digest of what a copy reads: equal digests mean that the same files would be made.
//!
//! Names, kinds, modes, owners, contents, link targets, attributes and which names are one file
//! count; times do not. A file that the stat index knows is not opened.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::cache::ContentDigest;
use crate::cache::ContentHasher;
use crate::cache::FileStamp;
use crate::cache::StatIndex;
use crate::sys;
use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Nearby;
use crate::sys::Owner;
use crate::sys::Root;
use crate::sys::Stat;
use crate::worker::Error;
use crate::worker::files::read::digest_file;
use crate::worker::files::select::Node;
use crate::worker::files::select::Selected;
use crate::worker::files::xattr;

/// Up to this many unknown files are read one after the other: threads cost more than they save.
const SEQUENTIAL_MAX: usize = 16;
/// Up to this many files are looked up in the index by one thread.
const LOOKED_UP_ALONE_MAX: usize = 4096;

/// So many bytes are hashed together, which goes several times as fast as line by line.
const LINES_BYTES: usize = 64 << 10;

/// One file or directory of a selection.
struct Item<'a> {
    node: &'a Node,
    /// Which item is the directory it is in; none for what the selection itself names.
    parent: Option<usize>,
    /// Which item is the same file under another name, if one came before.
    same_as: Option<usize>,
}

/// Digests `selected` below `root`. `owner` is whose the files count as; none for their own.
pub(in crate::worker) fn digest(
    root: &Root,
    selected: &[Selected],
    owner: Option<Owner>,
    index: Option<&StatIndex>,
) -> Result<ContentDigest, Error> {
    let mut hasher = ContentHasher::new();
    for one in selected {
        let items = items(one);
        let source = Source {
            root,
            selected: one,
            items: &items,
        };
        let contents = source.contents(index)?;
        hasher.update_sized(kind_name(one.node.stat.kind).as_bytes());
        hasher.update(&(items.len() as u64).to_le_bytes());
        let mut lines = Vec::new();
        let mut place = Place::default();
        for (item, content) in items.iter().zip(contents) {
            write_line(&mut lines, place.of(item), (item, owner), &content);
            if lines.len() >= LINES_BYTES {
                hasher.update(&lines);
                lines.clear();
            }
        }
        hasher.update(&lines);
    }
    Ok(hasher.finish())
}

/// Lists what is copied in order, directories before what is in them. A directory that a source
/// names is not copied itself, only what is in it; a file's name counts, because it may become the
/// copy's.
fn items(selected: &Selected) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    let mut seen = HashMap::new();
    if selected.node.stat.is_dir() {
        push_all(&mut items, &mut seen, &selected.node.children, None);
    } else {
        items.push(Item {
            node: &selected.node,
            parent: None,
            same_as: None,
        });
    }
    items
}

fn push_all<'a>(
    items: &mut Vec<Item<'a>>,
    seen: &mut HashMap<(u64, u64), usize>,
    nodes: &'a [Node],
    parent: Option<usize>,
) {
    for node in nodes {
        let position = items.len();
        let mut same_as = None;
        if node.stat.links > 1 && !node.stat.is_dir() {
            same_as = seen.get(&node.stat.identity).copied();
            seen.entry(node.stat.identity).or_insert(position);
        }
        items.push(Item {
            node,
            parent,
            same_as,
        });
        push_all(items, seen, &node.children, Some(position));
    }
}

/// Where an item is in what is copied, kept from one item to the next.
#[derive(Default)]
struct Place {
    path: Vec<u8>,
    /// The directories on the way with the lengths of their paths; the outermost has no number.
    above: Vec<(usize, usize)>,
    next: usize,
}

impl Place {
    /// Gives the path of the item that follows the last one.
    fn of(&mut self, item: &Item<'_>) -> &[u8] {
        while self.above.last().map(|(directory, _)| *directory) != item.parent {
            self.above.pop();
        }
        self.path
            .truncate(self.above.last().map_or(0, |(_, length)| *length));
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(item.node.name.as_bytes());
        if item.node.stat.is_dir() {
            self.above.push((self.next, self.path.len()));
        }
        self.next += 1;
        &self.path
    }
}

/// Adds what counts of an item; the length of its path comes first, all else has a fixed one or its
/// own.
fn write_line(
    line: &mut Vec<u8>,
    below: &[u8],
    (item, owner): (&Item<'_>, Option<Owner>),
    content: &[u8; 32],
) {
    let stat = &item.node.stat;
    let owner = owner.unwrap_or(stat.owner);
    let mode = if stat.kind == FileKind::Symlink {
        0
    } else {
        stat.mode
    };
    for text in [below, kind_name(stat.kind).as_bytes()] {
        line.extend_from_slice(&(text.len() as u64).to_le_bytes());
        line.extend_from_slice(text);
    }
    for number in [mode, owner.uid, owner.gid, stat.device.0, stat.device.1] {
        line.extend_from_slice(&number.to_le_bytes());
    }
    let same_as = item.same_as.map_or(u64::MAX, |index| index as u64);
    line.extend_from_slice(&same_as.to_le_bytes());
    line.extend_from_slice(content);
}

pub(in crate::worker) fn kind_name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::CharDevice => "char device",
        FileKind::BlockDevice => "block device",
        FileKind::Fifo => "fifo",
        FileKind::Socket => "socket",
    }
}

/// A selection, and where its files are read.
struct Source<'a> {
    root: &'a Root,
    selected: &'a Selected,
    items: &'a [Item<'a>],
}

impl Source<'_> {
    /// Gives the digest of each item's own content, from the index or by reading.
    fn contents(&self, index: Option<&StatIndex>) -> Result<Vec<[u8; 32]>, Error> {
        let items = self.items;
        let look = |item: &Item<'_>| index.and_then(|index| index.get(&stamp(&item.node.stat)));
        let known: Vec<Option<ContentDigest>> = if items.len() > LOOKED_UP_ALONE_MAX {
            items.par_iter().map(look).collect()
        } else {
            items.iter().map(look).collect()
        };
        let unknown = known.iter().filter(|known| known.is_none()).count();
        let content = |nearby: &mut Nearby, (position, known): (usize, &Option<_>)| match known {
            Some(digest) => Ok(*ContentDigest::as_bytes(digest)),
            None => {
                let digest = self.read(position, nearby)?;
                if let Some(index) = index {
                    index.insert(&stamp(&items[position].node.stat), &digest);
                }
                Ok(*digest.as_bytes())
            }
        };
        if unknown <= SEQUENTIAL_MAX {
            let mut nearby = Nearby::default();
            let one = |item| content(&mut nearby, item);
            return known.iter().enumerate().map(one).collect();
        }
        let all = known.par_iter().enumerate();
        all.map_init(Nearby::default, content).collect()
    }

    /// Gives the path of an item from the root of the source.
    fn path(&self, position: usize) -> PathBuf {
        if !self.selected.node.stat.is_dir() {
            return self.selected.path.clone();
        }
        let item = &self.items[position];
        let above = match item.parent {
            Some(parent) => self.path(parent),
            None => self.selected.path.clone(),
        };
        above.join(&item.node.name)
    }

    fn read(&self, position: usize, nearby: &mut Nearby) -> Result<ContentDigest, Error> {
        let path = self.path(position);
        let stat = &self.items[position].node.stat;
        let (dir, name) = nearby.parent(self.root, &path)?;
        if stat.kind == FileKind::File {
            let file = dir.open_file(name)?;
            // An open file can be asked at once whether it has any.
            let attributes = match sys::file::has_attributes(&file) {
                true => attributes(dir, name),
                false => Vec::new(),
            };
            let digest = digest_file(&file, stat.size, &attributes);
            return digest
                .map_err(|source| sys::Error::new(format!("read({path:?})"), source).into());
        }
        let mut hasher = ContentHasher::new();
        if stat.kind == FileKind::Symlink {
            hasher.update_sized(dir.read_link(name)?.as_os_str().as_bytes());
        }
        hasher.update(&attributes(dir, name));
        Ok(hasher.finish())
    }
}

/// Gives what counts of a file's attributes, each name and value preceded by its length.
fn attributes(dir: &Dir, name: &OsStr) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in xattr::read(dir, name) {
        for part in [key.as_bytes(), &value] {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

fn stamp(stat: &Stat) -> FileStamp {
    FileStamp {
        device: stat.identity.0,
        inode: stat.identity.1,
        size_bytes: stat.size,
        modified: (stat.modified.seconds, stat.modified.nanoseconds),
        changed: (stat.changed.seconds, stat.changed.nanoseconds),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::time::Duration;
    use std::time::SystemTime;

    use super::digest;
    use crate::cache::ContentDigest;
    use crate::sys::Owner;
    use crate::sys::Root;
    use crate::worker::files::select::Wish;
    use crate::worker::files::select::select;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("dir")).unwrap();
        fs::write(folder.path().join("dir/a"), "a").unwrap();
        fs::write(folder.path().join("dir/b"), "b").unwrap();
        std::os::unix::fs::symlink("a", folder.path().join("dir/l")).unwrap();
        folder
    }

    fn of(folder: &Path, path: &str) -> ContentDigest {
        let root = Root::open(folder).unwrap();
        let wish = Wish {
            literal: false,
            ..Wish::exactly(path)
        };
        let selected = select(&root, &wish).unwrap();
        digest(&root, &selected, Some(Owner::ROOT), None).unwrap()
    }

    #[test]
    fn times_and_places_do_not_count() {
        let (one, two) = (folder(), folder());
        let file = fs::File::options()
            .write(true)
            .open(two.path().join("dir/a"))
            .unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(5))
            .unwrap();
        assert_eq!(of(one.path(), "dir"), of(two.path(), "dir"));
        assert_eq!(of(one.path(), "dir"), of(one.path(), "di[r]"));
    }

    #[test]
    fn everything_else_counts() {
        type Change = (&'static str, fn(&Path));
        let changes: [Change; 6] = [
            ("content", |dir| fs::write(dir.join("a"), "x").unwrap()),
            ("name", |dir| {
                fs::rename(dir.join("a"), dir.join("z")).unwrap()
            }),
            ("mode", |dir| {
                fs::set_permissions(dir.join("a"), fs::Permissions::from_mode(0o600)).unwrap();
            }),
            ("new", |dir| fs::create_dir(dir.join("new")).unwrap()),
            ("link", |dir| {
                fs::remove_file(dir.join("l")).unwrap();
                std::os::unix::fs::symlink("b", dir.join("l")).unwrap();
            }),
            ("hard link", |dir| {
                fs::write(dir.join("b"), "a").unwrap();
            }),
        ];
        for (what, change) in changes {
            let changed = folder();
            change(&changed.path().join("dir"));
            assert_ne!(
                of(folder().path(), "dir"),
                of(changed.path(), "dir"),
                "{what}"
            );
        }
        let (copied, linked) = (folder(), folder());
        fs::write(copied.path().join("dir/b"), "a").unwrap();
        fs::remove_file(linked.path().join("dir/b")).unwrap();
        fs::hard_link(linked.path().join("dir/a"), linked.path().join("dir/b")).unwrap();
        assert_ne!(of(copied.path(), "dir"), of(linked.path(), "dir"));
    }
}
