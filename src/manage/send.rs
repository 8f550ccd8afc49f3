//! Images from the store to a registry.

use std::collections::BTreeMap;

use crate::manage::Error;
use crate::manage::Found;
use crate::manage::Listed;
use crate::oci::Descriptor;
use crate::oci::Digest;
use crate::oci::Index;
use crate::oci::Reference;
use crate::oci::media_type;
use crate::progress::Step;
use crate::remote;
use crate::remote::Client;
use crate::store::Store;

/// Sends an image from the store to a registry, and gives the digest it has there. Of an index what
/// is here is sent, and what is not is told: all of it as it is, several images with an index of
/// their own, one alone.
///
/// # Errors
/// [`Error::Remote`] or [`Error::Store`].
pub async fn push(
    client: &Client,
    (store, found): (&Store, &Found),
    name: &Reference,
    step: &Step,
) -> Result<Digest, Error> {
    let (root, left) = root(store, found)?;
    if !left.is_empty() {
        step.sink().warn(format!(
            "{} of the image are not here and are not pushed; `rbuild pull --platform` brings them",
            left.join(", ")
        ));
    }
    let destination = remote::Destination {
        name: name.clone(),
        sources: sources(found, name),
    };
    Ok(remote::push(client, &root, &destination, step).await?)
}

/// Gives what is pushed, and the platforms that are left out.
fn root(store: &Store, found: &Found) -> Result<(Descriptor, Vec<String>), Error> {
    let is_here = |listed: &&Listed| listed.image.is_some();
    let here: Vec<&Listed> = found.listed.iter().filter(is_here).collect();
    if here.len() == found.listed.len() {
        return Ok((found.root.clone(), Vec::new()));
    }
    let gone = found.listed.iter().filter(|listed| !is_here(listed));
    let gone = gone.filter_map(|listed| Some(listed.entry.platform.as_ref()?.to_string()));
    // What is attached to an image, like a signature, is for a platform of this name.
    let left = gone.filter(|platform| platform != "unknown/unknown");
    let root = match here.as_slice() {
        [] => found.image.descriptor.clone(),
        [one] => one.entry.clone(),
        several => {
            let entries = several.iter().map(|listed| listed.entry.clone());
            let index = Index::new(entries.collect()).to_bytes();
            store.share()?;
            store.put(media_type::INDEX, &index)?
        }
    };
    Ok((root, left.collect()))
}

/// Says where layers come from that were never needed here: from where the image came from.
fn sources(found: &Found, name: &Reference) -> BTreeMap<Digest, Reference> {
    let Some(origin) = found.names.iter().find(|origin| *origin != name) else {
        return BTreeMap::new();
    };
    let listed = found.listed.iter().filter_map(|one| one.image.as_ref());
    let images = listed.chain([&found.image]);
    let layers = images.flat_map(|image| &image.manifest.layers);
    layers.map(|layer| (layer.digest, origin.clone())).collect()
}
