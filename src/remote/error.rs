//! What can go wrong on the network, and what the user can do about it.

use std::error;
use std::fmt::Write;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::oci;
use crate::oci::Digest;
use crate::progress::in_one_line;
use crate::store;

/// Why something could not be fetched or pushed. Secrets and the queries of URLs, which may hold
/// signatures, are in no message.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A name could not be turned into an image.
    #[error("cannot resolve {reference}")]
    Resolve {
        /// The image.
        reference: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// A blob of an image could not be fetched.
    #[error("cannot pull blob {digest} of {repository}")]
    Pull {
        /// The blob.
        digest: Digest,
        /// Where it should be.
        repository: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// An image or a part of it could not be pushed.
    #[error("cannot push {what} to {reference}")]
    Push {
        /// The blob, or "the manifest".
        what: String,
        /// The destination.
        reference: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// A file could not be downloaded.
    #[error("cannot download {url}")]
    Download {
        /// Where from.
        url: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// Neither a mirror nor the registry had it.
    #[error("{}", list(attempts))]
    Everywhere {
        /// Each place with what went wrong there, in the order they were tried.
        attempts: Vec<(String, Error)>,
    },
    /// A text is no URL of http or https.
    #[error("{url:?} is not an http or https URL")]
    Url {
        /// What was given.
        url: String,
    },
    /// No answer came, or none that could be read to its end.
    #[error("{method} {url}")]
    Request {
        /// The method.
        method: String,
        /// Where it went.
        url: String,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// The connection stands, but next to nothing comes over it.
    #[error("{method} {url}: next to nothing came for {seconds} s")]
    Silence {
        /// The method.
        method: String,
        /// Where it went.
        url: String,
        /// How long.
        seconds: u64,
    },
    /// The answer is a refusal.
    #[error("{method} {url}: {status}{}", said(message))]
    Status {
        /// The method.
        method: String,
        /// Where it went.
        url: String,
        /// The status code.
        status: u16,
        /// What the registry says about it.
        message: String,
    },
    /// The registry wants to know who asks, or knows and refuses.
    #[error("{method} {url}: 401, {credentials}{}", said(message))]
    Unauthorized {
        /// The method.
        method: String,
        /// Where it went.
        url: String,
        /// Which credentials were sent, or where none were found.
        credentials: String,
        /// What the registry says about it.
        message: String,
    },
    /// The registry's token server does not take the user's credentials.
    #[error("{host} refused the credentials of {place}")]
    Login {
        /// The registry.
        host: String,
        /// The file or helper they are from.
        place: String,
        /// What the token server said.
        #[source]
        source: Box<Error>,
    },
    /// The registry sends its users to a place for tokens that must not have their password.
    #[error("{host} wants credentials to be sent to {realm}, which is neither encrypted nor local")]
    Realm {
        /// The registry.
        host: String,
        /// Where.
        realm: String,
    },
    /// The token server answered without a token.
    #[error("{realm} gave no token")]
    Token {
        /// Where it was asked for.
        realm: String,
        /// What is wrong with the answer.
        #[source]
        source: serde_json::Error,
    },
    /// A file of credentials could not be read.
    #[error("cannot read credentials from {}", path.display())]
    Credentials {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A credential helper failed.
    #[error("{program} failed: {reason}")]
    Helper {
        /// Which.
        program: String,
        /// What it said.
        reason: String,
    },
    /// A certificate or key could not be used.
    #[error("cannot use the certificate {}", path.display())]
    Certificate {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn error::Error + Send + Sync>,
    },
    /// The system's part of HTTPS could not be set up.
    #[error("cannot set up HTTPS")]
    Setup {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The bytes that came are not those asked for.
    #[error("{url} gave {actual} where {expected} was asked for")]
    Digest {
        /// Where they came from.
        url: String,
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// More or fewer bytes came than the descriptor says.
    #[error("{url} gave {actual} bytes where the descriptor says {expected}")]
    Size {
        /// Where they came from.
        url: String,
        /// How many were expected.
        expected: u64,
        /// How many came; if too many, the rest was not read.
        actual: u64,
    },
    /// More bytes came than are allowed.
    #[error("{url} has more than {limit_bytes} bytes")]
    Limit {
        /// Where they came from.
        url: String,
        /// How many are allowed.
        limit_bytes: u64,
    },
    /// The answer is a document rbuild cannot use.
    #[error("{url} is of type {media_type:?}, which is no image")]
    MediaType {
        /// Where it came from.
        url: String,
        /// What it says it is.
        media_type: String,
    },
    /// The image is in a format that registries gave up in 2019.
    #[error("{url} is an image in docker's schema 1, which is no longer read")]
    Schema1 {
        /// Where it came from.
        url: String,
    },
    /// A document does not follow its specification.
    #[error("cannot understand {url}")]
    Document {
        /// Where it came from.
        url: String,
        /// What is wrong with it.
        #[source]
        source: oci::Error,
    },
    /// A registry answered in a way the specification does not allow.
    #[error("{method} {url}: {violation}")]
    Protocol {
        /// The method.
        method: String,
        /// Where it went.
        url: String,
        /// What is wrong with the answer.
        violation: String,
    },
    /// An image is not in the store and may not be fetched.
    #[error("{reference} is not in the local store, and it may not be pulled")]
    Never {
        /// The image.
        reference: String,
    },
    /// The store has of an index other images than the one for this platform, and that may not be
    /// fetched.
    #[error("{reference} is in the local store, but not for {platform}, and it may not be pulled")]
    NeverFor {
        /// The image.
        reference: String,
        /// What was asked for.
        platform: String,
    },
    /// The image is not made for the platform that was asked for.
    #[error("{name} has no image for {wanted}; it has {available}")]
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
        crate::oci::Index::DEPTH_MAX
    )]
    Nested {
        /// The image.
        name: String,
    },
    /// The local store failed.
    #[error("the local store failed")]
    Store(#[source] store::Error),
    /// The local store failed while bytes were written to or read from it.
    #[error("the local store failed")]
    Stream(#[source] io::Error),
}

impl Error {
    /// Makes one error of those at all places; one place alone speaks for itself.
    pub(super) fn everywhere(mut attempts: Vec<(String, Self)>) -> Self {
        if attempts.len() == 1
            && let Some((_, error)) = attempts.pop()
        {
            return error;
        }
        Self::Everywhere { attempts }
    }

    /// Says whether there was nobody to answer.
    pub(super) fn is_unreachable(&self) -> bool {
        match self {
            Self::Request { source, .. } => source.is_connect(),
            Self::Silence { .. } => true,
            _ => false,
        }
    }

    /// Says whether the fault is on this side, so that another place would not help.
    pub(super) fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Platform { .. }
                | Self::Nested { .. }
                | Self::Store(_)
                | Self::Stream(_)
                | Self::Credentials { .. }
                | Self::Helper { .. }
                | Self::Certificate { .. }
                | Self::Setup { .. }
        )
    }

    /// Says whether the local store failed, and no registry.
    #[must_use]
    pub fn is_of_store(&self) -> bool {
        match self {
            Self::Store(_) | Self::Stream(_) => true,
            Self::Resolve { source, .. }
            | Self::Pull { source, .. }
            | Self::Push { source, .. }
            | Self::Download { source, .. } => source.is_of_store(),
            _ => false,
        }
    }

    /// Says whether nobody was asked, because that was not allowed.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Never { .. } | Self::NeverFor { .. })
    }

    /// Gives the HTTP status of the refusal, if it is one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Unauthorized { .. } => Some(401),
            Self::Resolve { source, .. }
            | Self::Pull { source, .. }
            | Self::Push { source, .. }
            | Self::Download { source, .. }
            | Self::Login { source, .. } => source.status(),
            Self::Everywhere { attempts } => attempts.last()?.1.status(),
            _ => None,
        }
    }
}

fn list(attempts: &[(String, Error)]) -> String {
    let mut text = "no place that serves it could be used".to_owned();
    for (place, error) in attempts {
        let _ = write!(text, "\n  {place}: {}", in_one_line(error));
    }
    text
}

fn said(message: &str) -> String {
    match message {
        "" => String::new(),
        message => format!(": {message}"),
    }
}
