//! What a build makes: an image, or those of several platforms with the index that lists them.

use crate::oci::Descriptor;
use crate::oci::Image;
use crate::oci::Index;
use crate::oci::Platform;
use crate::oci::media_type;

/// One image, or one for each platform with their index; ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSet {
    images: Vec<(Platform, Image)>,
    /// The index's bytes with their descriptor.
    index: Option<(Descriptor, Vec<u8>)>,
}

impl ImageSet {
    /// Takes an image that stands for itself.
    #[must_use]
    pub fn of_one(platform: Platform, image: Image) -> Self {
        Self {
            images: vec![(platform, image)],
            index: None,
        }
    }

    /// Makes the index of `images`, in their order. An entry says for which platform it was asked,
    /// whatever the image's config says.
    #[must_use]
    pub fn with_index(images: Vec<(Platform, Image)>) -> Self {
        let entries = images.iter().map(|(platform, image)| Descriptor {
            platform: Some(platform.clone()),
            ..image.descriptor.clone()
        });
        let bytes = Index::new(entries.collect()).to_bytes();
        let descriptor = Descriptor::of(media_type::INDEX, &bytes);
        Self {
            images,
            index: Some((descriptor, bytes)),
        }
    }

    /// Gives what a name of the set stands for: the index, or the manifest if there is none.
    #[must_use]
    pub fn root(&self) -> &Descriptor {
        match &self.index {
            Some((descriptor, _)) => descriptor,
            None => &self.images[0].1.descriptor,
        }
    }

    /// Gives the images with their platforms.
    #[must_use]
    pub fn images(&self) -> &[(Platform, Image)] {
        &self.images
    }

    /// Gives the image, if it stands for itself.
    #[must_use]
    pub fn single(&self) -> Option<&Image> {
        match self.index {
            Some(_) => None,
            None => self.images.first().map(|(_, image)| image),
        }
    }

    /// Gives the documents that are stored, what names others after what it names.
    pub fn documents(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let images = self.images.iter().flat_map(|(_, image)| {
            [
                (media_type::CONFIG, image.config.as_slice()),
                (media_type::MANIFEST, image.manifest.as_slice()),
            ]
        });
        let index = self.index.iter();
        images.chain(index.map(|(_, bytes)| (media_type::INDEX, bytes.as_slice())))
    }

    /// Lists all blobs, each once: the index, and of each image manifest, config, layers.
    #[must_use]
    pub fn blobs(&self) -> Vec<Descriptor> {
        let index = self.index.iter().map(|(descriptor, _)| descriptor);
        let images = self.images.iter().flat_map(|(_, image)| {
            let documents = [&image.descriptor, &image.config_descriptor];
            let layers = image.layers.iter().map(|layer| &layer.blob);
            documents.into_iter().chain(layers)
        });
        let mut seen = std::collections::HashSet::new();
        let blobs = index.chain(images);
        blobs
            .filter(|blob| seen.insert(blob.digest))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::ImageSet;
    use crate::oci::Descriptor;
    use crate::oci::DiffId;
    use crate::oci::Digest;
    use crate::oci::Image;
    use crate::oci::ImageConfig;
    use crate::oci::Index;
    use crate::oci::Layer;
    use crate::oci::Platform;
    use crate::oci::media_type;

    fn image(platform: &str) -> (Platform, Image) {
        let platform: Platform = platform.parse().unwrap();
        let layer = Layer {
            diff_id: DiffId(Digest::of(b"tar")),
            blob: Descriptor::of(media_type::LAYER_GZIP, b"gzip"),
        };
        let config = ImageConfig::scratch(&platform);
        (platform, Image::assemble(config, vec![layer]))
    }

    #[test]
    fn a_name_stands_for_the_index_where_there_is_one() {
        let (platform, one) = image("linux/amd64");
        let single = ImageSet::of_one(platform, one.clone());
        assert_eq!(single.root(), &one.descriptor);
        assert_eq!(single.single(), Some(&one));
        let index = ImageSet::with_index(vec![image("linux/amd64")]);
        assert_eq!(index.root().media_type, media_type::INDEX);
        assert_eq!(index.single(), None);
    }

    #[test]
    fn an_index_lists_its_images_and_comes_behind_them() {
        let set = ImageSet::with_index(vec![image("linux/amd64"), image("linux/arm/v7")]);
        let documents: Vec<_> = set.documents().collect();
        let (kind, bytes) = documents[4];
        assert_eq!((documents.len(), kind), (5, media_type::INDEX));
        let index = Index::parse(bytes).unwrap();
        let platforms = index.manifests.iter().map(|entry| entry.platform.as_ref());
        let platforms: Vec<_> = platforms.map(|found| found.unwrap().to_string()).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm/v7"]);
        // The layer that both have is one blob.
        assert_eq!(set.blobs().len(), 1 + 2 * 2 + 1);
    }
}
