//! The story of what becomes of images between builds: list, look into, name, fetch, send, forget.
//!
//! Each function is one such story on one store. This is a story of its own beside `build` and
//! `run` because none of it needs a Dockerfile or a sandbox; the work itself is done by `store` and
//! `remote`.

mod find;
mod send;
mod space;
mod whose;

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use thiserror::Error;

use crate::cache;
use crate::oci;
use crate::oci::Digest;
use crate::oci::Platform;
use crate::oci::Reference;
use crate::progress::Step;
use crate::remote;
use crate::remote::Client;
use crate::snapshot;
use crate::store;
use crate::store::Named;
use crate::store::Store;
use crate::store::StoredImage;

use find::listed;
use find::locate;
use find::locate_all;
use find::nameless;
use find::names_of;

pub use find::Found;
pub use find::Listed;
pub use find::Which;
pub use find::find;
pub use send::push;
pub use space::Forget;
pub use space::Freed;
pub use space::Usage;
pub use space::prune;
pub use space::usage;
pub use whose::check_snapshots;

/// Why an image could not be dealt with.
#[derive(Debug, Error)]
pub enum Error {
    /// No image is called so, and none has such an id.
    #[error("there is no image {text}")]
    NotFound {
        /// As it was given.
        text: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// An id stands for an image with several names, and all would go.
    #[error("the image {text} has {} names: {}", names.len(), names.join(", "))]
    SeveralNames {
        /// As it was given.
        text: String,
        /// The names.
        names: Vec<String>,
    },
    /// An image stands for itself and is for another platform.
    #[error("the image {name} is for {found}, not for {wanted}")]
    Platform {
        /// Its name.
        name: String,
        /// What it is for.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// An index is here, and the image that was meant is not.
    #[error("of the image {name}, that for {wanted} is not here")]
    Absent {
        /// Its name.
        name: String,
        /// What was asked for.
        wanted: String,
    },
    /// A name is no name.
    #[error("{text:?} is no name for an image")]
    Name {
        /// As it was given.
        text: String,
        /// Why.
        source: oci::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A registry, or the way to it, failed.
    #[error(transparent)]
    Remote(#[from] remote::Error),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// The snapshots failed.
    #[error(transparent)]
    Snapshot(#[from] snapshot::Error),
    /// A folder of the store could not be measured.
    #[error("cannot look into {}", path.display())]
    Measure {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Error {
    /// Says whether a registry may have what is missing: an image, or one of an index for another
    /// platform than those that are here.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. }
                | Self::Absent { .. }
                | Self::Store(store::Error::BlobMissing { .. })
        )
    }
}

/// One line of the list of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its name, if it has one.
    pub name: Option<Reference>,
    /// The digest of what the name stands for.
    pub digest: Digest,
    /// The digest of the config, docker's image id, if it is one image and its config is in the
    /// store; else the digest of what the name stands for.
    pub id: Digest,
    /// When it was made, RFC 3339.
    pub created: Option<String>,
    /// For which platforms it is, of those that are here.
    pub platform: Option<String>,
    /// How many bytes its blobs have, those not yet pulled included.
    pub size_bytes: u64,
}

/// Lists the images in the order they were named.
///
/// # Errors
/// [`Error::Store`] if the index cannot be read.
pub fn list(root: &Path, platform: &Platform) -> Result<Vec<Summary>, Error> {
    let store = Store::open(root)?;
    let images = store.images()?;
    let summaries = images.into_iter();
    let summaries = summaries.map(|named| summary(&store, named, platform));
    Ok(summaries.collect())
}

/// Describes an image. One whose documents are missing or damaged is listed too, or nobody could
/// remove it.
fn summary(store: &Store, named: Named, platform: &Platform) -> Summary {
    let text = named.name.clone().unwrap_or_else(nameless);
    let listed = listed(store, &named.descriptor).unwrap_or_default();
    let mut images: Vec<StoredImage> = listed.into_iter().filter_map(|one| one.image).collect();
    let asked = store.open_image(&text, named.descriptor.clone(), platform);
    let asked = asked.ok().or_else(|| images.first().cloned());
    if images.is_empty() {
        images.extend(asked.clone());
    }
    let platforms = images
        .iter()
        .map(|image| image.config.platform().to_string());
    let platforms: Vec<String> = platforms.collect();
    Summary {
        name: named.name,
        digest: named.descriptor.digest,
        id: asked
            .as_ref()
            .filter(|_| images.len() == 1)
            .map_or(named.descriptor.digest, |image| {
                image.manifest.config.digest
            }),
        created: asked.and_then(|image| image.config.created),
        platform: Some(platforms.join(",")).filter(|text| !text.is_empty()),
        size_bytes: size_of_all(&images),
    }
}

/// Sums up the blobs of images, each once.
fn size_of_all(images: &[StoredImage]) -> u64 {
    let mut seen = HashSet::new();
    let blobs = images.iter().flat_map(|image| {
        let documents = [&image.descriptor, &image.manifest.config];
        documents.into_iter().chain(&image.manifest.layers)
    });
    blobs
        .filter(|blob| seen.insert(blob.digest))
        .map(|blob| blob.size)
        .sum()
}

/// Sums up an image's blobs.
#[must_use]
pub fn size_bytes(image: &StoredImage) -> u64 {
    let layers: u64 = image.manifest.layers.iter().map(|layer| layer.size).sum();
    layers + image.manifest.config.size + image.descriptor.size
}

/// Gives an image one more name.
///
/// # Errors
/// As [`find`].
pub fn tag(root: &Path, image: &str, name: &Reference) -> Result<(), Error> {
    let store = Store::open(root)?;
    // From here on nobody removes what it leads to.
    store.hold()?;
    let (descriptor, _) = locate(&store, image)?;
    Ok(store.tag(name, &descriptor)?)
}

/// Whether an image that has several names may lose them all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It may.
    Yes,
    /// It may not.
    No,
}

/// Forgets a name, or all names of the image with an id, or the image if it has none; gives the
/// names and the image's digest. The blobs stay until the store is pruned, since another build may
/// want them.
///
/// # Errors
/// [`Error::SeveralNames`] for an id without [`Force::Yes`], and as [`find`].
pub fn remove(root: &Path, image: &str, force: Force) -> Result<(Vec<Reference>, Digest), Error> {
    let store = Store::open(root)?;
    let (roots, name) = locate_all(&store, image)?;
    let names = names_of(&store, &roots)?;
    let by_name = image.parse::<Reference>().is_ok_and(|asked| asked == name);
    let going = if by_name && names.contains(&name) {
        vec![name]
    } else if names.len() > 1 && force == Force::No {
        return Err(Error::SeveralNames {
            text: image.to_owned(),
            names: names.iter().map(Reference::familiar).collect(),
        });
    } else {
        names
    };
    for name in &going {
        store.untag(name)?;
    }
    if going.is_empty() {
        roots.iter().try_for_each(|root| store.forget(root))?;
    }
    Ok((going, roots[0]))
}

/// Brings the images of a name for each platform, with all their layers, into the store, and gives
/// the digest of what the name stands for. They are all of what it stands for when the first is
/// asked for.
///
/// # Errors
/// [`Error::Remote`] or [`Error::Store`].
pub async fn pull(
    client: &Client,
    (name, pull): (&Reference, remote::Pull),
    platforms: &[Platform],
    step: &Step,
) -> Result<Option<Digest>, Error> {
    let mut root = None;
    for platform in platforms {
        let query = remote::Query {
            name: root.map_or_else(|| name.clone(), |root| name.with_digest(root)),
            platform: platform.clone(),
            pull,
        };
        let resolved = remote::pull(client, &query, step).await?;
        root = root.or(Some(resolved.root.digest));
    }
    Ok(root)
}
