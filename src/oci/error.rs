//! What can be wrong with an OCI value.

use thiserror::Error;

/// A text or a document that is not the OCI value it should be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A digest is not `sha256:` and 64 lower-case hexadecimal digits.
    #[error("invalid digest {text:?}: expected sha256: and 64 lower-case hexadecimal digits")]
    Digest {
        /// What was given.
        text: String,
    },
    /// An image reference does not follow the grammar `[host[:port]/]path[:tag][@digest]`.
    #[error("invalid image reference {text:?}: {reason}")]
    Reference {
        /// What was given.
        text: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A platform is not `os/architecture[/variant]`.
    #[error("invalid platform {text:?}: expected os/architecture[/variant], such as linux/amd64")]
    Platform {
        /// What was given.
        text: String,
    },
    /// A document is not the JSON of its media type.
    #[error("invalid {what}")]
    Document {
        /// Which document: "image config", "manifest" or "index".
        what: &'static str,
        /// Where the JSON breaks.
        #[source]
        source: serde_json::Error,
    },
    /// The number of layers in an image's config and in its manifest differ.
    #[error("the image config lists {config} layers, its manifest {manifest}")]
    LayerCount {
        /// How many diff ids the config has.
        config: usize,
        /// How many layers the manifest has.
        manifest: usize,
    },
}
