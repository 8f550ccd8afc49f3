//! The cache as plain files in a folder: `records/xx/<key>` and `layers/xx/<key>`.
//!
//! A file is one line with the format's version and the digest of the rest, then JSON. It is
//! written without fsync, and renamed over what is there already: while it is written, and after a
//! crash, a file may be torn, which its digest shows, and a lost entry costs only time. So any
//! number of processes may use the folder without a lock. The file's modification time says when
//! the entry was last of use.

use std::fs;
use std::fs::File;
use std::fs::FileTimes;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::Cache;
use crate::cache::CacheKey;
use crate::cache::ContentDigest;
use crate::cache::ContentHasher;
use crate::cache::Error;
use crate::cache::Record;
use crate::oci::Layer;
use crate::snapshot::SnapshotId;
use crate::sys::file::make_private_dir;

/// What every file begins with; another version begins otherwise.
const MAGIC: &str = "rbuild-cache-1 ";

/// A larger file is not ours. Keys name what a Dockerfile says, which may be this long.
const LARGEST_BYTES: u64 = 64 << 20;

/// How stale a time of use may be; writing it on every use would cost more than it tells.
const USE_GRANULARITY: Duration = Duration::from_secs(3600);

/// A temporary file that is older belongs to a process that is gone.
const TEMPORARY_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A cache in a folder of its own.
#[derive(Debug)]
pub struct Local {
    root: PathBuf,
    now: SystemTime,
    /// Tells this cache's temporary files from those of all others; a process id would not, when
    /// containers share a folder.
    mark: u64,
    next_temporary: AtomicU64,
}

/// What becomes of damaged entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damaged {
    /// They are removed.
    Goes,
    /// They stay: another process may be writing them.
    Stays,
}

/// A record in the folder, as `prune` and `du` see it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its key.
    pub key: CacheKey,
    /// What it says.
    pub record: Record,
    /// When it was last of use, to about an hour.
    pub used: SystemTime,
    /// The size of its file.
    pub size_bytes: u64,
}

impl Local {
    /// Takes a folder, which need not exist, and the present time. Touches nothing.
    #[must_use]
    pub fn open(root: &Path, now: SystemTime) -> Self {
        Self {
            root: root.to_owned(),
            now,
            mark: random(),
            next_temporary: AtomicU64::new(0),
        }
    }

    /// Gives all records, in no order. What is damaged is left out.
    ///
    /// # Errors
    /// [`Error::Read`] if a folder cannot be listed.
    pub fn list(&self) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for path in files_below(&self.root.join("records"))? {
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(key) = name.and_then(CacheKey::from_hex) else {
                continue;
            };
            // A record may vanish while another process prunes.
            let Ok(metadata) = path.metadata() else {
                continue;
            };
            let Ok(Some(record)) = read(&path, None) else {
                continue;
            };
            entries.push(Entry {
                key,
                record,
                used: metadata.modified().unwrap_or(self.now),
                size_bytes: metadata.len(),
            });
        }
        Ok(entries)
    }

    /// Forgets a record; one that is not there is forgotten already.
    ///
    /// # Errors
    /// [`Error::Remove`] if it is there and stays.
    pub fn remove(&self, key: &CacheKey) -> Result<(), Error> {
        remove(&self.record_path(key))
    }

    /// Forgets which layers were made of change sets that `is_alive` denies and, with
    /// [`Damaged::Goes`], what is damaged and what killed processes left half-written. Gives the
    /// number of bytes freed.
    ///
    /// # Errors
    /// [`Error::Read`] if a folder cannot be listed, [`Error::Remove`] if a file stays.
    pub fn sweep(
        &self,
        is_alive: impl Fn(&SnapshotId) -> bool,
        damaged: Damaged,
    ) -> Result<u64, Error> {
        let mut freed = 0;
        for path in files_below(&self.root.join("layers"))? {
            let packed: Option<Packed> = read(&path, None)?;
            let goes = match packed {
                Some(packed) => !is_alive(&packed.change_set),
                None => damaged == Damaged::Goes,
            };
            if goes {
                freed += self.sweep_file(&path)?;
            }
        }
        if damaged == Damaged::Stays {
            return Ok(freed);
        }
        for path in files_below(&self.root.join("records"))? {
            if read::<Record>(&path, None)?.is_none() {
                freed += self.sweep_file(&path)?;
            }
        }
        Ok(freed)
    }

    /// Removes a file, but for a temporary one that may still be written.
    fn sweep_file(&self, path: &Path) -> Result<u64, Error> {
        let Ok(metadata) = path.metadata() else {
            return Ok(0);
        };
        let modified = metadata.modified().unwrap_or(self.now);
        let age = self.now.duration_since(modified).unwrap_or_default();
        if is_temporary(path) && age < TEMPORARY_LIFETIME {
            return Ok(0);
        }
        remove(path)?;
        Ok(metadata.len())
    }

    fn record_path(&self, key: &CacheKey) -> PathBuf {
        self.path("records", &key.hex())
    }

    fn layer_path(&self, change_set: &SnapshotId, packing: &str) -> PathBuf {
        let mut hasher = ContentHasher::new();
        hasher.update_sized(change_set.as_str().as_bytes());
        hasher.update_sized(packing.as_bytes());
        self.path("layers", &hasher.finish().hex())
    }

    fn path(&self, folder: &str, hex: &str) -> PathBuf {
        let mut path = self.root.join(folder);
        path.push(&hex[..2]);
        path.push(hex);
        path
    }

    fn write(&self, path: &Path, value: &impl Serialize) -> Result<(), Error> {
        let error = |source| Error::Write {
            path: path.to_owned(),
            source,
        };
        let body = serde_json::to_string(value).map_err(|cause| error(cause.into()))?;
        let digest = ContentDigest::of(body.as_bytes());
        let text = format!("{MAGIC}{digest}\n{body}");
        if text.len() as u64 > LARGEST_BYTES {
            // It would not be read again, and what is not kept is only made again.
            return Ok(());
        }
        // A new entry needs no second name: to whoever reads half of it, it is not there yet.
        match write_new(path, text.as_bytes()) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                self.replace(path, text.as_bytes())
            }
            written => written,
        }
        .map_err(error)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().expect("an entry lies in a folder");
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!(".{:x}-{number}", self.mark));
        let written = write_new(&temporary, bytes);
        let placed = written.and_then(|()| fs::rename(&temporary, path));
        placed.inspect_err(|_| drop(fs::remove_file(&temporary)))
    }
}

