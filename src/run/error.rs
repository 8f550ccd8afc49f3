//! Why an image could not be run.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use crate::oci;
use crate::sandbox;
use crate::snapshot;
use crate::store;
use crate::sys;
use crate::worker;

/// A run that did not come to its process, or lost it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither the image nor the user says what to run.
    #[error("there is nothing to run: {image} has no command")]
    NoCommand {
        /// The image.
        image: String,
    },
    /// What `--volume` names is not there.
    #[error("cannot mount {}", path.display())]
    Volume {
        /// The path on the host.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A port of the host cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Another run has the name.
    #[error("the name {name:?} is in use by another run")]
    NameInUse {
        /// The name.
        name: String,
    },
    /// The name could not be claimed.
    #[error("cannot claim a name at {}", path.display())]
    Name {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No run in the background is called so.
    #[error("there is no container {text}")]
    NoContainer {
        /// As it was given.
        text: String,
    },
    /// A run in the background goes on.
    #[error("the container {name} is running")]
    ContainerRuns {
        /// Its name.
        name: String,
    },
    /// A run in the background goes on where its processes are not in sight.
    #[error("the container {name} runs, and its processes are not in sight here")]
    OutOfSight {
        /// Its name.
        name: String,
    },
    /// A run in the background may not be ended.
    #[error("cannot end the container {name}")]
    Signal {
        /// Its name.
        name: String,
        /// Why.
        source: sys::Error,
    },
    /// A run in the background was killed and goes on.
    #[error("the container {name} was killed and has not ended yet")]
    Undying {
        /// Its name.
        name: String,
    },
    /// What is known of a run in the background cannot be read or written.
    #[error("cannot use {}", path.display())]
    Container {
        /// Its folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The machine gave no means to wait for things.
    #[error("cannot wait for the process")]
    Runtime {
        /// Why.
        source: io::Error,
    },
    /// Somebody ended a container while it was being made ready.
    #[error("the container {name} was ended before its program began")]
    EndedEarly {
        /// Its name.
        name: String,
    },
    /// The image's documents contradict each other.
    #[error("the image's documents contradict each other")]
    Image {
        /// How.
        source: oci::Error,
    },
    /// The local store failed.
    #[error("cannot use the local store")]
    Store {
        /// Why.
        source: store::Error,
    },
    /// The snapshots cannot be used.
    #[error("cannot use the snapshots")]
    Snapshots {
        /// Why.
        source: snapshot::Error,
    },
    /// The image could not be made ready.
    #[error("cannot prepare the image")]
    Prepare(#[from] worker::Error),
    /// A port is to be published in the mode `chroot`.
    #[error(
        "-p carries a port into a network of the process's own, which needs namespaces, and this \
         process may not make any"
    )]
    PortsNeedNamespaces,
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
}

impl Error {
    /// Gives the code that `docker run` exits with: 127 if there is no such program, 126 if it
    /// cannot be executed, 125 for all that is not the program's fault.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Sandbox(error) => u8::try_from(error.exit_code()).unwrap_or(125),
            _ => 125,
        }
    }

    /// Tells whether rbuild has to be started again as root of a user namespace.
    #[must_use]
    pub fn needs_root(&self) -> bool {
        match self {
            Self::Sandbox(source) => matches!(source, sandbox::Error::NeedsRoot),
            Self::Prepare(source) => source.needs_root(),
            _ => false,
        }
    }

    /// Says what to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoContainer { .. } => Some("`rbuild ps -a` lists what there is".to_owned()),
            Self::ContainerRuns { .. } => Some("stop it first, or give -f".to_owned()),
            Self::OutOfSight { .. } => {
                Some("stop it where it was started, in another container or so".to_owned())
            }
            Self::NoCommand { .. } => {
                Some("say what to run behind the image: rbuild run IMAGE COMMAND".to_owned())
            }
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("something else listens there; choose another port".to_owned())
            }
            Self::PortsNeedNamespaces => Some(
                "leave -p out: the process is on the network of this machine, or of the container \
                 around rbuild, and is reached there on the port that it listens on"
                    .to_owned(),
            ),
            Self::Snapshots { source } => source.hint(),
            Self::Prepare(error) => error.hint(),
            Self::Sandbox(error) => error.hint().map(str::to_owned),
            _ => None,
        }
    }
}
