//! The images of the store: the index, and looking an image up by name or digest.
//!
//! An image's name stands in full (`docker.io/library/debian:bookworm`) in two annotations of its
//! entry: `io.containerd.image.name`, which containerd reads, and
//! `org.opencontainers.image.ref.name`, which skopeo, podman and umoci read. The latter is not
//! only the tag, because it must tell apart all images of the layout.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::oci::Descriptor;
use crate::oci::Digest;
use crate::oci::ImageConfig;
use crate::oci::Index;
use crate::oci::Manifest;
use crate::oci::Platform;
use crate::oci::Reference;
use crate::oci::media_type;
use crate::store::Error;
use crate::store::Store;
use crate::store::file;

const CONTAINERD_NAME: &str = "io.containerd.image.name";
const OCI_NAME: &str = "org.opencontainers.image.ref.name";

/// An entry of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The image's name; another tool may have left entries without one.
    pub name: Option<Reference>,
    /// Its manifest or index.
    pub descriptor: Descriptor,
}

/// An image of one platform, as far as it is documents. Its layers may still be missing.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredImage {
    /// The manifest's descriptor; its digest is the image's.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// The image config.
    pub config: ImageConfig,
}

impl Store {
    /// Lists the images in the order they were named.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Document`] if the index is not readable.
    pub fn images(&self) -> Result<Vec<Named>, Error> {
        let entries = self.read_index()?.manifests.into_iter();
        let named = entries.map(|descriptor| Named {
            name: name_of(&descriptor),
            descriptor,
        });
        Ok(named.collect())
    }

    /// Gives what `name` stands for: by its digest if it has one, else by the index.
    ///
    /// # Errors
    /// As [`Store::images`], and as [`Store::read`] for a digest.
    pub fn find(&self, name: &Reference) -> Result<Option<Descriptor>, Error> {
        if let Some(digest) = name.digest() {
            return match self.describe(digest) {
                Err(Error::BlobMissing { .. }) => Ok(None),
                found => found.map(Some),
            };
        }
        let mut entries = self.read_index()?.manifests.into_iter();
        Ok(entries.find(|entry| name_of(entry).as_ref() == Some(name)))
    }

    /// Lets `name` stand for the image that `descriptor` describes, whatever it stood for before.
    /// If the image was kept without a name, it has one now.
    ///
    /// # Errors
    /// [`Error::Lock`], [`Error::Read`], [`Error::Document`] or [`Error::Write`]; the index is
    /// then as it was.
    pub fn tag(&self, name: &Reference, descriptor: &Descriptor) -> Result<(), Error> {
        let mut entry = descriptor.clone();
        for key in [CONTAINERD_NAME, OCI_NAME] {
            entry.annotations.insert(key.to_owned(), name.to_string());
        }
        self.change_index(|entries| {
            entries.retain(|old| name_of(old).is_some() || old.digest != entry.digest);
            let is_same = |old: &&mut Descriptor| name_of(old).as_ref() == Some(name);
            match entries.iter_mut().find(is_same) {
                Some(old) => old.clone_from(&entry),
                None => entries.push(entry.clone()),
            }
        })
    }

    /// Keeps the image that `descriptor` describes without a name, to be found by its id; does
    /// nothing if it is kept already.
    ///
    /// # Errors
    /// As [`Store::tag`].
    pub fn keep(&self, descriptor: &Descriptor) -> Result<(), Error> {
        let is_kept = |entry: &Descriptor| entry.digest == descriptor.digest;
        if self.read_index()?.manifests.iter().any(is_kept) {
            return Ok(());
        }
        self.change_index(|entries| {
            if !entries.iter().any(is_kept) {
                entries.push(descriptor.clone());
            }
        })
    }

    /// Forgets `name` and gives what it stood for. Blobs stay until the store is pruned.
    ///
    /// # Errors
    /// As [`Store::tag`].
    pub fn untag(&self, name: &Reference) -> Result<Option<Descriptor>, Error> {
        let mut removed = None;
        self.change_index(|entries| {
            let found = entries
                .iter()
                .position(|entry| name_of(entry).as_ref() == Some(name));
            removed = found.map(|index| entries.remove(index));
        })?;
        Ok(removed)
    }

    /// Forgets an image that is kept without a name. Blobs stay until the store is pruned.
    ///
    /// # Errors
    /// As [`Store::tag`].
    pub fn forget(&self, digest: &Digest) -> Result<(), Error> {
        self.change_index(|entries| {
            entries.retain(|entry| name_of(entry).is_some() || entry.digest != *digest);
        })
    }

