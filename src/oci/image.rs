//! An image as bytes: its config and manifest, and the layers they name.

use crate::oci::Descriptor;
use crate::oci::DiffId;
use crate::oci::Error;
use crate::oci::ImageConfig;
use crate::oci::Manifest;
use crate::oci::media_type;

/// A layer: the tar it holds, and the blob it is stored as.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Layer {
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// The blob.
    pub blob: Descriptor,
}

impl Layer {
    /// Pairs the diff ids of `config` with the layer blobs of `manifest`, lowest first.
    ///
    /// # Errors
    /// [`Error::LayerCount`] if they are not equally many.
    pub fn pair(config: &ImageConfig, manifest: &Manifest) -> Result<Vec<Self>, Error> {
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            return Err(Error::LayerCount {
                config: diff_ids.len(),
                manifest: manifest.layers.len(),
            });
        }
        let pairs = diff_ids.iter().zip(&manifest.layers);
        Ok(pairs
            .map(|(&diff_id, blob)| Self {
                diff_id,
                blob: blob.clone(),
            })
            .collect())
    }
}

/// An image of one platform, ready to be stored: bytes with their digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The manifest's descriptor; its digest is the image's.
    pub descriptor: Descriptor,
    /// The config's bytes.
    pub config: Vec<u8>,
    /// The config's descriptor; its digest is what docker calls the image id.
    pub config_descriptor: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
}

impl Image {
    /// Makes an image of `config` and `layers`: same inputs, same bytes.
    ///
    /// The config's diff ids are replaced by those of the layers. A manifest has one family of
    /// media types (BuildKit does the same): docker's layer types of a base become OCI's, which
    /// are other names for equal bytes.
    #[must_use]
    pub fn assemble(mut config: ImageConfig, mut layers: Vec<Layer>) -> Self {
        config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id).collect();
        for layer in &mut layers {
            layer.blob.media_type = oci_layer_type(&layer.blob.media_type).to_owned();
            layer.blob.annotations.clear();
        }
        let config_bytes = config.to_bytes();
        let config_descriptor = Descriptor::of(media_type::CONFIG, &config_bytes);
        let manifest = Manifest {
            schema_version: 2,
            media_type: media_type::MANIFEST.to_owned(),
            config: config_descriptor.clone(),
            layers: layers.iter().map(|layer| layer.blob.clone()).collect(),
            annotations: std::collections::BTreeMap::new(),
        };
        let manifest_bytes = manifest.to_bytes();
        let mut descriptor = Descriptor::of(media_type::MANIFEST, &manifest_bytes);
        descriptor.platform = Some(config.platform());
        Self {
            manifest: manifest_bytes,
            descriptor,
            config: config_bytes,
            config_descriptor,
            layers,
        }
    }
}

fn oci_layer_type(text: &str) -> &str {
    match text {
        media_type::DOCKER_LAYER => media_type::LAYER,
        media_type::DOCKER_LAYER_GZIP => media_type::LAYER_GZIP,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::Image;
    use super::Layer;
    use crate::oci::Descriptor;
    use crate::oci::DiffId;
    use crate::oci::Digest;
    use crate::oci::ImageConfig;
    use crate::oci::Manifest;
    use crate::oci::Platform;
    use crate::oci::media_type;

    #[test]
    fn same_inputs_make_same_bytes_that_pair_again() {
        let layer = Layer {
            diff_id: DiffId(Digest::of(b"tar")),
            blob: Descriptor::of(media_type::DOCKER_LAYER_GZIP, b"gzip"),
        };
        let config = ImageConfig::scratch(&Platform::host());
        let image = Image::assemble(config.clone(), vec![layer.clone()]);
        assert_eq!(image, Image::assemble(config, vec![layer]));
        let manifest = Manifest::parse(&image.manifest).unwrap();
        let config = ImageConfig::parse(&image.config).unwrap();
        assert_eq!(Layer::pair(&config, &manifest).unwrap(), image.layers);
        assert_eq!(manifest.layers[0].media_type, media_type::LAYER_GZIP);
        assert!(Layer::pair(&ImageConfig::default(), &manifest).is_err());
    }

    #[test]
    fn an_image_without_layers_is_an_image() {
        let image = Image::assemble(ImageConfig::scratch(&Platform::host()), Vec::new());
        let text = String::from_utf8(image.config).unwrap();
        assert!(
            text.contains(r#""rootfs":{"type":"layers","diff_ids":[]}"#),
            "{text}"
        );
    }
}
