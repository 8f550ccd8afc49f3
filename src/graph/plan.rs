//! What a Dockerfile means.

use crate::graph::Graph;
use crate::graph::VertexId;
use crate::oci::History;
use crate::oci::ImageConfig;

/// All that is to be done, and the config of the image that it makes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The ops that the target needs, and no others.
    pub graph: Graph,
    /// The vertex whose root filesystem is the image's.
    pub target: VertexId,
    /// The image's config: that of the base, changed by the instructions. Its history and diff ids
    /// are still the base's.
    pub config: ImageConfig,
    /// What the instructions add to the history, in order; `created` is not set yet.
    pub history: Vec<History>,
}