    /// Reads the manifest and config that `name` stands for on `platform`; none if the name is
    /// unknown.
    ///
    /// # Errors
    /// [`Error::Platform`] if the image has no such variant, [`Error::Nested`] if indexes list
    /// indexes without end, [`Error::BlobMissing`] if its
    /// documents are not here, and what reading them can fail with.
    pub fn image(
        &self,
        name: &Reference,
        platform: &Platform,
    ) -> Result<Option<StoredImage>, Error> {
        match self.find(name)? {
            Some(descriptor) => self.open_image(name, descriptor, platform).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the manifest and config behind `descriptor`, which may be an index, on `platform`.
    /// `name` is only for messages.
    ///
    /// # Errors
    /// As [`Store::image`].
    pub fn open_image(
        &self,
        name: &Reference,
        descriptor: Descriptor,
        platform: &Platform,
    ) -> Result<StoredImage, Error> {
        let mut descriptor = descriptor;
        let mut depth = 0;
        while media_type::is_index(&descriptor.media_type) {
            depth += 1;
            if depth > Index::DEPTH_MAX {
                let name = name.familiar();
                return Err(Error::Nested { name });
            }
            let index = self.parse(&descriptor.digest, Index::parse)?;
            let selected = index.select(platform);
            descriptor = selected.cloned().ok_or_else(|| Error::Platform {
                name: name.familiar(),
                wanted: platform.to_string(),
                available: platforms(&index),
            })?;
        }
        let manifest = self.parse(&descriptor.digest, Manifest::parse)?;
        let config = self.parse(&manifest.config.digest, ImageConfig::parse)?;
        // Whoever works on it needs them later, when nothing may name it any more.
        for layer in &manifest.layers {
            self.claim(&layer.digest.hex())?;
        }
        Ok(StoredImage {
            descriptor,
            manifest,
            config,
        })
    }

    /// Describes a stored manifest or index by its digest.
    fn describe(&self, digest: &Digest) -> Result<Descriptor, Error> {
        #[derive(serde::Deserialize)]
        struct Head {
            #[serde(rename = "mediaType", default)]
            media_type: String,
            #[serde(default)]
            manifests: Option<serde::de::IgnoredAny>,
        }
        let bytes = self.read(digest)?;
        let head: Head = serde_json::from_slice(&bytes).map_err(|source| Error::Document {
            path: self.blob_path(digest),
            source: crate::oci::Error::Document {
                what: "manifest",
                source,
            },
        })?;
        let media_type = match head.media_type.as_str() {
            "" if head.manifests.is_some() => media_type::INDEX,
            "" => media_type::MANIFEST,
            given => given,
        };
        Ok(Descriptor::new(media_type, *digest, bytes.len() as u64))
    }

    /// Reads a document of the store.
    pub(super) fn parse<T>(
        &self,
        digest: &Digest,
        parse: impl FnOnce(&[u8]) -> Result<T, crate::oci::Error>,
    ) -> Result<T, Error> {
        let bytes = self.read(digest)?;
        parse(&bytes).map_err(|source| Error::Document {
            path: self.blob_path(digest),
            source,
        })
    }

    fn index_path(&self) -> PathBuf {
        self.root().join("index.json")
    }

    pub(super) fn read_index(&self) -> Result<Index, Error> {
        let path = self.index_path();
        let bytes = match file::read(&path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(Index::new(Vec::new()));
            }
            Err(source) => return Err(Error::Read { path, source }),
        };
        Index::parse(&bytes).map_err(|source| Error::Document { path, source })
    }

    /// Rewrites the index under its lock, so that of two changes none is lost. Where nothing changes,
    /// the lock is not needed.
    fn change_index(&self, mut change: impl FnMut(&mut Vec<Descriptor>)) -> Result<(), Error> {
        let mut changed = || {
            let mut index = self.read_index()?;
            let before = index.manifests.clone();
            change(&mut index.manifests);
            Ok(Some(index).filter(|index| index.manifests != before))
        };
        if changed()?.is_none() {
            return Ok(());
        }
        let _lock = self.lock_index()?;
        let Some(index) = changed()? else {
            return Ok(());
        };
        // After a power failure too, no name shall stand for what is not there.
        let path = self.root().join("blobs/sha256");
        let synced = File::open(&path).and_then(|folder| folder.sync_all());
        synced.map_err(|source| Error::Write { path, source })?;
        file::replace(self, &self.index_path(), &index.to_bytes())
    }

    /// Makes an empty index unless another process was faster.
    pub(super) fn create_index(&self) -> Result<(), Error> {
        let _lock = self.lock_index()?;
        if self.index_path().exists() {
            return Ok(());
        }
        let index = Index::new(Vec::new());
        file::replace(self, &self.index_path(), &index.to_bytes())
    }
}

fn name_of(entry: &Descriptor) -> Option<Reference> {
    let names = [CONTAINERD_NAME, OCI_NAME];
    let text = names.iter().find_map(|key| entry.annotations.get(*key))?;
    text.parse().ok()
}

/// Lists the platforms an index offers, for a message.
pub(crate) fn platforms(index: &Index) -> String {
    let platforms = index
        .manifests
        .iter()
        .filter_map(|entry| entry.platform.as_ref());
    let mut names: Vec<String> = platforms
        .map(Platform::to_string)
        .filter(|name| name != "unknown/unknown")
        .collect();
    names.dedup();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}
