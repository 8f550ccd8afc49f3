//! From a name to an image: manifest digest and config.

use crate::oci::Descriptor;
use crate::oci::ImageConfig;
use crate::oci::Index;
use crate::oci::Layer;
use crate::oci::Manifest;
use crate::oci::Platform;
use crate::oci::Reference;
use crate::oci::media_type;
use crate::remote::Client;
use crate::remote::Error;
use crate::remote::document;
use crate::remote::document::Document;
use crate::remote::document::blocking;
use crate::remote::registries::Endpoint;
use crate::remote::session::Session;
use crate::store;
use crate::store::StoredImage;

/// When a registry is asked what a tag stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// Only if the store does not know.
    Missing,
    /// Always.
    Always,
    /// Never: the store must know.
    Never,
}

/// Which image is wanted.
#[derive(Clone, Debug)]
pub struct Query {
    /// Its name.
    pub name: Reference,
    /// For which platform.
    pub platform: Platform,
    /// Whether to ask a registry.
    pub pull: Pull,
}

/// An image whose manifest and config are in the store; its layers may not be.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The name that was asked for.
    pub name: Reference,
    /// What the name stands for: an index, or the image's manifest itself.
    pub root: Descriptor,
    /// The image for the platform asked for.
    pub image: StoredImage,
}

/// Finds out which image a name stands for, and stores its manifest and config.
///
/// A tag that a registry was asked about is kept in the store's index, so that it means the same
/// until it is asked about again. A name with a digest needs no asking if the store has it.
///
/// # Errors
/// [`Error::Resolve`] with what went wrong at the registry or its mirrors, [`Error::Never`],
/// [`Error::NeverFor`], or [`Error::Store`].
pub async fn resolve(client: &Client, query: &Query) -> Result<Resolved, Error> {
    let (known, found) = look_up(client, query).await?;
    if let Some(found) = found {
        return Ok(found);
    }
    if query.pull == Pull::Never {
        return Err(never(query, known.is_some()));
    }
    // A store that has the index, but not yet this platform of it, goes on from the same index.
    let asked = match (&known, query.pull) {
        (Some(root), Pull::Missing) => query.name.with_digest(root.digest),
        _ => query.name.clone(),
    };
    client.hold_store()?;
    let mut attempts = Vec::new();
    for endpoint in client.pull_endpoints(&asked) {
        match ask(client, &endpoint, (query, &asked)).await {
            Ok(resolved) => return Ok(resolved),
            Err(error) if error.is_local() => return Err(error),
            Err(error) => {
                client.note(&endpoint, &error);
                attempts.push((endpoint.host, error));
            }
        }
    }
    Err(Error::Resolve {
        reference: query.name.to_string(),
        source: Box::new(Error::everywhere(attempts)),
    })
}

/// Says what is missing where nobody may be asked: all of it, or what it `is_here` for others.
fn never(query: &Query, is_here: bool) -> Error {
    let reference = query.name.to_string();
    match is_here {
        true => Error::NeverFor {
            reference,
            platform: query.platform.to_string(),
        },
        false => Error::Never { reference },
    }
}

/// Looks in the store: what the name stands for there, and the image if all of it is there and
/// nobody need be asked.
async fn look_up(
    client: &Client,
    query: &Query,
) -> Result<(Option<Descriptor>, Option<Resolved>), Error> {
    let store = client.store().clone();
    let wanted = query.clone();
    let look = move || {
        let Some(root) = store.find(&wanted.name)? else {
            return Ok((None, None));
        };
        if wanted.pull == Pull::Always && wanted.name.digest().is_none() {
            return Ok((Some(root), None));
        }
        match store.open_image(&wanted.name, root.clone(), &wanted.platform) {
            Ok(image) => {
                let name = wanted.name;
                let resolved = Resolved {
                    name,
                    root: root.clone(),
                    image,
                };
                Ok((Some(root), Some(resolved)))
            }
            Err(store::Error::BlobMissing { .. } | store::Error::BlobDigest { .. }) => {
                Ok((Some(root), None))
            }
            Err(error) => Err(error),
        }
    };
    // A warm build comes no further than this: it is not worth a thread.
    look().map_err(|error| match error {
        store::Error::Platform {
            name,
            wanted,
            available,
        } => Error::Platform {
            name,
            wanted,
            available,
        },
        store::Error::Nested { name } => Error::Nested { name },
        error => Error::Store(error),
    })
}

