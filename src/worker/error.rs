//! Why an operation could not be carried out.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::cache;
use crate::graph::PatternError;
use crate::layer;
use crate::remote;
use crate::sandbox;
use crate::sandbox::Exceeded;
use crate::snapshot;
use crate::store;
use crate::sys;

/// An operation that could not be carried out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A `COPY` or a mount names a file that is not there.
    #[error("{path:?} does not exist where it is to be taken from")]
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
    /// A `COPY` names the store, which lies in the context, or something of it.
    #[error("{path:?} is of the store of this rbuild, which is no part of its build context")]
    SourceIsStore {
        /// The path, relative to the context.
        path: PathBuf,
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
    /// Root filesystems that are written to one place have a file of one name.
    #[error("more than one platform has a file {path:?}")]
    FilesCollide {
        /// Its path in what is written.
        path: PathBuf,
    },
    /// A directory would replace a file.
    #[error("cannot copy a directory to {path:?}, which is not a directory")]
    DirectoryOverFile {
        /// The file, relative to the root filesystem.
        path: PathBuf,
    },
    /// A directory is needed where there is something else.
    #[error("cannot make the directory {path:?}: it is, or lies below, something else")]
    DirectoryBlocked {
        /// The directory, relative to the root filesystem.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: sys::Error,
    },
    /// An archive of an `ADD` cannot be unpacked.
    #[error("cannot unpack the archive {path:?}")]
    Unpack {
        /// The archive, relative to the source.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<layer::Error>,
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
    /// A command ended with a code other than 0.
    #[error("`{command}` did not complete successfully: exit code {code}{}", because(*exceeded))]
    Exit {
        /// The command line.
        command: String,
        /// Its exit code; 128 and the number of the signal that killed it.
        code: i32,
        /// The signal that killed it.
        signal: Option<i32>,
        /// The limit that it ran into.
        exceeded: Option<Exceeded>,
    },
    /// A secret that a command requires was not given.
    #[error("the secret {id:?} is required and was not given")]
    SecretMissing {
        /// Its id.
        id: String,
    },
    /// An ssh agent that a command requires was not given.
    #[error("the ssh agent {id:?} is required and was not given")]
    SshMissing {
        /// Its id.
        id: String,
    },
    /// An ssh agent cannot be started.
    #[error("cannot start {program}")]
    SshAgent {
        /// The program of OpenSSH's.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An ssh key is not there, or nobody may read it.
    #[error("cannot read the ssh key {}", path.display())]
    SshKeyFile {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An agent of rbuild's own would have a socket of too long a path.
    #[error("{path:?} is longer than a socket's path may be, 107 bytes")]
    SshSocket {
        /// Where it would be.
        path: PathBuf,
    },
    /// An agent does not take a key.
    #[error("cannot use the ssh key: {message}")]
    SshKey {
        /// What OpenSSH says.
        message: String,
    },
    /// There is no git to fetch a repository with.
    #[error("cannot start git, which fetches repositories")]
    GitMissing {
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// Git could not fetch or check out a repository.
    #[error("git cannot use {remote}: {message}")]
    Git {
        /// The repository.
        remote: String,
        /// What git says.
        message: String,
    },
    /// A git reference is none.
    #[error("{reference:?} is no git reference")]
    GitReference {
        /// What was given.
        reference: String,
    },
    /// A repository's commit is not the one that is expected.
    #[error("the commit is {actual}, and {expected} is expected")]
    GitChecksum {
        /// The checksum of the Dockerfile.
        expected: String,
        /// The commit that the reference stands for.
        actual: String,
    },
    /// The build was stopped.
    #[error("canceled")]
    Canceled,
    /// A sandbox cannot be made.
    #[error("cannot run the command")]
    Sandbox {
        /// Why not.
        #[from]
        source: sandbox::Error,
    },
    /// A snapshot cannot be made or read.
    #[error("cannot use a snapshot")]
    Snapshot {
        /// Why not.
        #[from]
        source: snapshot::Error,
    },
    /// A layer cannot be packed, or an archive unpacked.
    #[error("cannot pack or unpack")]
    Layer {
        /// Why not.
        #[from]
        source: layer::Error,
    },
    /// A blob cannot be stored or read.
    #[error("cannot use the store")]
    Store {
        /// Why not.
        #[from]
        source: store::Error,
    },
    /// A blob cannot be fetched.
    #[error(transparent)]
    Remote(#[from] remote::Error),
    /// What was learned of the context cannot be kept.
    #[error("cannot keep what was learned of the build context")]
    Cache {
        /// Why not.
        #[from]
        source: cache::Error,
    },
    /// The kernel refused something.
    #[error("the kernel refused")]
    System {
        /// What.
        #[from]
        source: sys::Error,
    },
}

impl Error {
    pub(super) fn no_thread(source: io::Error) -> Self {
        let source = sys::Error::new("clone()", source);
        Self::System { source }
    }

    /// Tells whether rbuild has to be started again as root of a user namespace.
    #[must_use]
    pub fn needs_root(&self) -> bool {
        matches!(
            self,
            Self::Sandbox {
                source: sandbox::Error::NeedsRoot
            }
        )
    }

    /// Says whether the Dockerfile, the context or a command is to blame, not the machine.
    #[must_use]
    pub fn is_users(&self) -> bool {
        match self {
            Self::SourceMissing { .. }
            | Self::SourceIgnored { .. }
            | Self::SourceIsStore { .. }
            | Self::SourceTooDeep { .. }
            | Self::Pattern { .. }
            | Self::FileOverDirectory { .. }
            | Self::FilesCollide { .. }
            | Self::DirectoryOverFile { .. }
            | Self::DirectoryBlocked { .. }
            | Self::Exit { .. }
            | Self::SecretMissing { .. }
            | Self::SshMissing { .. }
            | Self::SshAgent { .. }
            | Self::SshKeyFile { .. }
            | Self::SshKey { .. }
            | Self::GitReference { .. } => true,
            Self::Sandbox { source } => source.is_programs(),
            Self::Unpack { source, .. } => source.is_archives(),
            _ => false,
        }
    }

    /// Says what to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::SourceMissing { .. } => Some(
                "paths are relative to the build context, stage or image that is taken from"
                    .to_owned(),
            ),
            Self::FilesCollide { .. } => {
                Some("leave out platform-split=false, and each platform has a folder".to_owned())
            }
            Self::SourceIgnored { path, .. } => {
                Some(format!("add a line !{} to the ignore file", path.display()))
            }
            Self::Unpack { source, .. } if source.is_archives() => {
                Some("to copy the file as it is, write COPY or ADD --unpack=false".to_owned())
            }
            Self::Exit { exceeded, .. } => exceeded.map(|limit| limit.hint().to_owned()),
            Self::SecretMissing { id } => Some(format!("give it with --secret id={id},src=FILE")),
            Self::Remote(error) => error.hint(),
            Self::SshAgent { .. } => Some("install openssh-client".to_owned()),
            Self::SshSocket { .. } => Some("take a store with a shorter path: --root".to_owned()),
            Self::SshKeyFile { .. } => Some(
                "name the file of a private key, or the socket of an agent: --ssh ID=PATH"
                    .to_owned(),
            ),
            Self::SshKey { .. } => {
                Some("a key with a passphrase needs an agent of yours: --ssh ID=SOCKET".to_owned())
            }
            Self::Sandbox { source } => source.hint().map(str::to_owned),
            Self::Snapshot { source } => source.hint(),
            Self::GitMissing { .. } => Some("install git".to_owned()),
            Self::SshMissing { id } => Some(format!("give it with --ssh {id}[=SOCKET]")),
            _ => None,
        }
    }
}

fn because(exceeded: Option<Exceeded>) -> String {
    match exceeded {
        None => String::new(),
        Some(limit @ Exceeded::Memory(_)) => format!(", since {limit}"),
        Some(limit @ Exceeded::Processes(_)) => format!(", and {limit}"),
    }
}
