//! Why a build failed: what was attempted, where in the Dockerfile, and whose concern it is.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use thiserror::Error;

use crate::build::bases::BaseError;
use crate::build::source::Text;
use crate::dockerfile;
use crate::dockerfile::Span;
use crate::dockerfile::Warning;
use crate::export;
use crate::graph::Graph;
use crate::graph::VertexId;
use crate::remote;
use crate::snapshot;
use crate::solver;
use crate::store;
use crate::worker;

/// A place in a text that the user wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What the text is called.
    pub file: String,
    /// The whole text.
    pub text: String,
    /// From which byte to which.
    pub bytes: Range<usize>,
}

/// Whose concern an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The user's: the Dockerfile, the context, a command that failed.
    User,
    /// The machine's: kernel, permission, disk.
    Environment,
    /// A registry's or web server's.
    Remote,
    /// Nobody wished it to go on.
    Canceled,
}

/// A build that failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no Dockerfile in the context.
    #[error("there is no Dockerfile in {}", folder.display())]
    NoDockerfile {
        /// The context.
        folder: PathBuf,
        /// A file that may be meant.
        other: Option<PathBuf>,
    },
    /// The Dockerfile or an ignore file cannot be read.
    #[error("cannot read {}", path.display())]
    ReadDockerfile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The build context cannot be read.
    #[error("cannot read the build context {}", path.display())]
    ReadContext {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The ssh agent for key files cannot be had.
    #[error("cannot make the ssh agent {id:?}")]
    Agent {
        /// Its id.
        id: String,
        /// Why not.
        #[source]
        source: worker::Error,
    },
    /// The build context is no directory.
    #[error("the build context {} is not a directory", path.display())]
    ContextNotDirectory {
        /// What it is.
        path: PathBuf,
    },
    /// The build context on standard input cannot be unpacked.
    #[error("cannot unpack the build context")]
    UnpackContext {
        /// Why not.
        #[source]
        source: snapshot::Error,
    },
    /// The Dockerfile of the context cannot be opened.
    #[error("cannot open {}", path.display())]
    OpenDockerfile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: worker::Error,
    },
    /// The Dockerfile or an ignore file is a symbolic link to something that is no part of the
    /// context.
    #[error("{} leads out of the build context", path.display())]
    OutsideContext {
        /// Its path in the context.
        path: PathBuf,
    },
    /// The repository that is the context cannot be fetched.
    #[error("cannot fetch the build context {url}")]
    FetchContext {
        /// Where it is.
        url: String,
        /// Why not.
        #[source]
        source: worker::Error,
    },
    /// The file that is the context or the Dockerfile cannot be fetched.
    #[error("cannot fetch {url}")]
    Download {
        /// Where it is.
        url: String,
        /// Why not.
        #[source]
        source: remote::Error,
    },
    /// A kind of context or Dockerfile that is not read.
    #[error(
        "cannot build from {location}: it is no directory and no URL of http, https, git or ssh"
    )]
    UnsupportedSource {
        /// What was given.
        location: String,
    },
    /// An ignore file has a malformed pattern.
    #[error("{source}")]
    Ignore {
        /// Where.
        place: Box<Place>,
        /// What is wrong.
        source: dockerfile::Error,
    },
    /// The Dockerfile is wrong.
    #[error("{source}")]
    Dockerfile {
        /// Where.
        place: Box<Place>,
        /// What is wrong.
        source: dockerfile::Error,
    },
    /// A base image cannot be used.
    #[error("cannot use the image {name}")]
    Base {
        /// What the Dockerfile calls it.
        name: String,
        /// Which instruction names it.
        place: Box<Place>,
        /// Why not.
        #[source]
        source: Box<BaseError>,
    },
    /// `SOURCE_DATE_EPOCH` is made of what differs from platform to platform; an index has one time.
    #[error("SOURCE_DATE_EPOCH is not the same for {one} and for {other}")]
    EpochDiffers {
        /// The first platform.
        one: String,
        /// One that it is another time for.
        other: String,
    },
    /// An operation failed.
    #[error("{name}")]
    Operation {
        /// What was being done.
        name: String,
        /// Which instruction asked for it, if one did.
        place: Option<Box<Place>>,
        /// Why it failed.
        #[source]
        source: Box<worker::Error>,
    },
    /// The build was stopped.
    #[error("the build was canceled")]
    Canceled,
    /// Nothing can be waited for.
    #[error("cannot start what waits for the network and for commands")]
    Runtime {
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The local store failed.
    #[error("cannot use the local store")]
    Store {
        /// Why.
        #[source]
        source: store::Error,
    },
    /// What has to be done cannot be done on this machine.
    #[error("cannot begin the build")]
    Begin {
        /// Why not.
        #[source]
        source: worker::Error,
    },
    /// The snapshots cannot be used.
    #[error("cannot use the snapshots")]
    Snapshots {
        /// Why not.
        #[source]
        source: snapshot::Error,
    },
    /// The root filesystem cannot be written.
    #[error("cannot write the root filesystem")]
    Tree {
        /// Why not.
        #[source]
        source: worker::Error,
    },
    /// An output cannot be written.
    #[error("cannot write the image")]
    Export {
        /// Why not.
        #[source]
        source: export::Error,
    },
    /// The file of an output cannot be written.
    #[error("cannot write {}", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A layer of the base image cannot be fetched for an output.
    #[error("cannot fetch the layers of the base image")]
    Fetch {
        /// Why not.
        #[source]
        source: remote::Error,
    },
    /// The image cannot be pushed.
    #[error("cannot push {name}")]
    Push {
        /// Under which name.
        name: String,
        /// Why not.
        #[source]
        source: remote::Error,
    },
    /// `type=docker` for several platforms: `docker load` knows no index.
    #[error("an archive for docker holds one image, not an index")]
    ArchiveForDocker,
    /// `--push` without a name to push to.
    #[error("there is nothing to push to: the image has no name")]
    PushWithoutName,
}

