//! An image as one tar: an OCI image layout, with what `docker load` reads beside it.

use std::io::Write;

use serde::Serialize;
use tar::Builder;
use tar::EntryType;
use tar::Header;

use crate::export::ArchiveFormat;
use crate::export::Error;
use crate::export::layout;
use crate::oci::Descriptor;
use crate::oci::ImageSet;
use crate::oci::Reference;
use crate::store::BlobReader;
use crate::store::Store;

const FILE_MODE: u32 = 0o444;

/// One block of a tar, empty.
const BLOCK: [u8; 512] = [0; 512];

/// One entry of docker's `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes `set` as an archive to `out`: same image and names, same bytes.
///
/// # Errors
/// [`Error::Archive`] if `out` cannot be written, [`Error::Blob`] if the store lacks a blob.
pub fn write_archive(
    store: &Store,
    set: &ImageSet,
    names: &[Reference],
    format: ArchiveFormat,
    out: impl Write,
) -> Result<(), Error> {
    let mut tar = Builder::new(out);
    append_directory(&mut tar, "blobs/")?;
    append_directory(&mut tar, "blobs/sha256/")?;
    let mut blobs = set.blobs();
    blobs.sort_by_key(|blob| blob.digest);
    for blob in blobs {
        let reader = store
            .open_blob(&blob)
            .map_err(|source| Error::Blob { source })?;
        append_blob(&mut tar, &blob, reader)?;
    }
    append_bytes(
        &mut tar,
        "index.json",
        &layout::index_of(set, names).to_bytes(),
    )?;
    if format == ArchiveFormat::Docker {
        append_bytes(&mut tar, "manifest.json", &docker_manifest(set, names))?;
    }
    append_bytes(&mut tar, "oci-layout", layout::MARKER)?;
    let mut out = tar
        .into_inner()
        .map_err(|source| Error::Archive { source })?;
    out.flush().map_err(|source| Error::Archive { source })
}

fn blob_name(digest: &crate::oci::Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Lists the images for `docker load`, which knows no index.
fn docker_manifest(set: &ImageSet, names: &[Reference]) -> Vec<u8> {
    let manifests = set.images().iter().map(|(_, image)| DockerManifest {
        config: blob_name(&image.config_descriptor.digest),
        repo_tags: names.iter().map(Reference::familiar).collect(),
        layers: image
            .layers
            .iter()
            .map(|layer| blob_name(&layer.blob.digest))
            .collect(),
    });
    let manifests: Vec<_> = manifests.collect();
    serde_json::to_vec(&manifests).expect("strings and lists are JSON")
}

/// Appends a blob, which is read and verified while what was read is written.
fn append_blob(
    tar: &mut Builder<impl Write>,
    blob: &Descriptor,
    reader: BlobReader,
) -> Result<(), Error> {
    let header = header(
        (&blob_name(&blob.digest), EntryType::Regular, FILE_MODE),
        blob.size,
    )?;
    let out = tar.get_mut();
    let padding = blob.size.wrapping_neg() % BLOCK.len() as u64;
    let write = || {
        out.write_all(header.as_bytes())?;
        reader.copy_to(out)?;
        out.write_all(&BLOCK[..padding as usize])
    };
    write().map_err(|source| Error::Archive { source })
}

fn append_bytes(tar: &mut Builder<impl Write>, name: &str, bytes: &[u8]) -> Result<(), Error> {
    append(tar, (name, EntryType::Regular, FILE_MODE), bytes)
}

fn append_directory(tar: &mut Builder<impl Write>, name: &str) -> Result<(), Error> {
    append(tar, (name, EntryType::Directory, 0o755), &[])
}

fn append(
    tar: &mut Builder<impl Write>,
    entry: (&str, EntryType, u32),
    content: &[u8],
) -> Result<(), Error> {
    let header = header(entry, content.len() as u64)?;
    tar.append(&header, content)
        .map_err(|source| Error::Archive { source })
}

fn header((name, kind, mode): (&str, EntryType, u32), size_bytes: u64) -> Result<Header, Error> {
    let mut header = Header::new_ustar();
    header.set_path(name).map_err(|source| Error::Entry {
        name: name.to_owned(),
        source,
    })?;
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size_bytes);
    header.set_cksum();
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::write_archive;
    use crate::export::ArchiveFormat;
    use crate::oci::Descriptor;
    use crate::oci::DiffId;
    use crate::oci::Digest;
    use crate::oci::Image;
    use crate::oci::ImageConfig;
    use crate::oci::ImageSet;
    use crate::oci::Layer;
    use crate::oci::Platform;
    use crate::oci::media_type;
    use crate::store::Store;

    fn names(bytes: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap();
        entries
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect()
    }

    #[test]
    fn holds_every_blob_once_and_is_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let layer = Layer {
            diff_id: DiffId(Digest::of(b"tar")),
            blob: store.put(media_type::LAYER_GZIP, b"layer").unwrap(),
        };
        let config = ImageConfig::scratch(&Platform::host());
        let image = Image::assemble(config, vec![layer.clone(), layer]);
        store.put(media_type::CONFIG, &image.config).unwrap();
        store.put(media_type::MANIFEST, &image.manifest).unwrap();
        let set = ImageSet::of_one(Platform::host(), image);
        let tags = ["a:1".parse().unwrap(), "b:2".parse().unwrap()];
        let write = |format| {
            let mut out = Vec::new();
            write_archive(&store, &set, &tags, format, &mut out).unwrap();
            out
        };
        let docker = write(ArchiveFormat::Docker);
        assert_eq!(docker, write(ArchiveFormat::Docker));
        let listed = names(&docker);
        assert_eq!(listed.len(), 2 + 3 + 3, "{listed:?}");
        assert!(listed.contains(&"manifest.json".to_owned()));
        assert!(!names(&write(ArchiveFormat::Oci)).contains(&"manifest.json".to_owned()));
    }

    #[test]
    fn a_missing_blob_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let layer = Layer {
            diff_id: DiffId(Digest::of(b"tar")),
            blob: Descriptor::of(media_type::LAYER_GZIP, b"nowhere"),
        };
        let image = Image::assemble(ImageConfig::scratch(&Platform::host()), vec![layer]);
        let set = ImageSet::of_one(Platform::host(), image);
        let mut out = Vec::new();
        assert!(write_archive(&store, &set, &[], ArchiveFormat::Oci, &mut out).is_err());
    }
}
