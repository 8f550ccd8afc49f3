//! What takes space, and giving it back.

use std::collections::BTreeSet;
use std::fs::DirEntry;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

use crate::cache;
use crate::cache::Damaged;
use crate::manage::Error;
use crate::manage::whose::or_whose;
use crate::oci::Descriptor;
use crate::oci::ImageConfig;
use crate::oci::Index;
use crate::oci::Layer;
use crate::oci::Manifest;
use crate::oci::media_type;
use crate::snapshot;
use crate::snapshot::Kind;
use crate::snapshot::Lazy;
use crate::snapshot::SnapshotId;
use crate::snapshot::Snapshotter;
use crate::store;
use crate::store::Pruning;
use crate::store::Store;

/// The unit of `st_blocks`.
const BLOCK_BYTES: u64 = 512;

/// How much a store takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The blobs.
    pub blobs: store::Usage,
    /// The other folders by name, with their bytes.
    pub folders: Vec<(String, u64)>,
}

/// Which results of earlier builds are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forget {
    /// None: only what nothing needs goes.
    Nothing,
    /// Those that were of no use for so long.
    Unused(Duration),
    /// All, with cache mounts and what is known of contexts.
    Everything,
}

/// What pruning removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// How many results of earlier builds.
    pub records: u64,
    /// How many root filesystem states, those of killed processes included.
    pub snapshots: u64,
    /// How many blobs and files.
    pub files: u64,
    /// How many bytes all of it took.
    pub size_bytes: u64,
}

/// Measures a store.
///
/// # Errors
/// [`Error::Store`], [`Error::Measure`], or [`Error::Snapshot`] where files are not this user's.
pub fn usage(root: &Path) -> Result<Usage, Error> {
    measure_all(root).map_err(|error| or_whose(error, root))
}

fn measure_all(root: &Path) -> Result<Usage, Error> {
    let store = Store::open(root)?;
    let blobs = store.usage(&[])?;
    let mut folders = Vec::new();
    for entry in entries(root)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && name != "blobs" && name != "tmp" {
            folders.push((name, measure(&entry.path())?));
        }
    }
    folders.sort();
    Ok(Usage { blobs, folders })
}

/// Forgets results of earlier builds, and removes what neither an image nor a remaining result
/// needs nor another process has found or made: blobs, snapshots, what killed processes left behind.
/// Beside other processes, caches that are no results stay as they are. `waits` is called if another
/// process has to let go of the store first, which may take as long as that works.
///
/// # Errors
/// [`Error::Store`], [`Error::Cache`] or [`Error::Snapshot`].
pub fn prune(
    root: &Path,
    forget: Forget,
    now: SystemTime,
    waits: impl FnOnce(),
) -> Result<Freed, Error> {
    prune_store(root, (forget, now), waits).map_err(|error| or_whose(error, root))
}

fn prune_store(
    root: &Path,
    (forget, now): (Forget, SystemTime),
    waits: impl FnOnce(),
) -> Result<Freed, Error> {
    let store = Store::open(root)?;
    let folder = root.join("snapshots");
    let snapshots = Lazy::open(&folder, || Kind::Overlay)?;
    let cache = cache::Local::open(root, now);
    let before = measure(&folder)?;
    let mut freed = Freed::default();
    // What a process notes before it ends is read after what it claims while it lives.
    let pruning = begin_pruning(&store, waits)?;
    let mut alive = forget_records((&cache, &snapshots), (forget, now), &mut freed)?;
    if forget != Forget::Everything {
        // Otherwise what images need is unpacked anew when something runs on them.
        alive.extend(layers_of_images(&store)?);
    }
    alive.extend(pruning.claimed().filter_map(|id| SnapshotId::new(id).ok()));
    // What has a second name that is needed is needed.
    let own_names = alive.iter().filter_map(|id| snapshots.own_name(id));
    alive.extend(own_names.collect::<Vec<_>>());
    let mut unused = snapshots.list()?;
    unused.retain(|id| !alive.contains(id));
    let removed = snapshots.remove_all(&unused)?;
    let damaged = match pruning.is_alone() {
        true => Damaged::Goes,
        false => Damaged::Stays,
    };
    freed.size_bytes += cache.sweep(|id| alive.contains(id), damaged)?;
    if pruning.is_alone() {
        freed.size_bytes += clear_caches(root, forget)?;
    }
    let roots = layers_alone(&snapshots, &alive)?;
    let pruned = store.prune(&pruning, &roots)?;
    // From here on nobody need wait.
    drop(pruning);
    freed.snapshots = removed.count as u64;
    drop(removed);
    freed.snapshots += snapshots.prune()? as u64;
    freed.files += pruned.files;
    freed.size_bytes += pruned.size_bytes + before.saturating_sub(measure(&folder)?);
    Ok(freed)
}

fn begin_pruning(store: &Store, waits: impl FnOnce()) -> Result<Pruning, store::Error> {
    if let Some(pruning) = store.try_begin_pruning()? {
        return Ok(pruning);
    }
    waits();
    store.begin_pruning()
}

