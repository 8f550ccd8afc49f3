//! Root file systems: prepare, view, commit, diff.
//!
//! A **snapshot** is a change set on disk, in the form of an overlay's upper directory. It knows
//! nothing of what it lies on: a root file system is a *chain*, a list of snapshots with the lowest
//! first, and the same snapshot may be part of many. A committed snapshot never changes. Of a change
//! set that nobody has read yet, it may only be known which layer holds it.
//!
//! It does not know why a change set was made, nor how it looks as a layer ([`crate::layer`]).
//!
//! Start reading at [`Snapshotter`].

mod active;
mod alias;
mod copy;
mod difference;
mod error;
mod ground;
mod hold;
mod id;
mod implied;
mod index;
mod lazy;
mod merge;
mod overlay;
mod owners;
mod scratch;
mod shelf;
mod transfer;

use std::fmt;
use std::sync::Arc;

pub use self::active::Active;
pub use self::active::Stack;
pub use self::copy::Copy;
pub use self::error::Error;
pub use self::error::Result;
use self::hold::Held;
pub use self::id::SnapshotId;
pub use self::lazy::Kind;
pub use self::lazy::Lazy;
pub use self::overlay::Overlay;
use self::scratch::Scratch;
pub use self::scratch::remove_dead;
use crate::sys::Root;
use crate::sys::Timestamp;

/// A place that keeps snapshots. Several processes may use one at the same time.
pub trait Snapshotter: Send + Sync + fmt::Debug {
    /// Begins a change set on top of a chain.
    fn prepare(&self, chain: &[SnapshotId]) -> Result<Active>;

    /// Makes a change set a snapshot, under the name given or a new one. A snapshot that has the
    /// name already stays: equal names stand for equal content. If it was kept as a layer, it has a
    /// tree from now on.
    fn commit(&self, active: Active, id: Option<SnapshotId>) -> Result<SnapshotId>;

    /// Keeps a change set of which there is a layer and no tree: `layer` says which, in whatever
    /// form the caller reads. Until it is committed with a tree, nothing can lie on it.
    fn keep_layer(&self, layer: &[u8]) -> Result<SnapshotId>;

    /// Tells what was said of the layer of a change set that has no tree; nothing if it has one.
    fn layer_alone(&self, id: &SnapshotId) -> Result<Option<Vec<u8>>>;

    /// Opens the root file system that a chain is, for reading.
    fn view(&self, chain: &[SnapshotId]) -> Result<View>;

    /// Opens one snapshot by itself, whiteouts and all, for reading. What it changes in the chain
    /// below it is told by [`layer::changes`](crate::layer::changes) with a view of that chain.
    fn change_set(&self, id: &SnapshotId) -> Result<View>;

    /// Claims the name and tells whether there is a snapshot of it; waits while another process
    /// prunes.
    fn exists(&self, id: &SnapshotId) -> bool;

    /// Gives a snapshot a second name: that of the layer it was packed into. Whatever has the name
    /// already keeps it.
    fn alias(&self, id: &SnapshotId, name: &SnapshotId) -> Result<()>;

    /// Gives the name under which a snapshot was committed, whichever of its names is asked; none
    /// if there is no such snapshot.
    fn own_name(&self, id: &SnapshotId) -> Option<SnapshotId>;

    /// Tells when a snapshot was committed, in seconds and nanoseconds since 1970.
    fn created(&self, id: &SnapshotId) -> Result<Timestamp>;

    /// Lists the names of all snapshots, sorted.
    fn list(&self) -> Result<Vec<SnapshotId>>;

    /// Removes a snapshot, or a second name alone; nothing there is no failure, but a snapshot in
    /// use is.
    fn remove(&self, id: &SnapshotId) -> Result<()>;

    /// Removes those of the snapshots and second names that are not in use.
    fn remove_all(&self, ids: &[SnapshotId]) -> Result<Removed>;

    /// Removes what killed processes left behind, and names that stand for nothing any more; tells
    /// how many change sets that was.
    fn prune(&self) -> Result<usize>;
}

/// What was removed: nobody finds it any more. Its files go when this is dropped, which takes time.
#[derive(Debug)]
pub struct Removed {
    /// How many snapshots and second names.
    pub count: usize,
    _grave: Scratch,
}

/// A tree to read. While it is open, no process removes what it consists of.
#[derive(Debug)]
pub struct View {
    root: Root,
    _held: Vec<Arc<Held>>,
    /// What was made for it only.
    _made: Option<Arc<Scratch>>,
}

impl View {
    /// The tree.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }
}
