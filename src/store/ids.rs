//! Looking an image up by its id, or the beginning of it.

use std::collections::BTreeSet;

use crate::oci::Descriptor;
use crate::oci::Digest;
use crate::oci::Index;
use crate::oci::Manifest;
use crate::oci::media_type;
use crate::store::Error;
use crate::store::Named;
use crate::store::Store;

/// An id that begins as was asked for.
struct Hit {
    id: Digest,
    image: Named,
    /// Whether the image is called so itself, and does not merely list what is.
    is_own: bool,
}

impl Store {
    /// Gives the images whose id begins with `prefix`: an id is the digest of the manifest or
    /// that of the config, with or without `sha256:`. An index has also the ids of what it lists,
    /// as long as nothing else is called so: who names an image does not mean what it is part of.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] if it is the beginning of different ids, and as [`Store::images`].
    pub fn find_id(&self, prefix: &str) -> Result<Vec<Named>, Error> {
        let hex = prefix.strip_prefix("sha256:").unwrap_or(prefix);
        if hex.is_empty() {
            return Ok(Vec::new());
        }
        let mut hits = self.hits(hex)?;
        let own = hits.iter().filter(|hit| hit.is_own);
        let own: BTreeSet<Digest> = own.map(|hit| hit.id).collect();
        hits.retain(|hit| hit.is_own || !own.contains(&hit.id));
        let ids: BTreeSet<Digest> = hits.iter().map(|hit| hit.id).collect();
        let roots = hits.iter().map(|hit| hit.image.descriptor.digest);
        if ids.len() > 1 && roots.collect::<BTreeSet<_>>().len() > 1 {
            let candidates: Vec<String> = ids.iter().map(Digest::to_string).collect();
            return Err(Error::Ambiguous {
                prefix: prefix.to_owned(),
                candidates: candidates.join(", "),
            });
        }
        let mut found: Vec<Named> = hits.into_iter().map(|hit| hit.image).collect();
        found.dedup();
        Ok(found)
    }

    /// Gives all ids that begin with `hex`.
    fn hits(&self, hex: &str) -> Result<Vec<Hit>, Error> {
        let mut hits = Vec::new();
        for image in self.images()? {
            let root = &image.descriptor;
            let own = self.with_config(root.digest).into_iter();
            let own = own.map(|id| (id, true));
            let listed = self.listed(root).into_iter();
            let listed = listed.flat_map(|id| self.with_config(id));
            let ids = own.chain(listed.map(|id| (id, false)));
            hits.extend(
                ids.filter(|(id, _)| id.hex().starts_with(hex))
                    .map(|(id, is_own)| Hit {
                        id,
                        image: image.clone(),
                        is_own,
                    }),
            );
        }
        Ok(hits)
    }

    /// Gives both ids of a manifest, as far as its documents are here.
    fn with_config(&self, manifest: Digest) -> Vec<Digest> {
        let parsed = self.parse(&manifest, Manifest::parse).ok();
        let config = parsed.map(|parsed| parsed.config.digest);
        [manifest].into_iter().chain(config).collect()
    }

    /// Gives what an index lists; of all else, nothing.
    fn listed(&self, root: &Descriptor) -> Vec<Digest> {
        if !media_type::is_index(&root.media_type) {
            return Vec::new();
        }
        let index = self.parse(&root.digest, Index::parse);
        let entries = index.map(|index| index.manifests).unwrap_or_default();
        entries.iter().map(|entry| entry.digest).collect()
    }
}