/// Asks one registry or mirror.
async fn ask(
    client: &Client,
    endpoint: &Endpoint,
    (query, asked): (&Query, &Reference),
) -> Result<Resolved, Error> {
    let session = Session::open(client, endpoint, "pull").await?;
    let root = find_root(&session, asked).await?;
    let mut descriptor = root.clone();
    let mut depth = 0;
    while media_type::is_index(&descriptor.media_type) {
        depth += 1;
        if depth > Index::DEPTH_MAX {
            let name = query.name.familiar();
            return Err(Error::Nested { name });
        }
        descriptor = select(&session, &descriptor, query)?;
        ensure_manifest(&session, &descriptor).await?;
    }
    let manifest = read(&session, &descriptor, Manifest::parse)?;
    if !session.client.store().contains(&manifest.config) {
        let document = document::get_blob(&session, &manifest.config).await?;
        document.keep(&session).await?;
    }
    let config = read(&session, &manifest.config, ImageConfig::parse)?;
    Layer::pair(&config, &manifest).map_err(|source| Error::Document {
        url: format!("{}@{}", query.name.repository(), descriptor.digest),
        source,
    })?;
    let blobs = manifest.layers.iter().map(|layer| layer.digest);
    session.remember(blobs.collect()).await?;
    if query.name.digest().is_none() {
        let (store, name, root) = (client.store().clone(), query.name.clone(), root.clone());
        let tag = move || store.tag(&name, &root);
        blocking(tag).await.map_err(Error::Store)?;
    }
    Ok(Resolved {
        name: query.name.clone(),
        root,
        image: StoredImage {
            descriptor,
            manifest,
            config,
        },
    })
}

/// Gets what `asked` stands for into the store. If something like it is there already, the
/// registry is only asked for the digest: that is not counted against rate limits.
async fn find_root(session: &Session, asked: &Reference) -> Result<Descriptor, Error> {
    let store = session.client.store();
    let known = |name: &Reference| store.find(name).map_err(Error::Store);
    let identifier = asked.identifier();
    if asked.digest().is_none()
        && known(asked)?.is_some()
        && let Some(digest) = document::head_manifest(session, &identifier).await?
        && let Some(root) = known(&asked.with_digest(digest))?
    {
        return Ok(root);
    }
    let document = document::get_manifest(session, &identifier).await?;
    check(&document)?;
    document.keep(session).await
}

async fn ensure_manifest(session: &Session, descriptor: &Descriptor) -> Result<(), Error> {
    if session.client.store().contains(descriptor) {
        return Ok(());
    }
    let document = document::get_manifest(session, &descriptor.digest.to_string()).await?;
    check(&document)?;
    document.keep(session).await.map(drop)
}

/// Makes sure that a document is what its type says before it is kept.
fn check(document: &Document) -> Result<(), Error> {
    let parsed = if media_type::is_index(&document.descriptor.media_type) {
        Index::parse(&document.bytes).map(drop)
    } else {
        Manifest::parse(&document.bytes).map(drop)
    };
    parsed.map_err(|source| Error::Document {
        url: document.url.clone(),
        source,
    })
}

fn select(session: &Session, root: &Descriptor, query: &Query) -> Result<Descriptor, Error> {
    let index = read(session, root, Index::parse)?;
    let selected = index.select(&query.platform).cloned();
    selected.ok_or_else(|| Error::Platform {
        name: query.name.familiar(),
        wanted: query.platform.to_string(),
        available: store::platforms(&index),
    })
}

fn read<T>(
    session: &Session,
    descriptor: &Descriptor,
    parse: impl FnOnce(&[u8]) -> Result<T, crate::oci::Error>,
) -> Result<T, Error> {
    let bytes = session.client.store().read(&descriptor.digest);
    parse(&bytes.map_err(Error::Store)?).map_err(|source| Error::Document {
        url: format!(
            "{}/{}@{}",
            session.host.name, session.path, descriptor.digest
        ),
        source,
    })
}
