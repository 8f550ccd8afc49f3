//! Decides what must run, and runs it in parallel.
//!
//! [`mark`] walks the graph from the leaves, asks the cache by definition, and either has the
//! answer or leaves [`Work`]; it is plain blocking code, so that a build of which everything is
//! known needs no runtime. [`schedule`] does the work: each vertex once, as soon as its inputs are
//! there, asked by content before it is carried out, its layer packed while later ones run.
//!
//! The solver knows no Linux, no files and no network: it meets the world through the
//! [`Cache`](crate::cache::Cache) and a [`Worker`].
//!
//! Start reading at [`mark`], then `resolve` in `vertex.rs`: the life of one vertex.

mod cancel;
mod content;
mod error;
mod hits;
mod keys;
mod lenient;
mod mark;
mod schedule;
mod vertex;
mod worker;

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::graph::Graph;
use crate::graph::VertexId;
use crate::oci::Layer;
use crate::progress::Sink;

pub use cancel::Cancel;
pub use error::Error;
pub use mark::Work;
pub use mark::mark;
pub use schedule::schedule;
pub use worker::Body;
pub use worker::ChangeSet;
pub use worker::LayerTask;
pub use worker::Made;
pub use worker::Output;
pub use worker::Selection;
pub use worker::Task;
pub use worker::Worker;

/// A graph to solve, and whom to ask.
#[derive(Debug)]
pub struct Job<'a, C, W> {
    /// What is to be done.
    pub graph: &'a Graph,
    /// The vertices whose results are wanted, of each platform's image for one.
    pub targets: Vec<VertexId>,
    /// Where work that was done before is found.
    pub cache: &'a Arc<C>,
    /// Who carries out the rest.
    pub worker: &'a Arc<W>,
    /// How.
    pub options: &'a Options,
}

/// How a graph is solved.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many vertices are carried out at a time; none for as many as there are processors, and
    /// four at least.
    pub jobs: Option<NonZeroUsize>,
    /// How the layers of the targets are packed; none if only root filesystems are wanted. See
    /// [`Cache::layer`](crate::cache::Cache::layer) for what the text names.
    pub packing: Option<String>,
    /// Stops the work.
    pub cancel: Cancel,
    /// Is told what goes on.
    pub sink: Sink,
}

/// What [`mark`] found out.
#[derive(Debug)]
pub enum Marked {
    /// Everything is known already: the results of the targets, in their order.
    Solved(Vec<Solved>),
    /// Something must be done.
    Work(Work),
}

/// The result of a target.
#[derive(Clone, Debug)]
pub struct Solved {
    /// Its root filesystem.
    pub output: Arc<Output>,
    /// Its layers, lowest first: those of the image it began with, then one for each vertex of
    /// its chain. Empty if no packing was given.
    pub layers: Vec<Layer>,
}
