//! What can go wrong in the store.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::oci;
use crate::oci::Digest;

/// Why the store could not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The store's directory could not be made or read.
    #[error("cannot open the store at {}", path.display())]
    Open {
        /// The file or directory at fault.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The directory holds a layout of another version.
    #[error("{} is not an OCI image layout of version 1.0.0", path.display())]
    Version {
        /// The `oci-layout` file.
        path: PathBuf,
    },
    /// A file of the store could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A file of the store could not be written; what was there before still is.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A file of the store could not be removed.
    #[error("cannot remove {}", path.display())]
    Remove {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A lock could not be taken.
    #[error("cannot lock {}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A blob is not in the store.
    #[error("blob {digest} is not in the store")]
    BlobMissing {
        /// Which.
        digest: Digest,
    },
    /// The bytes of a blob are not those its name promises.
    #[error("blob {expected} is damaged: its bytes digest to {actual}")]
    BlobDigest {
        /// What was promised.
        expected: Digest,
        /// What was found.
        actual: Digest,
    },
    /// A blob has another size than its descriptor promises.
    #[error("blob {digest} has {actual} bytes where its descriptor says {expected}")]
    BlobSize {
        /// Which.
        digest: Digest,
        /// What was promised.
        expected: u64,
        /// What was found; for a stream that was cut off, at least so many.
        actual: u64,
    },
    /// A document that must be held in memory is too large for that.
    #[error(
        "blob {digest} has {size_bytes} bytes, more than the {limit_bytes} a document may have"
    )]
    BlobLimit {
        /// Which.
        digest: Digest,
        /// How many it has.
        size_bytes: u64,
        /// How many it may have.
        limit_bytes: u64,
    },
    /// A stored document is not what its place promises.
    #[error("cannot understand {}", path.display())]
    Document {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: oci::Error,
    },
    /// An image has no variant for a platform.
    #[error("image {name} has no variant for {wanted}; it has {available}")]
    Platform {
        /// The image.
        name: String,
        /// What was asked for.
        wanted: String,
        /// What there is, separated by commas.
        available: String,
    },
    /// An index lists an index, which lists another, and so on.
    #[error(
        "the image {name} is an index nested more than {} deep",
        oci::Index::DEPTH_MAX
    )]
    Nested {
        /// The image.
        name: String,
    },
    /// What was given is the beginning of several ids.
    #[error("{prefix:?} is the beginning of several images' ids: {candidates}")]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// The ids it fits, separated by commas.
        candidates: String,
    },
}
