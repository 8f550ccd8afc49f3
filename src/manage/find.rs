//! Finding an image by what a user calls it.

use std::path::Path;

use crate::manage::Error;
use crate::oci::Descriptor;
use crate::oci::Digest;
use crate::oci::ImageConfig;
use crate::oci::Index;
use crate::oci::Platform;
use crate::oci::Reference;
use crate::oci::media_type;
use crate::store;
use crate::store::Store;
use crate::store::StoredImage;

/// Which image is meant, where there may be several of one name.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// That for this platform, and no other.
    Only(&'a Platform),
    /// That for this platform, or else the first that is here.
    Preferably(&'a Platform),
}

/// An image that was found by what a user called it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// All its names.
    pub names: Vec<Reference>,
    /// What the names stand for: an index or the manifest itself.
    pub root: Descriptor,
    /// The documents of the image that was meant.
    pub image: StoredImage,
    /// What the index lists, and whether its documents are here; nothing without an index.
    pub listed: Vec<Listed>,
}

/// An entry of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its manifest, with its platform.
    pub entry: Descriptor,
    /// The image, if its documents are here.
    pub image: Option<StoredImage>,
}

/// Finds an image by name, digest, or the beginning of an id.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Name`] if it could be neither name nor id, [`Error::Platform`] if
/// it is for another platform, [`Error::Absent`] if only others of its index are here, or
/// [`Error::Store`].
pub fn find(root: &Path, text: &str, which: Which<'_>) -> Result<Found, Error> {
    let store = Store::open(root)?;
    let (root, name) = locate(&store, text)?;
    let listed = listed(&store, &root)?;
    let image = open(&store, (&name, &root), &listed, which)?;
    let mut names = names_of(&store, &[root.digest])?;
    if let Some(place) = names.iter().position(|other| *other == name) {
        // The name it was asked for by comes first.
        names.swap(0, place);
    }
    Ok(Found {
        names,
        root,
        image,
        listed,
    })
}

fn open(
    store: &Store,
    (name, root): (&Reference, &Descriptor),
    listed: &[Listed],
    which: Which<'_>,
) -> Result<StoredImage, Error> {
    let (Which::Only(platform) | Which::Preferably(platform)) = which;
    let opened = store.open_image(name, root.clone(), platform);
    let why = |error| match error {
        // A pull brings of an index only what was asked for.
        store::Error::BlobMissing { .. } if !listed.is_empty() => Error::Absent {
            name: name.familiar(),
            wanted: platform.to_string(),
        },
        error => Error::Store(error),
    };
    match (which, opened) {
        (Which::Only(wanted), Ok(image)) if !serves(&image.config, wanted) => {
            Err(Error::Platform {
                name: name.familiar(),
                found: image.config.platform().to_string(),
                wanted: wanted.to_string(),
            })
        }
        (
            Which::Preferably(_),
            Err(error @ (store::Error::Platform { .. } | store::Error::BlobMissing { .. })),
        ) => {
            let here = listed.iter().find_map(|listed| listed.image.clone());
            here.ok_or_else(|| why(error))
        }
        (_, opened) => opened.map_err(why),
    }
}

/// Says whether a machine that asks for `wanted` takes the image. One that does not say what it is
/// for is for any.
fn serves(config: &ImageConfig, wanted: &Platform) -> bool {
    config.os.is_empty()
        || config.architecture.is_empty()
        || config.platform().distance(wanted).is_some()
}

/// Lists the images of an index; what is attached to them is none.
pub(super) fn listed(store: &Store, root: &Descriptor) -> Result<Vec<Listed>, Error> {
    if !media_type::is_index(&root.media_type) {
        return Ok(Vec::new());
    }
    let bytes = store.read(&root.digest)?;
    // One that cannot be understood lists nothing that anybody could use.
    let index = Index::parse(&bytes).unwrap_or_else(|_| Index::new(Vec::new()));
    let images = index.manifests.into_iter().map(|entry| {
        let image = store.open_image(&nameless(), entry.clone(), &Platform::host());
        Listed {
            image: image.ok(),
            entry,
        }
    });
    Ok(images.collect())
}

/// Gives what `text` stands for and a name for it in messages.
pub(super) fn locate(store: &Store, text: &str) -> Result<(Descriptor, Reference), Error> {
    let (name, mut found) = search(store, text)?;
    Ok((found.swap_remove(0), name))
}

/// Gives the digests of all that `text` stands for, which are several if it is the id of an image
/// that several indexes list, and a name for it in messages.
pub(super) fn locate_all(store: &Store, text: &str) -> Result<(Vec<Digest>, Reference), Error> {
    let (name, found) = search(store, text)?;
    let mut roots = Vec::new();
    for root in found {
        if !roots.contains(&root.digest) {
            roots.push(root.digest);
        }
    }
    Ok((roots, name))
}

/// Looks for `text`, and gives at least one root. A name wins over an id, as with docker: an image
/// may be called `cafe`.
fn search(store: &Store, text: &str) -> Result<(Reference, Vec<Descriptor>), Error> {
    let name = text.parse::<Reference>();
    if let Ok(name) = &name
        && let Some(root) = store.find(name)?
    {
        return Ok((name.clone(), vec![root]));
    }
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let may_be_id = hex.len() >= 4 && hex.bytes().all(|letter| letter.is_ascii_hexdigit());
    let found = match may_be_id {
        true => store.find_id(text)?,
        false => Vec::new(),
    };
    if let Some(first) = found.first() {
        let name = first.name.clone().unwrap_or_else(nameless);
        let roots = found.into_iter().map(|image| image.descriptor);
        return Ok((name, roots.collect()));
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

/// Gives all names of what has one of the digests.
pub(super) fn names_of(store: &Store, digests: &[Digest]) -> Result<Vec<Reference>, Error> {
    let images = store.images()?.into_iter();
    let same = images.filter(|image| digests.contains(&image.descriptor.digest));
    Ok(same.filter_map(|image| image.name).collect())
}

/// Stands where a name is only for messages.
pub(super) fn nameless() -> Reference {
    "nameless".parse().expect("a lower-case word is a name")
}
