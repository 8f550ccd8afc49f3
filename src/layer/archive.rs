//! An archive as a list of what it holds, for who packs that without extracting it.

use std::fs::File;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use tar::EntryType;

use crate::layer::Source;
use crate::layer::entries::Entries;
use crate::layer::entry::Entry;
use crate::layer::entry::clean;
use crate::sys::FileKind;
use crate::sys::Owner;
use crate::sys::Stat;

/// Small, since what lies between headers is mostly passed over: few files are smaller.
const BUFFER: usize = 8 << 10;

/// So many are listed in memory; a larger archive is extracted, one entry after the other.
const LISTED_MAX: usize = 200_000;

/// Something that an archive holds.
#[derive(Debug)]
pub struct Archived {
    /// Where it goes, relative; empty for the root itself.
    pub path: PathBuf,
    /// Its metadata.
    pub stat: Stat,
    /// Of a hard link, where the file's other name is.
    pub link: Option<PathBuf>,
    /// Where its content is.
    pub source: Source,
}

/// Lists an archive whose files lie in it as they are; none for one that is compressed, damaged, very
/// large, or has attributes or files with holes.
#[must_use]
pub fn list_archive(archive: &Arc<File>) -> Option<Vec<Archived>> {
    let length = archive.metadata().ok()?.len();
    let mut entries = Entries::new(Counted {
        inner: BufReader::with_capacity(BUFFER, archive.as_ref()),
        position: 0,
    });
    let mut all = Vec::new();
    while let Some(entry) = entries.next().ok()? {
        if !entry.xattrs.is_empty() || entry.pieces.is_some() || all.len() == LISTED_MAX {
            return None;
        }
        let source = Source::Archive {
            archive: Arc::clone(archive),
            offset: entries.tar().position,
            target: entry.link.clone(),
        };
        let is_link = entry.kind == EntryType::Link;
        all.push(Archived {
            path: clean(&entry.path),
            stat: stat(&entry),
            link: is_link.then(|| clean(&entry.link)),
            source,
        });
        let passed = entries.pass_content();
        entries.tar().skip(passed, length)?;
    }
    Some(all)
}

fn stat(entry: &Entry) -> Stat {
    let kind = match entry.kind {
        EntryType::Directory => FileKind::Directory,
        EntryType::Symlink => FileKind::Symlink,
        EntryType::Char => FileKind::CharDevice,
        EntryType::Block => FileKind::BlockDevice,
        EntryType::Fifo => FileKind::Fifo,
        _ => FileKind::File,
    };
    let is_device = matches!(kind, FileKind::CharDevice | FileKind::BlockDevice);
    Stat {
        kind,
        // A symbolic link has all rights, whatever its archive says.
        mode: if kind == FileKind::Symlink {
            0o777
        } else {
            entry.mode
        },
        owner: Owner {
            uid: entry.uid,
            gid: entry.gid,
        },
        size: entry.size,
        links: 1,
        identity: (0, 0),
        device: if is_device { entry.device } else { (0, 0) },
        modified: entry.modified,
        changed: entry.modified,
    }
}

/// Bytes that are counted as they pass.
struct Counted<R> {
    inner: R,
    position: u64,
}

impl Counted<BufReader<&File>> {
    /// Goes on behind so many bytes, which are not read; none if the file ends before.
    fn skip(&mut self, bytes: u64, length: u64) -> Option<()> {
        self.position = self.position.checked_add(bytes)?;
        let is_there = self.position <= length;
        is_there.then(|| self.inner.seek_relative(i64::try_from(bytes).ok()?).ok())?
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        self.position += length as u64;
        self.inner.consume(length);
    }
}
