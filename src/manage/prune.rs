//! Giving space back: what no image needs, and on request the build cache.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::cache::Local;
use crate::manage::Error;
use crate::manage::measure;
use crate::oci::Platform;
use crate::oci::Reference;
use crate::snapshot::Overlay;
use crate::snapshot::SnapshotId;
use crate::snapshot::Snapshotter;
use crate::store::Pruned;
use crate::store::Store;

/// What is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What no image and no build can use any more: blobs that no image names, what killed
    /// processes left, records whose snapshot is gone and snapshots that nothing names.
    Unused,
    /// The build cache too: every record, snapshot and cache mount.
    Cache,
}

/// Removes what `scope` says. Images stay.
///
/// # Errors
/// [`Error::Store`] with [`crate::store::Error::InUse`] while a build works with the store; what
/// cannot be read or removed otherwise.
pub fn prune(root: &Path, scope: Scope) -> Result<Pruned, Error> {
    let store = Store::open(root)?;
    let alone = store.alone()?;
    let snapshots = Overlay::open(&root.join("snapshots"))?;
    let cache = Local::open(root, SystemTime::UNIX_EPOCH);
    let needed = match scope {
        Scope::Unused => needed(&store, &snapshots, &cache)?,
        Scope::Cache => BTreeSet::new(),
    };
    let mut pruned = remove_snapshots(root, &snapshots, &needed)?;
    for entry in cache.list()? {
        if !needed.contains(&entry.record.change_set) {
            cache.remove(&entry.key)?;
            pruned.files += 1;
            pruned.size_bytes += entry.size_bytes;
        }
    }
    pruned.size_bytes += cache.sweep(|id| needed.contains(id))?;
    if scope == Scope::Cache {
        for folder in ["mounts", "contexts"] {
            remove_folder(&root.join(folder), &mut pruned)?;
        }
    }
    let blobs = store.prune(&alone, &[])?;
    pruned.files += blobs.files;
    pruned.size_bytes += blobs.size_bytes;
    Ok(pruned)
}

/// Gives the snapshots that a record of finished work or the layer of an image names.
fn needed(
    store: &Store,
    snapshots: &Overlay,
    cache: &Local,
) -> Result<BTreeSet<SnapshotId>, Error> {
    let records = cache
        .list()?
        .into_iter()
        .map(|entry| entry.record.change_set);
    let mut needed: BTreeSet<SnapshotId> = records.filter(|id| snapshots.exists(id)).collect();
    let unnamed: Reference = "unnamed".parse().expect("it is a name");
    for named in store.images()? {
        let name = named.name.as_ref().unwrap_or(&unnamed);
        // An image whose documents are not here has no snapshots that could be used.
        let Ok(image) = store.open_image(name, named.descriptor, &Platform::host()) else {
            continue;
        };
        let layers = image.config.rootfs.diff_ids.iter();
        needed.extend(layers.filter_map(|layer| SnapshotId::new(layer.0.hex()).ok()));
    }
    Ok(needed)
}

fn remove_snapshots(
    root: &Path,
    snapshots: &Overlay,
    needed: &BTreeSet<SnapshotId>,
) -> Result<Pruned, Error> {
    let mut pruned = Pruned {
        files: 0,
        size_bytes: 0,
    };
    for id in snapshots
        .list()?
        .into_iter()
        .filter(|id| !needed.contains(id))
    {
        pruned.size_bytes += measure(&root.join("snapshots").join(id.as_str()))?;
        pruned.files += 1;
        snapshots.remove(&id)?;
    }
    pruned.files += snapshots.prune()? as u64;
    Ok(pruned)
}

fn remove_folder(folder: &Path, pruned: &mut Pruned) -> Result<(), Error> {
    let size_bytes = match measure(folder) {
        Ok(size_bytes) => size_bytes,
        Err(Error::Measure { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    fs::remove_dir_all(folder).map_err(|source| Error::Measure {
        path: folder.to_owned(),
        source,
    })?;
    pruned.files += 1;
    pruned.size_bytes += size_bytes;
    Ok(())
}
