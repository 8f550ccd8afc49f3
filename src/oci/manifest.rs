//! Descriptors, manifests and indexes (image-spec), also in docker's media types.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::oci::Digest;
use crate::oci::Error;
use crate::oci::Platform;

/// The media types rbuild reads or writes.
pub mod media_type {
    /// An OCI image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// An OCI image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI image config.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// A layer: a tar.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// A layer: a tar in gzip.
    pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A layer: a tar in zstd.
    pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker's manifest list, an index.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's schema 2 manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's image config.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// Docker's layer: a tar.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    /// Docker's layer: a tar in gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

    /// Says whether `text` is an index in OCI's or docker's form.
    #[must_use]
    pub fn is_index(text: &str) -> bool {
        matches!(text, INDEX | DOCKER_INDEX)
    }

    /// Says whether `text` is a manifest in OCI's or docker's form.
    #[must_use]
    pub fn is_manifest(text: &str) -> bool {
        matches!(text, MANIFEST | DOCKER_MANIFEST)
    }

    /// Says whether a layer of type `text` is fetched from its own URLs and never pushed.
    #[must_use]
    pub fn is_foreign_layer(text: &str) -> bool {
        text.contains(".nondistributable.") || text.contains(".foreign.")
    }
}

/// Points at a blob (image-spec, descriptor).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Descriptor {
    /// What the blob is; see [`media_type`].
    #[serde(rename = "mediaType", default)]
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// Where else it can be fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free text by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// For an entry of an index: the platform of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// Describes a blob by type, digest and size.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    /// Describes `bytes`.
    #[must_use]
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }
}

/// An image manifest (image-spec, manifest), OCI or docker schema 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always 2.
    #[serde(rename = "schemaVersion")]
    pub schema_version: u32,
    /// The manifest's own type.
    #[serde(
        rename = "mediaType",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub media_type: String,
    /// The image config.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// Free text by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads a manifest from its bytes.
    ///
    /// # Errors
    /// [`Error::Document`] if the bytes are no manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let document = |source| Error::Document {
            what: "manifest",
            source,
        };
        serde_json::from_slice(bytes).map_err(document)
    }

    /// Gives the bytes that are stored and digested.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a manifest has only string keys")
    }
}

/// An image index (image-spec, image-index), or docker's manifest list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Always 2.
    #[serde(rename = "schemaVersion")]
    pub schema_version: u32,
    /// The index's own type.
    #[serde(
        rename = "mediaType",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub media_type: String,
    /// The images.
    pub manifests: Vec<Descriptor>,
    /// Free text by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// How deep an image may lie: an index may list indexes (image-spec, image-index), but nobody
    /// nests more of them.
    pub const DEPTH_MAX: usize = 3;

    /// Makes an index of `manifests`.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: media_type::INDEX.to_owned(),
            manifests,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads an index from its bytes.
    ///
    /// # Errors
    /// [`Error::Document`] if the bytes are no index.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let document = |source| Error::Document {
            what: "index",
            source,
        };
        serde_json::from_slice(bytes).map_err(document)
    }

    /// Gives the bytes that are stored and digested.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an index has only string keys")
    }

    /// Picks the image that serves `wanted` best: the nearest variant, then the first listed.
    /// Entries without platform serve only where nothing else does; attestations never do.
    #[must_use]
    pub fn select(&self, wanted: &Platform) -> Option<&Descriptor> {
        let matching = self.manifests.iter().filter_map(|descriptor| {
            let distance = descriptor.platform.as_ref()?.distance(wanted)?;
            Some((distance, descriptor))
        });
        let best = matching
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, descriptor)| descriptor);
        best.or_else(|| {
            self.manifests
                .iter()
                .find(|descriptor| descriptor.platform.is_none())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Descriptor;
    use super::Index;
    use super::Manifest;
    use super::media_type;
    use crate::oci::Platform;

    fn image(platform: Option<&str>, content: &str) -> Descriptor {
        let mut descriptor = Descriptor::of(media_type::MANIFEST, content.as_bytes());
        descriptor.platform = platform.map(|text| text.parse().unwrap());
        descriptor
    }

    #[test]
    fn selects_by_platform() {
        let arm = image(Some("linux/arm64"), "arm");
        let amd = image(Some("linux/amd64"), "amd");
        let mut attestation = image(None, "attestation");
        attestation.platform = Some(Platform::new("unknown", "unknown", None));
        let index = Index::new(vec![attestation, arm, amd.clone()]);
        assert_eq!(index.select(&"linux/amd64".parse().unwrap()), Some(&amd));
        assert_eq!(index.select(&"linux/s390x".parse().unwrap()), None);
        let bare = image(None, "bare");
        assert_eq!(
            Index::new(vec![bare.clone()]).select(&Platform::host()),
            Some(&bare)
        );
    }

    #[test]
    fn what_is_written_is_what_the_specification_reads() {
        let manifest = Manifest {
            schema_version: 2,
            media_type: media_type::MANIFEST.to_owned(),
            config: Descriptor::of(media_type::CONFIG, b"{}"),
            layers: vec![Descriptor::of(media_type::LAYER_GZIP, b"x")],
            annotations: [
                ("b".to_owned(), "2".to_owned()),
                ("a".to_owned(), "1".to_owned()),
            ]
            .into(),
        };
        let bytes = manifest.to_bytes();
        let read = oci_spec::image::ImageManifest::from_reader(bytes.as_slice()).unwrap();
        assert_eq!(read.layers()[0].size(), 1);
        assert_eq!(
            read.config().digest().to_string(),
            manifest.config.digest.to_string()
        );
        assert_eq!(Manifest::parse(&bytes).unwrap(), manifest);
        assert!(Manifest::parse(b"{\"schemaVersion\": 2}").is_err());
    }
}
