//! Which images the target begins with or copies from.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use crate::build::Error;
use crate::build::PullPolicy;
use crate::build::Request;
use crate::build::local::Local;
use crate::build::source::Text;
use crate::dockerfile;
use crate::dockerfile::Base;
use crate::dockerfile::BaseSource;
use crate::dockerfile::Bases;
use crate::dockerfile::Dockerfile;
use crate::dockerfile::LayoutImage;
use crate::dockerfile::Wanted;
use crate::oci::Digest;
use crate::oci::Layer;
use crate::oci::Reference;
use crate::remote;
use crate::remote::Pull;
use crate::remote::Query;
use crate::store::Store;
use crate::store::StoredImage;

/// Where images are looked for.
type Where<'a> = (&'a Request, &'a Local, &'a Text);

/// What a name that a registry was asked about stands for there: an index, as a rule.
type Roots = BTreeMap<Reference, Digest>;

/// What is wanted of one name, for one platform or more.
type Group = Vec<Wanted>;

/// Resolves every image that the target needs on any platform. A base may have triggers that name
/// more images, so this asks until there is no more. What is wrong with the Dockerfile is left for
/// lowering to tell, with all that it warns of.
pub(super) fn resolve(
    dockerfile: &Dockerfile,
    platforms: &[dockerfile::Options],
    place: Where<'_>,
) -> Result<Bases, Error> {
    let mut bases = Bases::new();
    let mut roots = Roots::new();
    loop {
        let mut wanted: Vec<Wanted> = Vec::new();
        for options in platforms {
            let more = dockerfile::bases(dockerfile, options, &bases).unwrap_or_default();
            for more in more {
                let is_same =
                    |known: &Wanted| known.source == more.source && known.platform == more.platform;
                if !wanted.iter().any(is_same) {
                    wanted.push(more);
                }
            }
        }
        if wanted.is_empty() {
            return Ok(bases);
        }
        for (wanted, base) in resolve_all(wanted, &mut roots, place)? {
            bases.insert(&wanted, base);
        }
    }
}

/// Takes what the store has; asks registries for the rest, at the same time.
fn resolve_all(
    wanted: Vec<Wanted>,
    roots: &mut Roots,
    place: Where<'_>,
) -> Result<Vec<(Wanted, Base)>, Error> {
    let mut resolved = Vec::new();
    let mut unknown: BTreeMap<BaseSource, Group> = BTreeMap::new();
    for wanted in wanted {
        match find(&wanted, place)? {
            Some(base) => resolved.push((wanted, base)),
            None => unknown
                .entry(wanted.source.clone())
                .or_default()
                .push(wanted),
        }
    }
    if !unknown.is_empty() {
        let known: &Roots = roots;
        let asked = unknown.into_iter().map(|(source, group)| {
            let BaseSource::Reference(name) = source else {
                unreachable!("layouts are found without asking anybody")
            };
            ask(name, group, (known, place))
        });
        for (name, root, group) in place.1.wait(try_join_all(asked))?? {
            roots.insert(name, root);
            resolved.extend(group);
        }
    }
    Ok(resolved)
}

/// Finds an image without the network.
pub(super) fn find(
    wanted: &Wanted,
    (request, local, text): Where<'_>,
) -> Result<Option<Base>, Error> {
    let failed = |source| Error::Base {
        name: wanted.name.clone(),
        place: text.place(&wanted.span),
        source: Box::new(source),
    };
    match &wanted.source {
        BaseSource::Layout(layout) => {
            let image = import(layout, local, wanted).map_err(failed)?;
            base(wanted.name.clone(), image, None)
                .map(Some)
                .map_err(failed)
        }
        BaseSource::Reference(_) if request.pull == PullPolicy::Always => Ok(None),
        BaseSource::Reference(reference) => {
            let found = local.store.image(reference, &wanted.platform);
            // What is not whole is fetched again.
            let Ok(Some(image)) = found else {
                return Ok(None);
            };
            let name = full_name(reference, &image);
            base(name, image, Some(reference.clone()))
                .map(Some)
                .map_err(failed)
        }
    }
}

