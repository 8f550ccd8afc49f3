//! Why an image could not be written.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::store;

/// An image that could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A blob of the image could not be read.
    #[error("cannot read a blob of the image")]
    Blob {
        /// What the store says.
        #[source]
        source: store::Error,
    },
    /// A file or directory of a layout could not be written.
    #[error("cannot write {path:?}")]
    Write {
        /// Which.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// The archive could not be written.
    #[error("cannot write the archive")]
    Archive {
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// A blob does not fit in a tar entry.
    #[error("cannot name {name:?} in the archive")]
    Entry {
        /// The entry.
        name: String,
        /// What the archive's format says.
        #[source]
        source: io::Error,
    },
}
