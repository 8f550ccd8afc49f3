//! A change set packed into a layer of the store.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::layer;
use crate::layer::Below;
use crate::layer::Extent;
use crate::layer::PackOptions;
use crate::layer::Packed;
use crate::oci::Layer;
use crate::progress::Step;
use crate::snapshot::SnapshotId;
use crate::snapshot::View;
use crate::solver::Cancel;
use crate::solver::ChangeSet;
use crate::solver::LayerTask;
use crate::store::BlobWriter;
use crate::worker::Error;
use crate::worker::Worker;
use crate::worker::blocking;
use crate::worker::change_set::layer_id;
use crate::worker::change_set::pieces;
use crate::worker::change_set::whole;
use crate::worker::stoppable::Stoppable;

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
            false => {
                let below = if task.is_linked { &[] } else { below };
                pack_tree(&worker, &task, (&ids[0], &tree), below)
            }
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
    let snapshots = &worker.snapshots;
    let view = match below {
        [] => None,
        below => Some(snapshots.view(&whole(worker, below)?)?),
    };
    let below = view
        .as_ref()
        .map_or(Below::Nothing, |view| Below::Tree(view.root()));
    let writer = worker.store.writer()?;
    let (layer, extent) = write(
        worker,
        (&task.step, &task.cancel),
        writer,
        |options, out| layer::pack(tree.root(), below, options, out),
    )?;
    if extent == Extent::Whole {
        // Who builds on this image, or runs it, has its layer unpacked already.
        snapshots.alias(id, &layer_id(&layer.diff_id)?)?;
    }
    Ok(layer)
}

/// Keeps in the store what `pack` writes of the layer of a step.
pub(in crate::worker) fn write(
    worker: &Worker,
    (step, cancel): (&Step, &Cancel),
    mut writer: BlobWriter,
    pack: impl FnOnce(&PackOptions, Stoppable<'_, &mut BlobWriter>) -> layer::Result<Packed>,
) -> Result<(Layer, Extent), Error> {
    let options = PackOptions {
        clamp_epoch: worker.options.epoch,
        compression: worker.options.compression,
        earlier: pieces::earlier(worker, step),
    };
    let inner = &mut writer;
    let packed = pack(&options, Stoppable { inner, cancel })?;
    let layer = Layer {
        diff_id: packed.diff_id,
        blob: writer.commit(options.compression.media_type())?,
    };
    pieces::remember(worker, step, &layer, &packed.pieces);
    Ok((layer, packed.extent))
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
