//! What can go wrong between a directory and a layer blob.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::oci::DiffId;
use crate::sys;

/// A change set that cannot be packed, or a blob that cannot be unpacked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused to show a file of the change set or of what is below it.
    #[error("cannot read {path:?}")]
    Inspect {
        /// The file's path inside the root file system.
        path: PathBuf,
        /// The call that failed.
        #[source]
        source: sys::Error,
    },
    /// A file's content cannot be read.
    #[error("cannot read {path:?}")]
    Read {
        /// The file's path inside the root file system.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file grew or shrank while it was packed.
    #[error("{path:?} changed while it was read: it had {size} bytes")]
    Changed {
        /// The file's path inside the root file system.
        path: PathBuf,
        /// The size it had when the reading began.
        size: u64,
    },
    /// A directory that overlayfs renamed or a file it copied only half: the change set is not
    /// complete by itself.
    #[error("{path:?} has {attribute}: mount overlayfs with redirect_dir=off,metacopy=off")]
    Incomplete {
        /// The file's path inside the root file system.
        path: PathBuf,
        /// The attribute that tells.
        attribute: &'static str,
    },
    /// The blob cannot be written.
    #[error("cannot write the layer")]
    WriteBlob {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The blob cannot be read or decompressed.
    #[error("cannot read the archive after {entries} entries")]
    ReadBlob {
        /// How many entries came before.
        entries: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The tar breaks the format, or asks for what no archive should.
    #[error("invalid archive: {reason}, in entry {entry} {path:?}")]
    Archive {
        /// Which entry, counted from 1.
        entry: u64,
        /// Its path, as far as it is known.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// The tar is larger than allowed.
    #[error("the archive has more than {limit} {what}")]
    Limit {
        /// What it has too much of: "entries" or "bytes".
        what: &'static str,
        /// How many are allowed.
        limit: u64,
    },
    /// The kernel refused to make what an entry asks for.
    #[error("cannot extract {path:?}")]
    Extract {
        /// The entry's path.
        path: PathBuf,
        /// The call that failed.
        #[source]
        source: sys::Error,
    },
    /// A file's content cannot be written, for instance because the disk is full.
    #[error("cannot write {path:?}")]
    Write {
        /// The entry's path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A hard link leads to nothing that came before it.
    #[error("{path:?} is a hard link to {target:?}, which is no file of the archive")]
    LinkTarget {
        /// The entry's path.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// The blob holds another tar than its image says.
    #[error("the layer's diff id is {found}, not {expected}")]
    DiffId {
        /// What the image says.
        expected: DiffId,
        /// What the blob holds.
        found: DiffId,
    },
}

/// What every function of this room returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Says whether what an archive holds is to blame, not the machine.
    #[must_use]
    pub fn is_archives(&self) -> bool {
        matches!(
            self,
            Self::ReadBlob { .. }
                | Self::Archive { .. }
                | Self::Limit { .. }
                | Self::LinkTarget { .. }
        )
    }
}
