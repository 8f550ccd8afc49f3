//! Images to a registry: what it has not yet, and the manifest last.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future;
use reqwest::header::CONTENT_TYPE;

use crate::oci::Descriptor;
use crate::oci::Digest;
use crate::oci::Index;
use crate::oci::Manifest;
use crate::oci::Reference;
use crate::oci::media_type;
use crate::progress::Step;
use crate::remote::Client;
use crate::remote::Error;
use crate::remote::about;
use crate::remote::document;
use crate::remote::registries;
use crate::remote::session::Session;
use crate::remote::upload::send_blob;

/// Where an image goes, and where parts of it came from.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The name to push under. With a digest it is pushed without a tag.
    pub name: Reference,
    /// Repositories that have a blob: one in the same registry lends it, and a blob that is not
    /// in the store is fetched from there.
    pub sources: BTreeMap<Digest, Reference>,
}

/// Pushes the image or index that `root` describes, and gives its digest.
///
/// The layers and the config go first, at the same time, then the manifest: whoever pulls the name
/// meanwhile gets the old image or the new one, never half of one.
///
/// # Errors
/// [`Error::Push`] naming the part that could not be pushed, or [`Error::Store`].
pub async fn push(
    client: &Client,
    root: &Descriptor,
    destination: &Destination,
    step: &Step,
) -> Result<Digest, Error> {
    client.hold_store()?;
    let name = &destination.name;
    let session = open(client, name).await?;
    let tag = name.tag().filter(|_| name.digest().is_none());
    let identifier = tag.map_or_else(|| root.digest.to_string(), str::to_owned);
    if media_type::is_index(&root.media_type) {
        let index = read(&session, root, Index::parse)?;
        for manifest in &index.manifests {
            push_image(&session, manifest, destination, step).await?;
            put_manifest(&session, manifest, &manifest.digest.to_string())
                .await
                .map_err(|error| failed(error, "a manifest", name))?;
        }
    } else {
        push_image(&session, root, destination, step).await?;
    }
    put_manifest(&session, root, &identifier)
        .await
        .map_err(|error| failed(error, "the manifest", name))?;
    Ok(root.digest)
}

/// Pushes one layer, so that a build can send it while later ones are made.
///
/// # Errors
/// [`Error::Push`] or [`Error::Store`].
pub async fn push_blob(
    client: &Client,
    blob: &Descriptor,
    destination: &Destination,
    step: &Step,
) -> Result<(), Error> {
    client.hold_store()?;
    let session = open(client, &destination.name).await?;
    send_blob(&session, blob, destination, step).await
}

async fn open(client: &Client, name: &Reference) -> Result<Session, Error> {
    // A mirror is a copy; what is new goes to the registry itself.
    Session::open(client, &registries::origin(name), "pull,push").await
}

/// Pushes what a manifest names.
async fn push_image(
    session: &Session,
    manifest: &Descriptor,
    destination: &Destination,
    step: &Step,
) -> Result<(), Error> {
    let manifest = read(session, manifest, Manifest::parse)?;
    let own = |layer: &&Descriptor| !media_type::is_foreign_layer(&layer.media_type);
    let mut blobs: Vec<&Descriptor> = manifest.layers.iter().filter(own).collect();
    blobs.push(&manifest.config);
    // An empty layer may stand in a manifest many times.
    blobs.sort_unstable_by_key(|blob| blob.digest);
    blobs.dedup_by_key(|blob| blob.digest);
    let pushes = blobs
        .into_iter()
        .map(|blob| send_blob(session, blob, destination, step));
    future::try_join_all(pushes).await?;
    Ok(())
}

fn read<T>(
    session: &Session,
    descriptor: &Descriptor,
    parse: impl FnOnce(&[u8]) -> Result<T, crate::oci::Error>,
) -> Result<T, Error> {
    let store = session.client.store();
    let bytes = store.read(&descriptor.digest).map_err(Error::Store)?;
    parse(&bytes).map_err(|source| Error::Document {
        url: store.blob_path(&descriptor.digest).display().to_string(),
        source,
    })
}

/// Puts a manifest under a tag or its digest, unless it is there.
async fn put_manifest(
    session: &Session,
    manifest: &Descriptor,
    identifier: &str,
) -> Result<(), Error> {
    let is_there = || async {
        let digest = document::head_manifest(session, identifier).await;
        digest.is_ok_and(|digest| digest == Some(manifest.digest))
    };
    if is_there().await {
        return Ok(());
    }
    let bytes = session
        .client
        .store()
        .read(&manifest.digest)
        .map_err(Error::Store)?;
    let bytes = Bytes::from(bytes);
    let url = session.url(&format!("manifests/{identifier}"));
    let sent = session.send(|http| {
        http.put(url.clone())
            .header(CONTENT_TYPE, &manifest.media_type)
            .body(bytes.clone())
    });
    match sent.await {
        Ok(response) => match document::promised(response.headers()) {
            Some(actual) if actual != manifest.digest => Err(Error::Digest {
                url: about::printable(&url),
                expected: manifest.digest,
                actual,
            }),
            _ => Ok(()),
        },
        // Where tags are immutable, somebody may have been faster with the same image.
        Err(Error::Status {
            status: 400 | 409 | 412,
            ..
        }) if is_there().await => Ok(()),
        Err(error) => Err(error),
    }
}

/// Says what was to be pushed where.
pub(super) fn failed(error: Error, what: &str, name: &Reference) -> Error {
    if error.is_local() {
        return error;
    }
    Error::Push {
        what: what.to_owned(),
        reference: name.to_string(),
        source: Box::new(error),
    }
}