impl Cache for Local {
    fn get(&self, key: &CacheKey) -> Result<Option<Record>, Error> {
        read(&self.record_path(key), Some(self.now))
    }

    fn put(&self, key: &CacheKey, record: &Record) -> Result<(), Error> {
        self.write(&self.record_path(key), record)
    }

    fn layer(&self, change_set: &SnapshotId, packing: &str) -> Result<Option<Layer>, Error> {
        let packed: Option<Packed> = read(&self.layer_path(change_set, packing), None)?;
        Ok(packed.map(|packed| packed.layer))
    }

    fn put_layer(
        &self,
        change_set: &SnapshotId,
        packing: &str,
        layer: &Layer,
    ) -> Result<(), Error> {
        let packed = Packed {
            change_set: change_set.clone(),
            layer: layer.clone(),
        };
        self.write(&self.layer_path(change_set, packing), &packed)
    }
}

/// What a file in `layers` holds.
#[derive(serde::Serialize, serde::Deserialize)]
struct Packed {
    change_set: SnapshotId,
    layer: Layer,
}

/// Reads an entry; none if it is missing or damaged. With `now`, notes that it was of use.
fn read<T: DeserializeOwned>(path: &Path, now: Option<SystemTime>) -> Result<Option<T>, Error> {
    let error = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(error(cause)),
    };
    let mut bytes = Vec::with_capacity(2048);
    let mut limited = (&file).take(LARGEST_BYTES);
    limited.read_to_end(&mut bytes).map_err(error)?;
    let value = body(&bytes).and_then(|body| serde_json::from_slice(body).ok());
    if let (Some(_), Some(now)) = (&value, now) {
        touch(&file, now);
    }
    Ok(value)
}

/// Gives the JSON of an entry, if its digest is right.
fn body(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(MAGIC.as_bytes())?;
    let (digest, body) = rest.split_at_checked(64)?;
    let body = body.strip_prefix(b"\n")?;
    let is_whole = ContentDigest::of(body).hex().as_bytes() == digest;
    is_whole.then_some(body)
}

/// Notes that the entry was of use. That it cannot be noted (a read-only store) is no failure:
/// the entry is only forgotten earlier.
fn touch(file: &File, now: SystemTime) {
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    let is_stale = modified.is_ok_and(|modified| {
        now.duration_since(modified)
            .is_ok_and(|age| age > USE_GRANULARITY)
    });
    if is_stale {
        let _ = file.set_times(FileTimes::new().set_modified(now));
    }
}

/// Gives a number that no other process has, as far as chance allows.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// Writes a file that is not there yet, and its folder if that is missing. Of what cannot be written
/// whole, nothing stays.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = match File::create_new(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            make_private_dir(path.parent().expect("an entry lies in a folder"))?;
            File::create_new(path)
        }
        created => created,
    }?;
    // On a full disk every byte counts.
    let written = file.write_all(bytes);
    written.inspect_err(|_| drop(fs::remove_file(path)))
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Remove {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with('.'))
}

/// Gives the files two floors below `folder`; none if there is no such folder.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for shelf in list_folder(folder)? {
        files.extend(list_folder(&shelf)?);
    }
    Ok(files)
}

fn list_folder(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries,
    };
    let entries = entries.and_then(|entries| {
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths.collect::<io::Result<Vec<_>>>()
    });
    entries.map_err(|source| Error::Read {
        path: folder.to_owned(),
        source,
    })
}
