//! An OCI image layout in a directory (image-spec, image-layout).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Write;
use std::path::Path;

use crate::export::Error;
use crate::oci::Descriptor;
use crate::oci::ImageConfig;
use crate::oci::ImageSet;
use crate::oci::Index;
use crate::oci::Reference;
use crate::store::Store;

pub(super) const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes `set` as a layout into `directory`, which is made if it is missing.
///
/// A layout that is there already keeps its other images; one of the same name is replaced.
/// Blobs are hard links to those of the store where both are on one file system.
///
/// # Errors
/// [`Error::Write`] if a file cannot be written, [`Error::Blob`] if the store lacks a blob.
pub fn write_layout(
    store: &Store,
    set: &ImageSet,
    names: &[Reference],
    directory: &Path,
) -> Result<(), Error> {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(write_error(&blobs))?;
    // Another rbuild that adds an image meanwhile would lose its own.
    let alone = fs::File::open(directory).and_then(|folder| folder.lock().map(|()| folder));
    let _alone = alone.map_err(write_error(directory))?;
    for blob in set.blobs() {
        link_blob(store, &blob, &blobs.join(blob.digest.hex()))?;
    }
    let path = directory.join("index.json");
    let index = merge(read_index(&path)?, index_of(set, names));
    replace(&path, &index.to_bytes())?;
    replace(&directory.join("oci-layout"), MARKER)
}

/// Makes the index of a layout that holds `set` alone: an entry a name, as BuildKit annotates
/// them, or one without a name.
pub(super) fn index_of(set: &ImageSet, names: &[Reference]) -> Index {
    let mut configs = set.images().iter();
    let config = configs.find_map(|(_, image)| ImageConfig::parse(&image.config).ok());
    let created = config.and_then(|config| config.created);
    let entry = |name: Option<&Reference>| {
        let mut descriptor = set.root().clone();
        let mut annotate = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                descriptor.annotations.insert(key.to_owned(), value);
            }
        };
        annotate("io.containerd.image.name", name.map(ToString::to_string));
        annotate("org.opencontainers.image.created", created.clone());
        let tag = name.and_then(Reference::tag).map(str::to_owned);
        annotate("org.opencontainers.image.ref.name", tag);
        descriptor
    };
    if names.is_empty() {
        return Index::new(vec![entry(None)]);
    }
    Index::new(names.iter().map(|name| entry(Some(name))).collect())
}

/// Reads the index that is there; what is no index is replaced.
fn read_index(path: &Path) -> Result<Option<Index>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Index::parse(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Write {
            path: path.to_owned(),
            source,
        }),
    }
}

fn merge(old: Option<Index>, new: Index) -> Index {
    let Some(mut merged) = old else {
        return new;
    };
    let is_replaced = |entry: &Descriptor| {
        new.manifests
            .iter()
            .any(|fresh| name_of(fresh) == name_of(entry))
    };
    merged.manifests.retain(|entry| !is_replaced(entry));
    merged.manifests.extend(new.manifests);
    merged
}

fn name_of(entry: &Descriptor) -> Option<&String> {
    let annotations: &BTreeMap<String, String> = &entry.annotations;
    annotations
        .get("io.containerd.image.name")
        .or_else(|| annotations.get("org.opencontainers.image.ref.name"))
}

fn link_blob(store: &Store, blob: &Descriptor, path: &Path) -> Result<(), Error> {
    match fs::hard_link(store.blob_path(&blob.digest), path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        // Another file system, or one without hard links: the bytes are copied.
        Err(_) => {}
    }
    let mut reader = store
        .open_blob(blob)
        .map_err(|source| Error::Blob { source })?;
    place(path, |file| io::copy(&mut reader, file).map(drop))
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    place(path, |file| file.write_all(bytes))
}

/// Lets a file appear whole, under a name until then that the lock keeps others from using.
fn place(path: &Path, write: impl FnOnce(&mut fs::File) -> io::Result<()>) -> Result<(), Error> {
    let temporary = path.with_extension("tmp");
    let written = fs::File::create(&temporary)
        .and_then(|mut file| write(&mut file))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // On a full disk every byte counts; the failure to report is the first one.
        let _ = fs::remove_file(&temporary);
        write_error(path)(source)
    })
}

fn write_error(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Write {
        path: path.to_owned(),
        source,
    }
}
