//! The story of what becomes of images between builds: list, look into, name, fetch, send, forget.
//!
//! Each function is one such story on one store. This is a story of its own beside `build` and
//! `run` because none of it needs a Dockerfile or a sandbox; the work itself is done by `store` and
//! `remote`.

mod space;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use thiserror::Error;

use crate::cache;
use crate::oci;
use crate::oci::Descriptor;
use crate::oci::Digest;
use crate::oci::Index;
use crate::oci::Platform;
use crate::oci::Reference;
use crate::oci::media_type;
use crate::progress::Step;
use crate::remote;
use crate::remote::Client;
use crate::snapshot;
use crate::store;
use crate::store::Store;
use crate::store::StoredImage;

pub use space::Forget;
pub use space::Freed;
pub use space::Usage;
pub use space::prune;
pub use space::usage;

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

/// One line of the list of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its name, if it has one.
    pub name: Option<Reference>,
    /// The digest of what the name stands for.
    pub digest: Digest,
    /// The digest of the config, docker's image id, if the config is in the store.
    pub id: Option<Digest>,
    /// When it was made, RFC 3339.
    pub created: Option<String>,
    /// For which platform it is.
    pub platform: Option<String>,
    /// How many bytes its blobs have, those not yet pulled included.
    pub size_bytes: u64,
}

/// An image that was found by what a user called it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// All its names.
    pub names: Vec<Reference>,
    /// What the names stand for: an index or the manifest itself.
    pub root: Descriptor,
    /// Its documents, of the platform asked for.
    pub image: StoredImage,
    /// Whether the images of all platforms of an index are here; usually one is.
    pub is_complete: bool,
}

/// Lists the images in the order they were named.
///
/// # Errors
/// [`Error::Store`] if the index cannot be read.
pub fn list(root: &Path, platform: &Platform) -> Result<Vec<Summary>, Error> {
    let store = Store::open(root)?;
    let images = store.images()?;
    let summaries = images.into_iter().map(|named| {
        // An image whose documents are missing or damaged is listed too, or nobody could remove it.
        let text = named.name.clone().unwrap_or_else(nameless);
        let image = store
            .open_image(&text, named.descriptor.clone(), platform)
            .ok();
        Summary {
            name: named.name,
            digest: named.descriptor.digest,
            id: image.as_ref().map(|image| image.manifest.config.digest),
            created: image
                .as_ref()
                .and_then(|image| image.config.created.clone()),
            platform: image
                .as_ref()
                .map(|image| image.config.platform().to_string()),
            size_bytes: image.as_ref().map_or(0, size_bytes),
        }
    });
    Ok(summaries.collect())
}

/// Stands where a name is only for messages.
fn nameless() -> Reference {
    "nameless".parse().expect("a lower-case word is a name")
}

/// Sums up an image's blobs.
#[must_use]
pub fn size_bytes(image: &StoredImage) -> u64 {
    let layers: u64 = image.manifest.layers.iter().map(|layer| layer.size).sum();
    layers + image.manifest.config.size + image.descriptor.size
}

/// Finds an image by name, digest, or the beginning of an id.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Name`] if it could be neither name nor id, or [`Error::Store`].
pub fn find(root: &Path, text: &str, platform: &Platform) -> Result<Found, Error> {
    let store = Store::open(root)?;
    find_in(&store, text, platform)
}

fn find_in(store: &Store, text: &str, platform: &Platform) -> Result<Found, Error> {
    let (root, name) = locate(store, text)?;
    let image = store.open_image(&name, root.clone(), platform)?;
    let mut names = names_of(store, &root.digest)?;
    if let Some(place) = names.iter().position(|other| *other == name) {
        // The name it was asked for by comes first.
        names.swap(0, place);
    }
    let is_complete = is_complete(store, &root)?;
    Ok(Found {
        names,
        root,
        image,
        is_complete,
    })
}

