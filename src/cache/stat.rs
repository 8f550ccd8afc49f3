//! The digests of files that have not changed since they were last read.
//!
//! A file is known by its device, inode, size, modification and change time; the last is set by
//! the kernel alone. One hole is closed, known from git as "racy": a file written again within the
//! same tick of the kernel's clock keeps its stamp. So an entry is kept only if the file's change
//! time lay safely before the moment its content was read; a younger file is read again next time.
//! One hole is left, as in git: a file that a program maps into its memory and keeps writing gets
//! its stamp with the first write to each page, and is changed by later ones without a new stamp.
//!
//! The file is a header, entries of [`ENTRY_BYTES`] bytes sorted by inode and device, and a digest
//! of all that. It is mapped, not read, and searched where it lies; a new one is renamed over it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crate::cache::ContentDigest;
use crate::cache::Error;
use crate::cache::local::random;
use crate::cache::local::write_new;
use crate::sys::Map;

const MAGIC: &[u8; 16] = b"rbuild-stat-1\0\0\0";
const STAMP_BYTES: usize = 48;
const ENTRY_BYTES: usize = STAMP_BYTES + 32;
const DIGEST_BYTES: usize = 32;

/// The kernel's clock for file times advances in ticks of up to 10 ms.
const TICK: Duration = Duration::from_millis(20);

/// Some file systems keep whole seconds, or even ones; they show it by having no fraction.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// So many entries that no build used are kept, beside twice as many as it did use: another
/// Dockerfile may select other files of the same context.
const UNUSED_KEPT: usize = 20_000;

/// What tells whether a file is still the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// The number of its device.
    pub device: u64,
    /// Its number on the device.
    pub inode: u64,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When its content was changed, as its writer says: seconds and nanoseconds.
    pub modified: (i64, u32),
    /// When it was changed, as the kernel says.
    pub changed: (i64, u32),
}

impl FileStamp {
    /// Gives the stamp's bytes, big endian, so that they sort by inode and device.
    fn encode(&self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        let parts: [&[u8]; 7] = [
            &self.inode.to_be_bytes(),
            &self.device.to_be_bytes(),
            &self.size_bytes.to_be_bytes(),
            &self.modified.0.to_be_bytes(),
            &self.changed.0.to_be_bytes(),
            &self.modified.1.to_be_bytes(),
            &self.changed.1.to_be_bytes(),
        ];
        let mut rest = &mut bytes[..];
        for part in parts {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
        bytes
    }

    /// Says whether the file can be told from any later state, if it was read at `read` or later.
    fn is_settled(&self, read: SystemTime) -> bool {
        let tick = if self.changed.1 == 0 {
            COARSE_TICK
        } else {
            TICK
        };
        let Ok(seconds) = u64::try_from(self.changed.0) else {
            return true;
        };
        let changed = UNIX_EPOCH
            .checked_add(Duration::new(seconds, self.changed.1))
            .and_then(|changed| changed.checked_add(tick));
        changed.is_some_and(|changed| changed < read)
    }
}

/// The digests of one context's files. May be asked and told from many threads.
#[derive(Debug)]
pub struct StatIndex {
    path: PathBuf,
    temporary: PathBuf,
    /// The file, if it is whole.
    known: Option<Map>,
    used: Vec<AtomicBool>,
    /// A moment before the first unknown file was read.
    first_miss: OnceLock<Option<SystemTime>>,
    new: Mutex<HashMap<[u8; STAMP_BYTES], ContentDigest>>,
}

impl StatIndex {
    /// Reads what is known of the files of `context`, which is any text that names it on this
    /// machine (its real path). A missing or damaged index knows nothing.
    #[must_use]
    pub fn open(folder: &Path, context: &str) -> Self {
        let name = ContentDigest::of(context.as_bytes()).hex();
        let path = folder.join(&name[..32]);
        let known = Map::open(&path).ok().filter(|known| is_whole(known));
        let count = known.as_deref().map_or(0, count);
        let used = (0..count).map(|_| AtomicBool::new(false)).collect();
        Self {
            temporary: path.with_extension(format!("{:x}", random())),
            path,
            known,
            used,
            first_miss: OnceLock::new(),
            new: Mutex::default(),
        }
    }

    /// Gives the digest of the file with `stamp`, if it was read before. The stamp must be taken
    /// before this call, and an unknown file be read after it.
    pub fn get(&self, stamp: &FileStamp) -> Option<ContentDigest> {
        let wanted = stamp.encode();
        let found = self.search(&wanted);
        // A build asks again after it read the files, to see that they have stayed what they were.
        let found = found.or_else(|| self.lock().get(&wanted).copied());
        if found.is_none() {
            self.first_miss.get_or_init(|| self.present());
        }
        found
    }

