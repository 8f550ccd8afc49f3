//! The files of a result: opened for reading, or packed into a layer.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::graph::ContextOp;
use crate::graph::Patterns;
use crate::layer;
use crate::layer::Below;
use crate::layer::Extent;
use crate::layer::PackOptions;
use crate::layer::UnpackOptions;
use crate::oci::Layer;
use crate::snapshot;
use crate::snapshot::SnapshotId;
use crate::snapshot::View;
use crate::solver::Body;
use crate::solver::ChangeSet;
use crate::solver::LayerTask;
use crate::solver::Output;
use crate::sys::Owner;
use crate::sys::Root;
use crate::worker::Error;
use crate::worker::Worker;
use crate::worker::blocking;
use crate::worker::change_set::pieces;
use crate::worker::stoppable::Stoppable;

const ROOT: Owner = Owner { uid: 0, gid: 0 };

/// The files of an input, open for reading.
pub(in crate::worker) struct Tree {
    files: Files,
    /// What its ignore file leaves out; none if it has none.
    pub(in crate::worker) ignore: Option<Patterns>,
    /// Whose its files count as; none for their own owners.
    pub(in crate::worker) owner: Option<Owner>,
    /// The name of the context it is, if it is one.
    pub(in crate::worker) context: Option<String>,
}

enum Files {
    View(View),
    Directory(Root),
}

impl Tree {
    /// Opens the files of `output`.
    pub(in crate::worker) fn open(worker: &Worker, output: &Output) -> Result<Self, Error> {
        match &output.body {
            Body::Context(op) => Self::open_context(worker, op),
            Body::Root(chain) => {
                let view = worker.snapshots.view(&whole(worker, chain)?)?;
                Ok(Self {
                    files: Files::View(view),
                    ignore: None,
                    owner: None,
                    context: None,
                })
            }
        }
    }

    fn open_context(worker: &Worker, op: &ContextOp) -> Result<Self, Error> {
        let patterns = Patterns::new(&op.ignore)?;
        Ok(Self {
            files: Files::Directory(Root::open(context_path(worker, op))?),
            ignore: Some(patterns).filter(|patterns| !patterns.is_empty()),
            owner: Some(ROOT),
            context: Some(op.name.clone()),
        })
    }

    /// Gives the directory in which every path of the input is looked up.
    pub(in crate::worker) fn root(&self) -> &Root {
        match &self.files {
            Files::View(view) => view.root(),
            Files::Directory(root) => root,
        }
    }
}

/// Gives the directory of a context.
pub(in crate::worker) fn context_path<'a>(worker: &'a Worker, op: &ContextOp) -> &'a PathBuf {
    let path = worker.options.contexts.get(&op.name);
    path.expect("every context of the plan was opened before it was lowered")
}

/// Gives the snapshots of a root filesystem, lowest first. A change set of which there is only a
/// layer is unpacked.
pub(in crate::worker) fn whole(
    worker: &Worker,
    chain: &[ChangeSet],
) -> Result<Vec<SnapshotId>, Error> {
    let mut ids = Vec::with_capacity(chain.len());
    for change_set in chain {
        ids.push(match change_set {
            ChangeSet::Layer(diff_id) => layer_id(diff_id)?,
            ChangeSet::Made(id) => {
                if let Some(layer) = layer_alone(worker, id)? {
                    unpack(worker, id, &layer)?;
                }
                id.clone()
            }
        });
    }
    Ok(ids)
}

/// Says whether a change set is there, as a tree or as a layer to make it from.
pub(in crate::worker) fn is_whole(worker: &Worker, id: &SnapshotId) -> bool {
    match layer_alone(worker, id) {
        Ok(None) => true,
        Ok(Some(layer)) => worker.store.contains(&layer.blob),
        Err(_) => false,
    }
}

/// Gives the layer of a change set that has no tree.
fn layer_alone(worker: &Worker, id: &SnapshotId) -> Result<Option<Layer>, Error> {
    let Some(text) = worker.snapshots.layer_alone(id)? else {
        return Ok(None);
    };
    // What cannot be read is as good as gone.
    let layer = serde_json::from_slice(&text);
    let missing = |_| snapshot::Error::Missing { id: id.clone() };
    Ok(Some(layer.map_err(missing)?))
}

fn unpack(worker: &Worker, id: &SnapshotId, layer: &Layer) -> Result<(), Error> {
    let active = worker.snapshots.prepare(&[])?;
    let blob = worker.store.open_blob(&layer.blob)?;
    let options = UnpackOptions::layer(Some(layer.diff_id));
    active.unpack(blob, &options.within(worker.options.bounds))?;
    worker.snapshots.commit(active, Some(id.clone()))?;
    Ok(())
}

/// Gives the snapshot of an image's layer.
pub(in crate::worker) fn layer_id(diff_id: &crate::oci::DiffId) -> Result<SnapshotId, Error> {
    Ok(SnapshotId::new(diff_id.0.hex())?)
}

/// Packs the highest change set of a root filesystem into a layer of the store.
pub(in crate::worker) async fn pack(worker: &Worker, task: LayerTask) -> Result<Layer, Error> {
    let worker = worker.clone();
    blocking(move || {
        let (top, below) = task
            .output
            .chain()
            .split_last()
            .expect("a packed change set is part of its root filesystem");
        let ids = whole(&worker, std::slice::from_ref(top))?;
        let tree = worker.snapshots.change_set(&ids[0])?;
        match tree.root().dir().entries()?.is_empty() {
            true => worker.empty_layer.get(&worker),
            false => pack_tree(&worker, &task, (&ids[0], &tree), below),
        }
    })
    .await
}

fn pack_tree(
    worker: &Worker,
    task: &LayerTask,
    (id, tree): (&SnapshotId, &View),
    below: &[ChangeSet],
) -> Result<Layer, Error> {
    let (snapshots, options) = (&worker.snapshots, worker.pack_options(&task.step));
    let view = match below {
        [] => None,
        below => Some(snapshots.view(&whole(worker, below)?)?),
    };
    let below = view
        .as_ref()
        .map_or(Below::Nothing, |view| Below::Tree(view.root()));
    let mut writer = worker.store.writer()?;
    let out = Stoppable {
        inner: &mut writer,
        cancel: &task.cancel,
    };
    let packed = layer::pack(tree.root(), below, &options, out)?;
    let layer = Layer {
        diff_id: packed.diff_id,
        blob: writer.commit(options.compression.media_type())?,
    };
    pieces::remember(worker, &task.step, &layer, &packed.pieces);
    if packed.extent == Extent::Whole {
        // Who builds on this image, or runs it, has its layer unpacked already.
        snapshots.alias(id, &layer_id(&layer.diff_id)?)?;
    }
    Ok(layer)
}

/// The layer of a change set with nothing in it: the same for all, whatever lies below, so that a
/// command that changed no file needs no view, no compression and no waiting for the disk.
#[derive(Clone, Debug, Default)]
pub(in crate::worker) struct EmptyLayer(Arc<Mutex<Option<Layer>>>);

impl EmptyLayer {
    /// Gives it; the first time, it is packed, and written unless the store has it.
    fn get(&self, worker: &Worker) -> Result<Layer, Error> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layer) = &*known {
            return Ok(layer.clone());
        }
        let options = PackOptions::new(worker.options.compression);
        let mut bytes = Vec::new();
        let packed = layer::pack_files([], &options, &mut bytes)?;
        let blob = worker.store.put(options.compression.media_type(), &bytes)?;
        let layer = Layer {
            diff_id: packed.diff_id,
            blob,
        };
        Ok(known.insert(layer).clone())
    }
}
