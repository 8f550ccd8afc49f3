//! Which blobs anything still needs, and removing the others.

use std::collections::BTreeSet;
use std::fs;
use std::fs::DirEntry;
use std::io;
use std::path::Path;

use crate::oci::Descriptor;
use crate::oci::Digest;
use crate::oci::Index;
use crate::oci::Manifest;
use crate::oci::media_type;
use crate::store::Error;
use crate::store::Pruning;
use crate::store::Store;
use crate::store::notes;

/// How much the blobs of a store take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many blobs there are.
    pub blobs: u64,
    /// How many bytes they have.
    pub size_bytes: u64,
    /// How many bytes no image and no other root needs.
    pub reclaimable_bytes: u64,
}

/// What pruning removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many files.
    pub files: u64,
    /// How many bytes they had.
    pub size_bytes: u64,
}

impl Store {
    /// Gives every blob that the images of the index or `roots` lead to.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Document`] or [`Error::BlobDigest`] if a manifest on the way is
    /// not readable: what it names must not be taken for garbage.
    pub fn mark(&self, roots: &[Descriptor]) -> Result<BTreeSet<Digest>, Error> {
        let mut live = BTreeSet::new();
        let mut todo = self.read_index()?.manifests;
        todo.extend_from_slice(roots);
        while let Some(descriptor) = todo.pop() {
            if !live.insert(descriptor.digest) {
                continue;
            }
            match self.children(&descriptor) {
                Ok(children) => todo.extend(children),
                // An index is kept for one platform; the manifests of the others never came.
                Err(Error::BlobMissing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(live)
    }

    fn children(&self, descriptor: &Descriptor) -> Result<Vec<Descriptor>, Error> {
        if media_type::is_index(&descriptor.media_type) {
            return Ok(self.parse(&descriptor.digest, Index::parse)?.manifests);
        }
        if !media_type::is_manifest(&descriptor.media_type) {
            return Ok(Vec::new());
        }
        let manifest = self.parse(&descriptor.digest, Manifest::parse)?;
        let mut children = manifest.layers;
        children.push(manifest.config);
        Ok(children)
    }

    /// Sums up the blobs of the store.
    ///
    /// # Errors
    /// As [`Store::mark`].
    pub fn usage(&self, roots: &[Descriptor]) -> Result<Usage, Error> {
        let live = self.mark(roots)?;
        let mut usage = Usage::default();
        for entry in entries(&self.root().join("blobs/sha256"))? {
            let size_bytes = size(&entry);
            usage.blobs += 1;
            usage.size_bytes += size_bytes;
            if !is_live(&entry, &live) {
                usage.reclaimable_bytes += size_bytes;
            }
        }
        Ok(usage)
    }

    /// Removes every blob that neither the images of the index nor `roots` lead to nor a process
    /// claims, and what killed processes left behind.
    ///
    /// # Errors
    /// As [`Store::mark`], or [`Error::Remove`].
    pub fn prune(&self, pruning: &Pruning, roots: &[Descriptor]) -> Result<Pruned, Error> {
        let mut live = self.mark(roots)?;
        let claimed = pruning.claimed();
        live.extend(claimed.filter_map(|name| Digest::from_hex(name).ok()));
        let mut garbage = entries(&self.root().join("blobs/sha256"))?;
        garbage.retain(|entry| !is_live(entry, &live));
        let mut temporary = entries(&self.temporary_folder())?;
        let is_claimed = |name: &str| pruning.is_claimed(name);
        temporary.retain(|entry| !entry.file_name().to_str().is_some_and(is_claimed));
        garbage.extend(temporary);
        // Where nothing was ever fetched or pushed there is no such folder.
        let mut locations = entries(&self.location_folder()).unwrap_or_default();
        locations.retain(|entry| !is_live(entry, &live));
        garbage.extend(locations);
        let mut notes = entries(&self.note_folder()).unwrap_or_default();
        notes.retain(|note| !notes::blob_of(note).is_some_and(|blob| live.contains(&blob)));
        garbage.extend(notes);
        let mut pruned = Pruned::default();
        for entry in garbage {
            let size_bytes = size(&entry);
            let path = entry.path();
            match fs::remove_file(&path) {
                // Whoever wrote it without a claim has given it up.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                removed => removed.map_err(|source| Error::Remove { path, source })?,
            }
            pruned.files += 1;
            pruned.size_bytes += size_bytes;
        }
        Ok(pruned)
    }
}

fn entries(folder: &Path) -> Result<Vec<DirEntry>, Error> {
    let list = fs::read_dir(folder).and_then(Iterator::collect);
    list.map_err(|source| Error::Read {
        path: folder.to_owned(),
        source,
    })
}

fn size(entry: &DirEntry) -> u64 {
    entry.metadata().map_or(0, |metadata| metadata.len())
}

/// A file whose name is no digest is no blob.
fn is_live(entry: &DirEntry, live: &BTreeSet<Digest>) -> bool {
    let name = entry.file_name();
    let digest = name.to_str().and_then(|hex| Digest::from_hex(hex).ok());
    digest.is_some_and(|digest| live.contains(&digest))
}
