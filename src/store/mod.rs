//! Blobs by digest, and images by name; on disk, an OCI image layout that other tools can read.
//!
//! ```text
//! <root>/oci-layout            the marker of a layout
//! <root>/index.json            the images: name to descriptor
//! <root>/blobs/sha256/<hex>    manifests, configs, layers
//! <root>/locations/<hex>       which repositories have a blob, as far as was seen
//! <root>/notes/<name>          what layers consist of, for those that come after them
//! <root>/tmp/                  what is being written, and what processes claim
//! <root>/lock                  shared while something is claimed, exclusive while pruning
//! <root>/index.lock            exclusive while the index is rewritten
//! ```
//!
//! Several processes work on one store at the same time. A file appears complete or not at all
//! (temporary file, fsync, rename), so that a killed process leaves only garbage in `tmp`. Blobs
//! are verified when they are written and again when they are read.
//!
//! The store knows nothing of the network, of cache records or of what a layer holds. Start
//! reading at [`Store`]; `blob.rs` reads and writes one blob, `images.rs` keeps the names.

mod blob;
mod error;
mod file;
mod gc;
mod ids;
mod images;
mod locations;
mod lock;
mod notes;

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use crate::sys::file::make_private_dir;
use crate::sys::lease::Lease;

pub use blob::BlobReader;
pub use blob::BlobWriter;
pub use error::Error;
pub use gc::Pruned;
pub use gc::Usage;
pub use images::Named;
pub use images::StoredImage;
pub(crate) use images::platforms;
pub use lock::Pruning;

/// How many bytes a manifest, index or config may have that is read from the store, whatever was
/// allowed when it came.
pub const DOCUMENT_LIMIT_BYTES: u64 = 64 << 20;

const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// An OCI image layout with its locks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    /// What this process claims; its clones claim the same.
    lease: Arc<OnceLock<Arc<Lease>>>,
}

impl Store {
    /// Opens the store at `root` and makes it if there is none. Costs one read of a small file.
    ///
    /// # Errors
    /// [`Error::Open`] if it can be neither read nor made, [`Error::Version`] if it is a layout
    /// of another version.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let store = Self {
            root: root.to_owned(),
            lease: Arc::default(),
        };
        let marker = root.join("oci-layout");
        match file::read(&marker) {
            Ok(bytes) => check_version(&marker, &bytes)?,
            Err(source) if source.kind() == io::ErrorKind::NotFound => store.create()?,
            Err(source) => {
                return Err(Error::Open {
                    path: marker,
                    source,
                });
            }
        }
        Ok(store)
    }

    /// Gives the directory of the store.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the directories, then the index, then the marker: a store with a marker is whole.
    fn create(&self) -> Result<(), Error> {
        for folder in ["", "blobs/sha256", "tmp"] {
            let path = self.root.join(folder);
            // Nobody else may read it: a base image holds setuid programs and a layer may hold
            // anything. As the root may have been there before, open to all, this holds for each
            // folder in it, whoever makes it.
            make_private_dir(&path).map_err(|source| Error::Open { path, source })?;
        }
        self.create_index()?;
        // Pruning removes temporary files, but for those of whoever has this lock.
        let _lock = self.lock_index()?;
        file::replace(self, &self.root.join("oci-layout"), LAYOUT.as_bytes())
    }

    fn temporary_folder(&self) -> PathBuf {
        self.root.join("tmp")
    }
}

fn check_version(marker: &Path, bytes: &[u8]) -> Result<(), Error> {
    let layout: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let version = layout
        .as_ref()
        .and_then(|value| value.get("imageLayoutVersion"));
    if version.and_then(serde_json::Value::as_str) == Some("1.0.0") {
        return Ok(());
    }
    Err(Error::Version {
        path: marker.to_owned(),
    })
}