/// Forgets results of earlier builds, and gives the change sets of those that remain.
fn forget_records(
    (cache, snapshots): (&cache::Local, &Lazy),
    (forget, now): (Forget, SystemTime),
    freed: &mut Freed,
) -> Result<BTreeSet<SnapshotId>, Error> {
    let mut alive = BTreeSet::new();
    for entry in cache.list()? {
        let goes = match forget {
            Forget::Nothing => !snapshots.exists(&entry.record.change_set),
            Forget::Unused(limit) => now.duration_since(entry.used).is_ok_and(|age| age >= limit),
            Forget::Everything => true,
        };
        if goes {
            cache.remove(&entry.key)?;
            freed.records += 1;
            freed.size_bytes += entry.size_bytes;
        } else {
            alive.insert(entry.record.change_set);
        }
    }
    Ok(alive)
}

/// Clears cache mounts and what is known of contexts, or only what killed processes had begun.
fn clear_caches(root: &Path, forget: Forget) -> Result<u64, Error> {
    if forget != Forget::Everything {
        return remove_unfinished(root);
    }
    let folders = ["mounts", "contexts"];
    folders
        .iter()
        .map(|folder| remove_folder(&root.join(folder)))
        .sum()
}

/// Gives the blobs of those change sets of which there is only a layer.
fn layers_alone(snapshots: &Lazy, alive: &BTreeSet<SnapshotId>) -> Result<Vec<Descriptor>, Error> {
    let mut blobs = Vec::new();
    for id in alive {
        let layer = match snapshots.layer_alone(id) {
            // A record's may be gone, and a build may discard its own at any time.
            Err(snapshot::Error::Missing { .. }) => continue,
            layer => layer?,
        };
        let layer = layer.and_then(|text| serde_json::from_slice::<Layer>(&text).ok());
        blobs.extend(layer.map(|layer| layer.blob));
    }
    Ok(blobs)
}

/// Removes a folder that need not be there, and gives what it took.
fn remove_folder(folder: &Path) -> Result<u64, Error> {
    if !folder.exists() {
        return Ok(0);
    }
    let size_bytes = measure(folder)?;
    std::fs::remove_dir_all(folder).map_err(|source| Error::Measure {
        path: folder.to_owned(),
        source,
    })?;
    Ok(size_bytes)
}

/// Removes what killed processes had begun: cache mounts being filled (`mounts/x/0/new-1-0`), and
/// what was about to replace what is known of a context (`contexts/x.1f`).
fn remove_unfinished(root: &Path) -> Result<u64, Error> {
    let mut freed = 0;
    for family in entries_if_any(&root.join("mounts"))? {
        for mount in entries_if_any(&family.path())? {
            for entry in entries_if_any(&mount.path())? {
                if entry.file_name().to_string_lossy().starts_with("new-") {
                    freed += remove_folder(&entry.path())?;
                }
            }
        }
    }
    for entry in entries_if_any(&root.join("contexts"))? {
        let path = entry.path();
        if path.extension().is_some() {
            freed += entry.metadata().map_or(0, |metadata| metadata.len());
            std::fs::remove_file(&path).map_err(|source| Error::Measure { path, source })?;
        }
    }
    Ok(freed)
}

/// Lists a folder that need not be there.
fn entries_if_any(folder: &Path) -> Result<Vec<DirEntry>, Error> {
    match entries(folder) {
        Err(Error::Measure { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(Vec::new())
        }
        listed => listed,
    }
}

/// Gives the snapshots that the layers of named images are or would be unpacked to.
fn layers_of_images(store: &Store) -> Result<BTreeSet<SnapshotId>, Error> {
    let mut alive = BTreeSet::new();
    let mut todo: Vec<Descriptor> = store
        .images()?
        .into_iter()
        .map(|image| image.descriptor)
        .collect();
    while let Some(descriptor) = todo.pop() {
        // What is not here, or damaged, has no snapshots that anybody could find by it.
        let Ok(bytes) = store.read(&descriptor.digest) else {
            continue;
        };
        if media_type::is_index(&descriptor.media_type) {
            let index = Index::parse(&bytes);
            todo.extend(index.map(|index| index.manifests).unwrap_or_default());
            continue;
        }
        let config = Manifest::parse(&bytes).map(|manifest| manifest.config.digest);
        let config = config.map(|digest| store.read(&digest).unwrap_or_default());
        let config = config.and_then(|bytes| ImageConfig::parse(&bytes));
        for diff_id in config
            .map(|config| config.rootfs.diff_ids)
            .unwrap_or_default()
        {
            alive.insert(SnapshotId::new(diff_id.0.hex())?);
        }
    }
    Ok(alive)
}

fn entries(folder: &Path) -> Result<Vec<DirEntry>, Error> {
    let list = std::fs::read_dir(folder).and_then(Iterator::collect);
    list.map_err(|source| Error::Measure {
        path: folder.to_owned(),
        source,
    })
}

/// Sums up what the files below a folder take on disk; of a file with several names, each has its
/// share.
fn measure(folder: &Path) -> Result<u64, Error> {
    let mut total = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let list = match entries(&folder) {
            // A build goes on meanwhile and removes its temporary folders.
            Err(Error::Measure { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                continue;
            }
            list => list?,
        };
        for entry in list {
            let Ok(found) = entry.path().symlink_metadata() else {
                continue;
            };
            let is_folder = found.is_dir();
            if is_folder {
                folders.push(entry.path());
            }
            let shares = if is_folder { 1 } else { found.nlink().max(1) };
            total += found.blocks() * BLOCK_BYTES / shares;
        }
    }
    Ok(total)
}