impl Error {
    /// Says whose concern it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoDockerfile { .. }
            | Self::ReadDockerfile { .. }
            | Self::OpenDockerfile { .. }
            | Self::ReadContext { .. }
            | Self::OutsideContext { .. }
            | Self::ContextNotDirectory { .. }
            | Self::UnpackContext { .. }
            | Self::UnsupportedSource { .. }
            | Self::Ignore { .. }
            | Self::Dockerfile { .. }
            | Self::EpochDiffers { .. }
            | Self::ArchiveForDocker
            | Self::PushWithoutName => Kind::User,
            Self::Base { source, .. } => match &**source {
                BaseError::Remote(error) => of_remote(error),
                BaseError::Store { .. } => Kind::Environment,
                _ => Kind::User,
            },
            Self::Operation { source, .. } => kind_of(source),
            Self::Agent { source, .. }
            | Self::Begin { source }
            | Self::Tree { source }
            | Self::FetchContext { source, .. } => kind_of(source),
            Self::Canceled => Kind::Canceled,
            Self::Fetch { source, .. }
            | Self::Push { source, .. }
            | Self::Download { source, .. } => of_remote(source),
            Self::Store { .. }
            | Self::Snapshots { .. }
            | Self::Export { .. }
            | Self::Output { .. }
            | Self::Runtime { .. } => Kind::Environment,
        }
    }

    /// Gives the place in the Dockerfile that is to blame.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            // What is wrong with the file as a whole has no line.
            Self::Dockerfile { source, .. } if source.span.first_line == 0 => None,
            Self::Dockerfile { place, .. }
            | Self::Ignore { place, .. }
            | Self::Base { place, .. } => Some(place),
            Self::Operation { place, .. } => place.as_deref(),
            _ => None,
        }
    }

    /// Tells whether rbuild has to be started again as root of a user namespace.
    #[must_use]
    pub fn needs_root(&self) -> bool {
        matches!(self, Self::Begin { source } if source.needs_root())
    }

    /// Says what to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoDockerfile {
                other: Some(other), ..
            } => Some(format!("build that file with -f {}", other.display())),
            Self::NoDockerfile { .. } => {
                Some("name the file with -f, or the directory that has it".to_owned())
            }
            Self::Dockerfile { source, .. } => source.problem.hint(),
            Self::EpochDiffers { .. } => {
                Some("give one number for all with --build-arg SOURCE_DATE_EPOCH=".to_owned())
            }
            Self::PushWithoutName => Some("give it one with -t".to_owned()),
            Self::Operation { source, .. } => source.hint(),
            Self::Snapshots { source } => source.hint(),
            Self::ArchiveForDocker => Some("use type=oci, or one platform".to_owned()),
            Self::Agent { source, .. }
            | Self::Begin { source }
            | Self::Tree { source }
            | Self::FetchContext { source, .. } => source.hint(),
            Self::Base { source, .. } => match &**source {
                BaseError::Remote(error) => error.hint(),
                _ => None,
            },
            Self::Fetch { source } | Self::Push { source, .. } => source.hint(),
            _ => None,
        }
    }
}

