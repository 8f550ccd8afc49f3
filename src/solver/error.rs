//! Why a graph was not solved.

use std::error;

use crate::graph::VertexId;

/// The first failure of a solve; `E` is what the worker says.
#[derive(Debug, thiserror::Error)]
pub enum Error<E: error::Error + 'static> {
    /// What a vertex reads could not be digested.
    #[error("cannot read what `{name}` needs")]
    Content {
        /// Which.
        vertex: VertexId,
        /// What the user knows it as.
        name: String,
        /// Why.
        #[source]
        source: Box<E>,
    },
    /// A vertex could not be carried out.
    #[error("`{name}` failed")]
    Execute {
        /// Which.
        vertex: VertexId,
        /// What the user knows it as.
        name: String,
        /// Why.
        #[source]
        source: Box<E>,
    },
    /// The layer of a vertex could not be packed.
    #[error("cannot pack the layer of `{name}`")]
    Layer {
        /// Which.
        vertex: VertexId,
        /// What the user knows it as.
        name: String,
        /// Why.
        #[source]
        source: Box<E>,
    },
    /// The user wished to stop.
    #[error("canceled")]
    Canceled,
}