    fn search(&self, wanted: &[u8; STAMP_BYTES]) -> Option<ContentDigest> {
        let (mut low, mut high) = (0, self.used.len());
        while low < high {
            let middle = low.midpoint(high);
            let entry = self.entry(middle);
            match entry[..STAMP_BYTES].cmp(wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    self.used[middle].store(true, Ordering::Relaxed);
                    let digest = entry[STAMP_BYTES..].try_into();
                    return digest.ok().map(ContentDigest::from_bytes);
                }
            }
        }
        None
    }

    fn entry(&self, position: usize) -> &[u8] {
        let known = self.known.as_deref().unwrap_or_default();
        &known[MAGIC.len() + position * ENTRY_BYTES..][..ENTRY_BYTES]
    }

    /// Keeps the digest of a file that [`StatIndex::get`] did not know.
    pub fn insert(&self, stamp: &FileStamp, digest: &ContentDigest) {
        let read = self.first_miss.get().copied().flatten();
        if !read.is_some_and(|read| stamp.is_settled(read)) {
            return;
        }
        self.lock().insert(stamp.encode(), *digest);
    }

    /// Writes the index, if there is anything new to remember.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be written; the old one stays.
    pub fn save(&self) -> Result<(), Error> {
        let new = std::mem::take(&mut *self.lock());
        if new.is_empty() {
            return Ok(());
        }
        let written = write_new(&self.temporary, &self.merge(&new));
        let placed = written.and_then(|()| fs::rename(&self.temporary, &self.path));
        placed.map_err(|source| {
            // On a full disk every byte counts; the failure to report is the first one.
            let _ = fs::remove_file(&self.temporary);
            Error::Write {
                path: self.path.clone(),
                source,
            }
        })
    }

    /// Gives the bytes of the next index: what is new, what was used, and not too much of the
    /// rest.
    fn merge(&self, new: &HashMap<[u8; STAMP_BYTES], ContentDigest>) -> Vec<u8> {
        let mut entries: Vec<[u8; ENTRY_BYTES]> = Vec::with_capacity(new.len());
        for (stamp, digest) in new {
            let mut entry = [0; ENTRY_BYTES];
            entry[..STAMP_BYTES].copy_from_slice(stamp);
            entry[STAMP_BYTES..].copy_from_slice(digest.as_bytes());
            entries.push(entry);
        }
        let is_used = |position: &usize| self.used[*position].load(Ordering::Relaxed);
        let used = (0..self.used.len()).filter(is_used).count() + entries.len();
        let keeps_unused = self.used.len() <= 3 * used + UNUSED_KEPT;
        for position in 0..self.used.len() {
            if keeps_unused || is_used(&position) {
                let entry = self.entry(position).try_into();
                entries.push(entry.expect("an entry has its length"));
            }
        }
        // Of one inode only one state can be true: the entries are new first, so a stable sort
        // and dropping later ones forgets the old state.
        entries.sort_by(|a, b| a[..16].cmp(&b[..16]));
        entries.dedup_by(|later, earlier| later[..16] == earlier[..16]);
        let mut bytes = MAGIC.to_vec();
        bytes.extend(entries.iter().flatten());
        let digest = ContentDigest::of(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        bytes
    }

    /// Tells the time as the kernel stamps files, by making one.
    fn present(&self) -> Option<SystemTime> {
        write_new(&self.temporary, b"").ok()?;
        let modified = fs::metadata(&self.temporary).and_then(|metadata| metadata.modified());
        // It is empty, and the next one of the same name replaces it.
        let _ = fs::remove_file(&self.temporary);
        modified.ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; STAMP_BYTES], ContentDigest>> {
        self.new.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says whether an index file is one, and all of it.
fn is_whole(bytes: &[u8]) -> bool {
    bytes.len() >= MAGIC.len() + DIGEST_BYTES
        && bytes.starts_with(MAGIC)
        && (bytes.len() - MAGIC.len() - DIGEST_BYTES).is_multiple_of(ENTRY_BYTES)
        && {
            let (content, digest) = bytes.split_at(bytes.len() - DIGEST_BYTES);
            ContentDigest::of(content).as_bytes() == digest
        }
}

/// Counts the entries of an index file that is whole.
fn count(bytes: &[u8]) -> usize {
    (bytes.len() - MAGIC.len() - DIGEST_BYTES) / ENTRY_BYTES
}