/// Gives what `text` stands for and a name for it in messages. A name wins over an id, as with
/// docker: an image may be called `cafe`.
fn locate(store: &Store, text: &str) -> Result<(Descriptor, Reference), Error> {
    let name = text.parse::<Reference>();
    if let Ok(name) = &name
        && let Some(root) = store.find(name)?
    {
        return Ok((root, name.clone()));
    }
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let may_be_id = hex.len() >= 4 && hex.bytes().all(|letter| letter.is_ascii_hexdigit());
    if may_be_id && let Some(found) = store.find_id(text)?.into_iter().next() {
        let name = found.name.unwrap_or_else(nameless);
        return Ok((found.descriptor, name));
    }
    match name {
        Err(source) if !may_be_id => Err(Error::Name {
            text: text.to_owned(),
            source,
        }),
        _ => Err(Error::NotFound {
            text: text.to_owned(),
            known: known_names(store)?,
        }),
    }
}

fn known_names(store: &Store) -> Result<Vec<String>, Error> {
    let names = store.images()?.into_iter().filter_map(|image| image.name);
    Ok(names.map(|name| name.familiar()).collect())
}

fn names_of(store: &Store, digest: &Digest) -> Result<Vec<Reference>, Error> {
    let images = store.images()?.into_iter();
    let same = images.filter(|image| image.descriptor.digest == *digest);
    Ok(same.filter_map(|image| image.name).collect())
}

/// Gives an image one more name.
///
/// # Errors
/// As [`find`].
pub fn tag(root: &Path, image: &str, name: &Reference) -> Result<(), Error> {
    let store = Store::open(root)?;
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

/// Forgets a name, or all names of the image with an id; gives the names and the image's digest.
/// The blobs stay until the store is pruned, since another build may want them.
///
/// # Errors
/// [`Error::SeveralNames`] for an id without [`Force::Yes`], and as [`find`].
pub fn remove(root: &Path, image: &str, force: Force) -> Result<(Vec<Reference>, Digest), Error> {
    let store = Store::open(root)?;
    let (descriptor, name) = locate(&store, image)?;
    let names = names_of(&store, &descriptor.digest)?;
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
    Ok((going, descriptor.digest))
}

/// Brings an image with all its layers into the store, and gives its digest.
///
/// # Errors
/// [`Error::Remote`] or [`Error::Store`].
pub async fn pull(client: &Client, query: &remote::Query, step: &Step) -> Result<Digest, Error> {
    let resolved = remote::pull(client, query, step).await?;
    Ok(resolved.root.digest)
}

/// Sends an image from the store to a registry, and gives the digest it has there.
///
/// # Errors
/// As [`find`], and [`Error::Remote`].
pub async fn push(
    client: &Client,
    found: &Found,
    name: &Reference,
    step: &Step,
) -> Result<Digest, Error> {
    let root = if found.is_complete {
        &found.root
    } else {
        &found.image.descriptor
    };
    // Layers that were never needed here come from where the image came from.
    let origin = found.names.iter().find(|origin| *origin != name);
    let layers = found.image.manifest.layers.iter();
    let sources: BTreeMap<Digest, Reference> = origin
        .map(|origin| layers.map(|layer| (layer.digest, origin.clone())).collect())
        .unwrap_or_default();
    let destination = remote::Destination {
        name: name.clone(),
        sources,
    };
    Ok(remote::push(client, root, &destination, step).await?)
}

fn is_complete(store: &Store, root: &Descriptor) -> Result<bool, Error> {
    if !media_type::is_index(&root.media_type) {
        return Ok(true);
    }
    let bytes = store.read(&root.digest)?;
    // One that cannot be understood cannot be pushed whole either.
    let index = Index::parse(&bytes).unwrap_or_else(|_| Index::new(Vec::new()));
    let has_all = !index.manifests.is_empty();
    Ok(has_all && index.manifests.iter().all(|child| store.contains(child)))
}