fn kind_of(error: &worker::Error) -> Kind {
    match error {
        worker::Error::Canceled => Kind::Canceled,
        worker::Error::Remote(error) => of_remote(error),
        // As where a web server's file has another digest.
        worker::Error::Git { .. } | worker::Error::GitChecksum { .. } => Kind::Remote,
        error if error.is_users() => Kind::User,
        _ => Kind::Environment,
    }
}

fn of_remote(error: &remote::Error) -> Kind {
    if error.is_forbidden() {
        Kind::User
    } else if error.is_of_store() {
        Kind::Environment
    } else {
        Kind::Remote
    }
}

impl Text {
    /// Makes a place of a span.
    pub(super) fn place(&self, span: &Span) -> Box<Place> {
        let bytes = span.start..span.end;
        Box::new(Place {
            file: self.name.clone(),
            text: self.text.clone(),
            bytes,
        })
    }

    /// Gives an error of the Dockerfile its place.
    pub(super) fn error(&self, source: dockerfile::Error) -> Error {
        Error::Dockerfile {
            place: self.place(&source.span),
            source,
        }
    }

    /// Writes a warning with its place.
    pub(super) fn warning(&self, warning: &Warning) -> String {
        let message = match warning.rule {
            Some(rule) => format!("{}: {}", rule.name(), warning.message),
            None => warning.message.clone(),
        };
        match warning.span.first_line {
            0 => message,
            line => format!("{}:{line}: {message}", self.name),
        }
    }

    /// Gives the failure of an operation its place.
    pub(super) fn solve_error(&self, error: solver::Error<worker::Error>, graph: &Graph) -> Error {
        let (vertex, name, source) = match error {
            solver::Error::Content {
                vertex,
                name,
                source,
            }
            | solver::Error::Execute {
                vertex,
                name,
                source,
            }
            | solver::Error::Layer {
                vertex,
                name,
                source,
            } => (vertex, name, source),
            solver::Error::Canceled => return Error::Canceled,
        };
        if matches!(*source, worker::Error::Canceled) {
            return Error::Canceled;
        }
        Error::Operation {
            name,
            place: self.place_of(vertex, graph),
            source,
        }
    }

    /// Finds the lines of the instruction that a vertex came from.
    fn place_of(&self, vertex: VertexId, graph: &Graph) -> Option<Box<Place>> {
        let (first, last) = graph.vertex(vertex).lines;
        let after_line = |line: usize| self.text.match_indices('\n').nth(line).map(|(at, _)| at);
        let start = match first {
            0 => return None,
            1 => 0,
            line => after_line(line - 2)? + 1,
        };
        let end = after_line(last - 1).unwrap_or(self.text.len());
        let bytes = start..end.max(start);
        Some(Box::new(Place {
            file: self.name.clone(),
            text: self.text.clone(),
            bytes,
        }))
    }
}
