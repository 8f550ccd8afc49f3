//! What can go wrong with snapshots.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::layer;
use crate::snapshot::SnapshotId;
use crate::sys;

/// A snapshot that cannot be made, found, mounted or removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A text is no name of a snapshot.
    #[error("invalid snapshot name {text:?}: expected up to 128 of a-z, 0-9, - and _")]
    Id {
        /// What was given.
        text: String,
    },
    /// The snapshots have a form that this process does not read as it is meant.
    #[error("the snapshots in {path:?} were made with {rights} rights than this process has")]
    Form {
        /// Where they are.
        path: PathBuf,
        /// "more" or "fewer".
        rights: &'static str,
    },
    /// Files of the snapshots belong to users that this process does not know, or knows as others.
    #[error(
        "the files of the snapshots in {path:?} belong to other users than this process may be"
    )]
    Owners {
        /// Where they are.
        path: PathBuf,
    },
    /// There is no snapshot of this name.
    #[error("no snapshot {id}")]
    Missing {
        /// The name.
        id: SnapshotId,
    },
    /// A snapshot cannot be removed while something is mounted on it.
    #[error("snapshot {id} is in use")]
    InUse {
        /// Its name.
        id: SnapshotId,
    },
    /// A file or directory of the snapshot store cannot be made, read, moved or removed.
    #[error("cannot {action} {path:?}")]
    Store {
        /// What was attempted: "create", "read", "lock", "rename" or "remove".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The kernel refused to lay the directories over each other.
    #[error("cannot mount a root file system of {layers} layers")]
    Mount {
        /// How many layers.
        layers: usize,
        /// The call that failed.
        #[source]
        source: sys::Error,
    },
    /// A system call on a tree of the snapshot store failed.
    #[error("cannot work on {path:?}")]
    Tree {
        /// Which tree.
        path: PathBuf,
        /// The call that failed.
        #[source]
        source: sys::Error,
    },
    /// A layer cannot be unpacked into a snapshot.
    #[error("cannot unpack the layer")]
    Unpack {
        /// Why not.
        #[source]
        source: layer::Error,
    },
}

impl Error {
    /// Says what to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Form { path, .. } => Some(format!(
                "use another store (--root), or have root remove that: rm -r {}",
                path.display()
            )),
            Self::Owners { path } => Some(format!(
                "give the user the same ranges as before (/etc/subuid, /etc/subgid), use another \
                 store (--root), or have root remove that: rm -r {}",
                path.display()
            )),
            _ => None,
        }
    }
}

/// What every function of this room returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Names the path that a failed call of the standard library was about.
pub(super) fn cannot(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Store {
        action,
        path: path.into(),
        source,
    }
}

/// Names the tree that a failed system call was about.
pub(super) fn on_tree(path: impl Into<PathBuf>) -> impl FnOnce(sys::Error) -> Error {
    move |source| Error::Tree {
        path: path.into(),
        source,
    }
}
