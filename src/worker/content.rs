//! The digest of what a copy reads: equal digests mean that the same files would be made.
//!
//! Names, kinds, modes, owners, contents, link targets, attributes and which names are one file
//! count; times do not. A file that the stat index knows is not opened.

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::cache::ContentDigest;
use crate::cache::ContentHasher;
use crate::cache::FileStamp;
use crate::cache::StatIndex;
use crate::sys;
use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Owner;
use crate::sys::Root;
use crate::sys::Stat;
use crate::worker::Error;
use crate::worker::select::Node;
use crate::worker::select::Selected;
use crate::worker::xattr;

/// Up to this many unknown files are read one after the other: threads cost more than they save.
const SEQUENTIAL_MAX: usize = 16;
const BUFFER_BYTES: usize = 128 << 10;

/// One file or directory of a selection.
struct Item<'a> {
    /// Its path from the root of the source.
    path: PathBuf,
    /// Its path in what is copied.
    below: PathBuf,
    stat: &'a Stat,
    /// Which item is the same file under another name, if one came before.
    same_as: Option<usize>,
}

/// Digests `selected` below `root`. `owner` is whose the files count as; none for their own.
pub(super) fn digest(
    root: &Root,
    selected: &[Selected],
    owner: Option<Owner>,
    index: Option<&StatIndex>,
) -> Result<ContentDigest, Error> {
    let mut hasher = ContentHasher::new();
    for one in selected {
        let items = items(one);
        let contents = contents(root, &items, index)?;
        hasher.update_sized(kind_name(one.node.stat.kind).as_bytes());
        hasher.update(&(items.len() as u64).to_le_bytes());
        for (item, content) in items.iter().zip(contents) {
            update(&mut hasher, item, owner, &content);
        }
    }
    Ok(hasher.finish())
}

/// Lists what is copied in order. A directory that a source names is not copied itself, only what
/// is in it; a file's name counts, because it may become the copy's.
fn items(selected: &Selected) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    let mut seen = HashMap::new();
    if selected.node.stat.is_dir() {
        for child in &selected.node.children {
            push(
                &mut items,
                &mut seen,
                child,
                (&selected.path, Path::new("")),
            );
        }
    } else {
        let stat = &selected.node.stat;
        let below = PathBuf::from(&selected.base_name);
        items.push(Item {
            path: selected.path.clone(),
            below,
            stat,
            same_as: None,
        });
    }
    items
}

fn push<'a>(
    items: &mut Vec<Item<'a>>,
    seen: &mut HashMap<(u64, u64), usize>,
    node: &'a Node,
    (path, below): (&Path, &Path),
) {
    let (path, below) = (path.join(&node.name), below.join(&node.name));
    let mut same_as = None;
    if node.stat.links > 1 && !node.stat.is_dir() {
        same_as = seen.get(&node.stat.identity).copied();
        seen.entry(node.stat.identity).or_insert(items.len());
    }
    items.push(Item {
        path: path.clone(),
        below: below.clone(),
        stat: &node.stat,
        same_as,
    });
    for child in &node.children {
        push(items, seen, child, (&path, &below));
    }
}

fn update(hasher: &mut ContentHasher, item: &Item<'_>, owner: Option<Owner>, content: &[u8; 32]) {
    let stat = item.stat;
    let owner = owner.unwrap_or(stat.owner);
    let mode = if stat.kind == FileKind::Symlink {
        0
    } else {
        stat.mode
    };
    hasher.update_sized(item.below.as_os_str().as_bytes());
    hasher.update_sized(kind_name(stat.kind).as_bytes());
    for number in [mode, owner.uid, owner.gid, stat.device.0, stat.device.1] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(
        &item
            .same_as
            .map_or(u64::MAX, |index| index as u64)
            .to_le_bytes(),
    );
    hasher.update(content);
}

pub(super) fn kind_name(kind: FileKind) -> &'static str {
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

/// Gives the digest of each item's own content, from the index or by reading.
fn contents(
    root: &Root,
    items: &[Item<'_>],
    index: Option<&StatIndex>,
) -> Result<Vec<[u8; 32]>, Error> {
    let known: Vec<Option<ContentDigest>> = items
        .iter()
        .map(|item| index.and_then(|index| index.get(&stamp(item.stat))))
        .collect();
    let unknown = known.iter().filter(|known| known.is_none()).count();
    let content = |(item, known): (&Item<'_>, &Option<ContentDigest>)| match known {
        Some(digest) => Ok(*digest.as_bytes()),
        None => {
            let digest = read_item(root, item)?;
            if let Some(index) = index {
                index.insert(&stamp(item.stat), &digest);
            }
            Ok(*digest.as_bytes())
        }
    };
    if unknown <= SEQUENTIAL_MAX {
        return items.iter().zip(&known).map(content).collect();
    }
    items.par_iter().zip(&known).map(content).collect()
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

fn read_item(root: &Root, item: &Item<'_>) -> Result<ContentDigest, Error> {
    let (dir, name) = match root.parent(&item.path) {
        Ok(found) => found,
        Err(_) if item.path.as_os_str().is_empty() => {
            (root.dir().try_clone()?, std::ffi::OsString::from("."))
        }
        Err(error) => return Err(error.into()),
    };
    let mut hasher = ContentHasher::new();
    match item.stat.kind {
        FileKind::File => read_file(&dir, &name, item, &mut hasher)?,
        FileKind::Symlink => {
            hasher.update_sized(dir.read_link(&name)?.as_os_str().as_bytes());
        }
        _ => {}
    }
    for (key, value) in xattr::read(&dir, &name) {
        hasher.update_sized(key.as_bytes());
        hasher.update_sized(&value);
    }
    Ok(hasher.finish())
}

fn read_file(
    dir: &Dir,
    name: &std::ffi::OsStr,
    item: &Item<'_>,
    hasher: &mut ContentHasher,
) -> Result<(), Error> {
    let mut file = dir.open_file(name)?;
    let mut buffer = vec![0; BUFFER_BYTES.min(item.stat.size as usize + 1)];
    let mut total = 0_u64;
    loop {
        let count = file.read(&mut buffer).map_err(|source| {
            Error::from(sys::Error::new(format!("read({:?})", item.path), source))
        })?;
        if count == 0 {
            break;
        }
        total += count as u64;
        hasher.update(&buffer[..count]);
    }
    hasher.update(&total.to_le_bytes());
    Ok(())
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
    use crate::worker::select::Wish;
    use crate::worker::select::select;

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
            path,
            literal: false,
            excludes: &[],
            parents: false,
            ignore: None,
        };
        let selected = select(&root, &wish).unwrap();
        digest(&root, &selected, Some(Owner { uid: 0, gid: 0 }), None).unwrap()
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
