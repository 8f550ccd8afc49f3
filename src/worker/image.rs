//! Base images: layers fetched and unpacked, all at once, each into a snapshot of its own.

use tokio::task::JoinSet;

use crate::graph::ImageOp;
use crate::layer::UnpackOptions;
use crate::oci::Layer;
use crate::oci::Reference;
use crate::progress::Step;
use crate::remote;
use crate::remote::Client;
use crate::snapshot::SnapshotId;
use crate::solver::Cancel;
use crate::store::Store;
use crate::worker::Error;
use crate::worker::Worker;
use crate::worker::blocking;
use crate::worker::tree;

/// Makes the layers of `image` snapshots. A layer that is one already is not touched, one whose
/// blob is in the store is not fetched.
pub(super) async fn unpack(
    worker: &Worker,
    image: ImageOp,
    step: Step,
    cancel: Cancel,
) -> Result<(), Error> {
    let mut running = JoinSet::new();
    for layer in image.layers {
        let id = tree::layer_id(&layer.diff_id)?;
        if worker.snapshots.exists(&id) {
            continue;
        }
        let snapshots = worker.snapshots.clone();
        let (store, client) = (worker.store.clone(), worker.client.clone());
        let (source, step) = (image.source.clone(), step.clone());
        running.spawn(async move {
            fetch(&client, source.as_ref(), &layer, &step).await?;
            blocking(move || unpack_layer(&store, &*snapshots, &layer, id)).await
        });
    }
    let canceled = cancel.canceled();
    tokio::pin!(canceled);
    loop {
        tokio::select! {
            () = &mut canceled => {
                running.shutdown().await;
                return Err(Error::Canceled);
            }
            joined = running.join_next() => match joined {
                None => return Ok(()),
                Some(Ok(done)) => done?,
                Some(Err(stopped)) if stopped.is_panic() => {
                    std::panic::resume_unwind(stopped.into_panic());
                }
                Some(Err(_)) => return Err(Error::Canceled),
            },
        }
    }
}

/// Brings the blob of a layer into the store, if it is not there.
async fn fetch(
    client: &Client,
    source: Option<&Reference>,
    layer: &Layer,
    step: &Step,
) -> Result<(), Error> {
    match source {
        Some(source) => Ok(remote::fetch_blob(client, source, &layer.blob, step).await?),
        None => Ok(()),
    }
}

fn unpack_layer(
    store: &Store,
    snapshots: &dyn crate::snapshot::Snapshotter,
    layer: &Layer,
    id: SnapshotId,
) -> Result<(), Error> {
    let mut blob = store.open_blob(&layer.blob)?;
    let active = snapshots.prepare(&[])?;
    active.unpack(&mut blob, &UnpackOptions::layer(Some(layer.diff_id)))?;
    snapshots.commit(active, Some(id))?;
    Ok(())
}