/// Asks what a name stands for, once: though it be moved meanwhile, the images of all platforms are
/// of one index.
async fn ask(
    name: Reference,
    group: Group,
    (roots, place): (&Roots, Where<'_>),
) -> Result<(Reference, Digest, Vec<(Wanted, Base)>), Error> {
    let (request, local, text) = place;
    let step = request
        .sink
        .step(&format!("[internal] load metadata for {name}"));
    step.started();
    let mut root = roots.get(&name).copied();
    let mut resolved = Vec::with_capacity(group.len());
    for wanted in group {
        let query = query(&name, root, (&wanted, request.pull));
        let found = remote::resolve(&local.client, &query).await;
        let made = found.map_err(BaseError::from).and_then(|found| {
            root = root.or(Some(found.root.digest));
            let full_name = full_name(&name, &found.image);
            base(full_name, found.image, Some(name.clone()))
        });
        match made {
            Ok(base) => resolved.push((wanted, base)),
            Err(source) => {
                step.failed(source.to_string());
                return Err(Error::Base {
                    name: wanted.name,
                    place: text.place(&wanted.span),
                    source: Box::new(source),
                });
            }
        }
    }
    step.done();
    let root = root.expect("nobody is asked for nothing");
    Ok((name, root, resolved))
}

/// Makes the question for one platform; once it is known what the name stands for, the question is
/// about that.
fn query(name: &Reference, root: Option<Digest>, (wanted, policy): (&Wanted, PullPolicy)) -> Query {
    let pull = match policy {
        PullPolicy::Missing => Pull::Missing,
        PullPolicy::Always => Pull::Always,
        PullPolicy::Never => Pull::Never,
    };
    let name = match root {
        Some(root) => name.with_digest(root),
        None => name.clone(),
    };
    Query {
        name,
        platform: wanted.platform.clone(),
        pull,
    }
}

/// Why an image could not be used.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// It could not be fetched.
    #[error(transparent)]
    Remote(#[from] remote::Error),
    /// It could not be read from the store or from a layout.
    #[error("cannot read it")]
    Store {
        /// Why not.
        #[from]
        source: crate::store::Error,
    },
    /// It is malformed.
    #[error("its documents contradict each other")]
    Image {
        /// How.
        #[from]
        source: crate::oci::Error,
    },
    /// It is no root filesystem of Linux.
    #[error("it is an image for {os}, and rbuild builds for Linux alone")]
    OtherSystem {
        /// The system that it is for.
        os: String,
    },
    /// A directory is no layout.
    #[error("{path:?} is no OCI image layout: it has no file oci-layout")]
    NoLayout {
        /// The directory.
        path: std::path::PathBuf,
    },
    /// A layout lacks a part of an image that it names.
    #[error("the layout {path:?} does not have all of the image")]
    Layout {
        /// The layout.
        path: std::path::PathBuf,
        /// What is missing.
        source: crate::store::Error,
    },
    /// A layout has no such image.
    #[error("the layout {path:?} has no image {wanted}")]
    NotInLayout {
        /// The layout.
        path: std::path::PathBuf,
        /// What was looked for.
        wanted: String,
    },
}

fn full_name(name: &Reference, image: &StoredImage) -> String {
    match name.digest() {
        Some(_) => name.to_string(),
        None => format!("{name}@{}", image.descriptor.digest),
    }
}

fn base(name: String, image: StoredImage, source: Option<Reference>) -> Result<Base, BaseError> {
    // Its layers hold no root filesystem, but folders that Windows makes one of.
    if image.config.os == "windows" {
        let os = image.config.os;
        return Err(BaseError::OtherSystem { os });
    }
    let layers = Layer::pair(&image.config, &image.manifest)?;
    Ok(Base {
        name,
        source,
        layers,
        config: image.config,
    })
}

/// Brings an image of a layout into the store, so that it is used like any other.
fn import(layout: &LayoutImage, local: &Local, wanted: &Wanted) -> Result<StoredImage, BaseError> {
    if !layout.path.join("oci-layout").is_file() {
        return Err(BaseError::NoLayout {
            path: layout.path.clone(),
        });
    }
    let from = Store::open(&layout.path)?;
    let matches = |entry: &&crate::oci::Descriptor| {
        let tag = entry.annotations.get("org.opencontainers.image.ref.name");
        match (&layout.digest, &layout.tag) {
            (Some(digest), _) => entry.digest == *digest,
            (None, Some(wanted)) => tag == Some(wanted),
            (None, None) => true,
        }
    };
    let entries: Vec<_> = from
        .images()?
        .into_iter()
        .map(|named| named.descriptor)
        .collect();
    let found = entries.iter().find(matches).cloned();
    let missing = || BaseError::NotInLayout {
        path: layout.path.clone(),
        wanted: match (&layout.digest, &layout.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "at all".to_owned(),
        },
    };
    let descriptor = found.ok_or_else(missing)?;
    let name: Reference = "layout".parse()?;
    let incomplete = |source| BaseError::Layout {
        path: layout.path.clone(),
        source,
    };
    let image = from.open_image(&name, descriptor, &wanted.platform);
    let image = image.map_err(incomplete)?;
    let documents = [&image.descriptor, &image.manifest.config];
    for blob in documents.into_iter().chain(&image.manifest.layers) {
        let copied = local.store.copy_from(&from, blob);
        copied.map_err(|source| match source {
            crate::store::Error::BlobMissing { .. } => incomplete(source),
            source => BaseError::Store { source },
        })?;
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::BaseError;
    use super::base;
    use crate::store::StoredImage;

    fn image(os: &str) -> StoredImage {
        let blob = json!({
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": format!("sha256:{}", "0".repeat(64)),
            "size": 2,
        });
        let manifest = json!({ "schemaVersion": 2, "config": blob, "layers": [] });
        let rootfs = json!({ "type": "layers", "diff_ids": [] });
        let config = json!({ "architecture": "amd64", "os": os, "config": {}, "rootfs": rootfs });
        StoredImage {
            descriptor: serde_json::from_value(blob).unwrap(),
            manifest: serde_json::from_value(manifest).unwrap(),
            config: serde_json::from_value(config).unwrap(),
        }
    }

    #[test]
    fn an_image_for_windows_is_no_base() {
        assert!(base("base".to_owned(), image("linux"), None).is_ok());
        let refused = base("base".to_owned(), image("windows"), None).unwrap_err();
        assert!(matches!(refused, BaseError::OtherSystem { .. }));
    }
}
