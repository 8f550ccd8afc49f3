//! What can go wrong between the command line and the story it starts.

use std::io;
use std::path::PathBuf;

use super::interrupt;
use crate::build;
use crate::build::Kind;
use crate::build::Place;
use crate::dockerfile::nearest;
use crate::manage;
use crate::run;
use crate::sandbox;
use crate::store;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A flag that other builders have and rbuild does not.
    #[error("{flag} is not supported")]
    NotSupported {
        /// As it is written.
        flag: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// Two things that cannot both be asked for.
    #[error("{one} and {other} exclude each other")]
    Exclusive {
        /// One of them.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A flag that needs another one.
    #[error("{flag} needs {needed}")]
    Needs {
        /// As it is written.
        flag: &'static str,
        /// What is missing.
        needed: &'static str,
    },
    /// A build argument with a value that means nothing.
    #[error("the build argument {message}")]
    BuildArg {
        /// Which, and what it should be.
        message: String,
    },
    /// An environment variable with a value that means nothing.
    #[error("the environment variable {name} has the value {value:?}, which is not {expected}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// An image's name that is no name, or has a digest where a new image gets a name.
    #[error("{text:?} is no name for an image")]
    Tag {
        /// As it was given.
        text: String,
        /// Why.
        source: crate::oci::Error,
    },
    /// A new image cannot be called by a digest.
    #[error("{text:?} has a digest, which a new image cannot be called by")]
    TagWithDigest {
        /// As it was given.
        text: String,
    },
    /// The build context is not there.
    #[error("there is no build context {}", path.display())]
    NoContext {
        /// As it was given.
        path: PathBuf,
        /// The subcommand that was perhaps meant.
        meant: Option<String>,
        /// Why.
        source: io::Error,
    },
    /// A secret's file cannot be read.
    #[error("cannot read the secret {id:?} from {}", path.display())]
    ReadSecret {
        /// Its id.
        id: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A secret is larger than any secret should be.
    #[error("the secret {id:?} has more than {limit_bytes} bytes")]
    SecretTooLarge {
        /// Its id.
        id: String,
        /// The most it may have.
        limit_bytes: u64,
    },
    /// There is no ssh agent to lend.
    #[error("--ssh {id} names no agent, and SSH_AUTH_SOCK is not set")]
    NoAgent {
        /// The id that was asked for.
        id: String,
    },
    /// A configuration file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    ReadConfig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What a container wrote cannot be read.
    #[error("cannot read the log of the container {name}")]
    ReadLog {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A configuration file says something that means nothing.
    #[error("{message}")]
    Config {
        /// Where and what.
        place: Box<Place>,
        /// What is wrong.
        message: String,
    },
    /// A file that was asked for with a flag cannot be written.
    #[error("cannot write {}", path.display())]
    WriteFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output cannot be written to.
    #[error("cannot write to standard output")]
    WriteStdout {
        /// Why.
        source: io::Error,
    },
    /// An archive would be written to a terminal.
    #[error("an archive is not for the eyes: standard output is a terminal")]
    Terminal,
    /// A Dockerfile cannot be read.
    #[error("cannot read {}", path.display())]
    ReadDockerfile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A Dockerfile is wrong.
    #[error("{source}")]
    Dockerfile {
        /// Where.
        place: Box<Place>,
        /// What.
        source: crate::dockerfile::Error,
    },
    /// The checks were asked for, and there is something to mend.
    #[error("the checks found {}", if *count == 1 { "a warning".to_owned() } else { format!("{count} warnings") })]
    Warnings {
        /// How many.
        count: usize,
    },
    /// What networks need of the machine could not be set up.
    #[error("cannot set up the network")]
    Runtime {
        /// Why.
        source: io::Error,
    },
    /// An image could not be dealt with.
    #[error(transparent)]
    Manage(#[from] manage::Error),
    /// `run -it` without a terminal to type on.
    #[error("standard input is not a terminal")]
    NoTerminal,
    /// No user namespace can be made, and rbuild was not started as root.
    #[error("rbuild was not started as root")]
    Rootless(#[source] sandbox::Error),
    /// Nothing could be run here.
    #[error("nothing can be run here")]
    Doctor(#[source] sandbox::Error),
    /// There is nowhere to keep anything, or what is kept is of no use.
    #[error("cannot use the store: {why}")]
    NoStore {
        /// What was tried, and how it ended.
        why: String,
    },
    /// A run failed.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// A build failed.
    #[error(transparent)]
    Build(Box<build::Error>),
}

impl From<build::Error> for Error {
    fn from(error: build::Error) -> Self {
        Self::Build(Box::new(error))
    }
}

impl Error {
    /// Gives the code rbuild exits with.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NotSupported { .. }
            | Self::Exclusive { .. }
            | Self::BuildArg { .. }
            | Self::Needs { .. }
            | Self::Variable { .. }
            | Self::Tag { .. }
            | Self::TagWithDigest { .. }
            | Self::NoAgent { .. }
            | Self::Config { .. }
            | Self::NoTerminal
            | Self::Terminal => 2,
            Self::NoContext { .. }
            | Self::ReadSecret { .. }
            | Self::SecretTooLarge { .. }
            | Self::ReadDockerfile { .. }
            | Self::Warnings { .. }
            | Self::Dockerfile { .. } => 1,
            Self::ReadConfig { .. }
            | Self::ReadLog { .. }
            | Self::WriteFile { .. }
            | Self::WriteStdout { .. }
            | Self::Rootless(_)
            | Self::Doctor(_)
            | Self::NoStore { .. }
            | Self::Runtime { .. } => 3,
            Self::Manage(error) => of_manage(error),
            Self::Run(run::Error::NoContainer { .. }) => 1,
            Self::Run(error) => error.exit_code(),
            Self::Build(error) => of_kind(error.kind()),
        }
    }

    /// Gives where in a file the mistake is, if it is in one.
    pub(super) fn place(&self) -> Option<Place> {
        match self {
            // What is wrong with the file as a whole has no line.
            Self::Dockerfile { source, .. } if source.span.first_line == 0 => None,
            Self::Config { place, .. } | Self::Dockerfile { place, .. } => Some((**place).clone()),
            Self::Build(error) => error.place().cloned(),
            _ => None,
        }
    }

    /// Gives what the user could do about it, if that is known.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::NotSupported { instead, .. } => Some((*instead).to_owned()),
            Self::NoContext { meant, .. } => meant
                .as_ref()
                .map(|meant| format!("did you mean the command `rbuild {meant}`?")),
            Self::NoAgent { .. } => Some("start one: eval \"$(ssh-agent)\" && ssh-add".to_owned()),
            Self::Dockerfile { source, .. } => source.problem.hint(),
            Self::Manage(error) => hint_of_manage(error),
            Self::NoTerminal => Some("leave out -t, or run it on a terminal".to_owned()),
            Self::Run(error) => error.hint(),
            Self::Rootless(error) | Self::Doctor(error) => error.hint().map(str::to_owned),
            Self::Build(error) => error.hint(),
            Self::Terminal => Some("write to a file with dest=FILE, or to a pipe".to_owned()),
            _ => None,
        }
    }
}

fn of_kind(kind: Kind) -> u8 {
    match kind {
        Kind::User => 1,
        Kind::Environment => 3,
        Kind::Remote => 4,
        Kind::Canceled => interrupt::exit_code(),
    }
}

fn of_manage(error: &manage::Error) -> u8 {
    match error {
        manage::Error::NotFound { .. }
        | manage::Error::SeveralNames { .. }
        | manage::Error::Absent { .. }
        | manage::Error::Platform { .. } => 1,
        manage::Error::Name { .. } => 2,
        manage::Error::Store(
            store::Error::Platform { .. }
            | store::Error::Nested { .. }
            | store::Error::Ambiguous { .. },
        ) => 1,
        manage::Error::Store(_)
        | manage::Error::Cache(_)
        | manage::Error::Snapshot(_)
        | manage::Error::Measure { .. } => 3,
        manage::Error::Remote(error) if error.is_of_store() => 3,
        manage::Error::Remote(_) => 4,
    }
}

fn hint_of_manage(error: &manage::Error) -> Option<String> {
    match error {
        manage::Error::NotFound { text, known } => {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            match nearest(text, &known) {
                Some(meant) => Some(format!("did you mean {meant}?")),
                None => Some("`rbuild images` lists what there is".to_owned()),
            }
        }
        manage::Error::Platform { found, .. } => {
            Some(format!("take it as it is by --platform {found}"))
        }
        manage::Error::Absent { wanted, .. } => {
            Some(format!("`rbuild pull --platform {wanted}` gets it"))
        }
        manage::Error::SeveralNames { .. } => {
            Some("name one of them, or give -f to remove them all".to_owned())
        }
        manage::Error::Remote(error) => error.hint(),
        manage::Error::Snapshot(error) => error.hint(),
        _ => None,
    }
}
