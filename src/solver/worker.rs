//! Whom the solver asks to carry out its vertices, and the values that pass between them.

use std::error;
use std::sync::Arc;

use crate::cache::CacheKey;
use crate::cache::ContentDigest;
use crate::cache::Record;
use crate::graph::ContextOp;
use crate::graph::ImageOp;
use crate::graph::Vertex;
use crate::graph::VertexId;
use crate::oci::DiffId;
use crate::oci::Layer;
use crate::progress::Step;
use crate::snapshot::SnapshotId;
use crate::solver::Cancel;

/// Carries out vertices.
///
/// Futures must return soon after their `cancel` says so: the solver waits for them and never
/// drops one that was begun.
pub trait Worker: Send + Sync + 'static {
    /// What can go wrong.
    type Error: error::Error + Send + Sync + 'static;

    /// Digests what an op reads of one of its inputs: the files a `COPY` selects, the path a bind
    /// mount shows. None if that cannot be told; the input then counts as a whole. Blocks.
    ///
    /// # Errors
    /// If the input cannot be read, or has nothing of what the op wants.
    fn content(&self, selection: &Selection<'_>) -> Result<Option<ContentDigest>, Self::Error>;

    /// Says whether somebody may write to a context while it is read. Blocks, but not for long.
    fn may_change(&self, context: &ContextOp) -> bool {
        let _ = context;
        true
    }

    /// Says whether what `record` names is still there, as a snapshot or as a layer to make it
    /// from. Blocks, but not for long.
    fn is_whole(&self, record: &Record) -> bool;

    /// Says whether the blob of `layer` is still there. Blocks, but not for long.
    fn has_layer(&self, layer: &Layer) -> bool;

    /// Makes the layers of an image ready to be mounted. Called at most once for each image, and
    /// only if an op needs its files.
    ///
    /// # Errors
    /// Any that pulling and unpacking have.
    fn unpack(
        &self,
        image: ImageOp,
        step: Step,
        cancel: Cancel,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Carries out a vertex.
    ///
    /// # Errors
    /// Any that the op has.
    fn execute(&self, task: Task) -> impl Future<Output = Result<Made, Self::Error>> + Send;

    /// Packs a change set into a layer.
    ///
    /// # Errors
    /// Any that packing has.
    fn layer(&self, task: LayerTask) -> impl Future<Output = Result<Layer, Self::Error>> + Send;

    /// Learns that a layer of a target is there, whether it was made, found, or is the base's.
    fn has_ready(&self, layer: &Layer) {
        let _ = layer;
    }

    /// Learns that a change set it made is not used: an equal one was there before.
    fn discard(&self, change_set: &SnapshotId) {
        let _ = change_set;
    }
}

/// What an op reads of one of its inputs.
#[derive(Debug)]
pub struct Selection<'a> {
    /// The op with its name.
    pub vertex: &'a Vertex,
    /// Which input.
    pub position: usize,
    /// The input itself.
    pub input: &'a Output,
}

/// A vertex to carry out.
#[derive(Clone, Debug)]
pub struct Task {
    /// Which.
    pub id: VertexId,
    /// The op with its name.
    pub vertex: Vertex,
    /// The results of its inputs, by position.
    pub inputs: Vec<Arc<Output>>,
    /// For a download: what the last one left, to ask whether it is still true.
    pub previous: Option<Record>,
    /// Whether another vertex may need the result's files. If not, the worker is free to make a
    /// layer at once, without a snapshot.
    pub is_needed: bool,
    /// Whether the result is a layer of a target's image.
    pub is_exported: bool,
    /// Whom to tell what goes on. That it began and ended is told by the solver.
    pub step: Step,
    /// The wish to stop.
    pub cancel: Cancel,
}

/// What carrying out a vertex made.
#[derive(Clone, Debug)]
pub struct Made {
    /// What it did to its root filesystem; for a download, the directory it made.
    pub change_set: SnapshotId,
    /// The digest of what the change set holds, times left out; none if it is not known. Equal
    /// content is taken for equal work.
    pub content: Option<ContentDigest>,
    /// The digest of those times that say more than when the work was done; none if they are not
    /// known.
    pub times: Option<ContentDigest>,
    /// What the worker wants to find in [`Task::previous`].
    pub facts: Vec<(String, String)>,
    /// The layer, if it was made on the way.
    pub layer: Option<Layer>,
}

/// A change set to pack.
#[derive(Debug)]
pub struct LayerTask {
    /// The vertex it is of.
    pub id: VertexId,
    /// Which change set.
    pub change_set: SnapshotId,
    /// The root filesystem whose highest change set it is.
    pub output: Arc<Output>,
    /// Whether the change set was made on an empty root (`--link`). It serves any base, so its layer
    /// must not tell of this one, whose files need not even be here.
    pub is_linked: bool,
    /// Whom to tell what goes on.
    pub step: Step,
    /// The wish to stop.
    pub cancel: Cancel,
}

/// The result of a vertex, as the vertices that need it see it.
#[derive(Clone, Debug)]
pub struct Output {
    /// Names the result by what it holds, as far as that is known: equal keys, equal files.
    pub key: CacheKey,
    /// What it is.
    pub body: Body,
    /// The image it began with, which must be unpacked before anything of it is read.
    pub(super) image: Option<VertexId>,
    /// Whether no later build may find by definition what needs it: it is not what its own key by
    /// definition says.
    pub(super) is_transient: bool,
}

impl Output {
    /// Makes a result that is there without any image being unpacked.
    #[must_use]
    pub fn new(key: CacheKey, body: Body) -> Self {
        Self {
            key,
            body,
            image: None,
            is_transient: false,
        }
    }

    /// Gives the change sets of a root filesystem, lowest first; none for a context.
    #[must_use]
    pub fn chain(&self) -> &[ChangeSet] {
        match &self.body {
            Body::Root(chain) => chain,
            Body::Context(_) => &[],
        }
    }
}

/// What a result is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A root filesystem: change sets, lowest first. A download is one with a single change set.
    Root(Vec<ChangeSet>),
    /// A directory of the user's.
    Context(ContextOp),
}

/// A part of a root filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeSet {
    /// A layer of an image.
    Layer(DiffId),
    /// What a vertex made.
    Made(SnapshotId),
}
