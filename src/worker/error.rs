//! Why an operation could not be carried out.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::graph::PatternError;
use crate::sys;

/// An operation that could not be carried out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A `COPY` names a file that is not there.
    #[error("{path:?} does not exist in the source of the copy")]
    SourceMissing {
        /// The path, relative to the source.
        path: PathBuf,
    },
    /// A `COPY` names a file that the ignore file leaves out.
    #[error("{path:?} is left out of the build context by the ignore pattern {pattern:?}")]
    SourceIgnored {
        /// The path, relative to the context.
        path: PathBuf,
        /// The pattern that decides.
        pattern: String,
    },
    /// A directory tree is deeper than any path can be.
    #[error("{path:?} is nested too deeply to be copied")]
    SourceTooDeep {
        /// The directory.
        path: PathBuf,
    },
    /// A pattern is malformed.
    #[error("a pattern is malformed")]
    Pattern {
        /// Which.
        #[from]
        source: PatternError,
    },
    /// A file would replace a directory.
    #[error("cannot replace the directory {path:?} by a file")]
    FileOverDirectory {
        /// The directory, relative to the root filesystem.
        path: PathBuf,
    },
    /// A directory would replace a file.
    #[error("cannot copy a directory to {path:?}, which is not a directory")]
    DirectoryOverFile {
        /// The file, relative to the root filesystem.
        path: PathBuf,
    },
    /// The directory of a cache mount cannot be used.
    #[error("cannot use the cache mount {path:?}")]
    CacheMount {
        /// The directory.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// Too many builds use a private cache mount at once.
    #[error("too many builds use the cache mount {id:?} at once")]
    CacheMountsInUse {
        /// The mount's id.
        id: String,
    },
    /// The kernel refused something.
    #[error("the kernel refused")]
    System {
        /// What.
        #[from]
        source: sys::Error,
    },
}
