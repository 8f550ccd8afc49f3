//! Base images: layers fetched and unpacked, all at once, each into a snapshot of its own.

use std::io;
use std::io::Read;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::graph::ImageOp;
use crate::layer::UnpackOptions;
use crate::oci::Descriptor;
use crate::oci::Layer;
use crate::oci::Reference;
use crate::progress::Step;
use crate::progress::Transfer;
use crate::remote;
use crate::remote::Client;
use crate::snapshot::SnapshotId;
use crate::snapshot::Snapshotter;
use crate::solver::Cancel;
use crate::store::BlobReader;
use crate::worker::Error;
use crate::worker::Worker;
use crate::worker::blocking;
use crate::worker::tree;

/// How much is unpacked between two words about it.
const TOLD_BYTES: u64 = 1 << 20;

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
            blocking(move || {
                let blob = Metered::new(store.open_blob(&layer.blob)?, &layer.blob, step);
                unpack_layer(blob, &*snapshots, &layer, id)
            })
            .await
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
    blob: Metered,
    snapshots: &dyn Snapshotter,
    layer: &Layer,
    id: SnapshotId,
) -> Result<(), Error> {
    let active = snapshots.prepare(&[])?;
    active.unpack(blob, &UnpackOptions::layer(Some(layer.diff_id)))?;
    snapshots.commit(active, Some(id))?;
    Ok(())
}

/// A blob that tells how much of it was read.
struct Metered {
    blob: BlobReader,
    step: Step,
    item: Arc<str>,
    done_bytes: u64,
    told_bytes: u64,
    total_bytes: u64,
}

impl Metered {
    fn new(blob: BlobReader, descriptor: &Descriptor, step: Step) -> Self {
        Self {
            blob,
            step,
            item: Arc::from(descriptor.digest.to_string()),
            done_bytes: 0,
            told_bytes: 0,
            total_bytes: descriptor.size,
        }
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.read(buffer)?;
        self.done_bytes += count as u64;
        let is_end = self.done_bytes == self.total_bytes && self.told_bytes < self.done_bytes;
        if is_end || self.done_bytes >= self.told_bytes + TOLD_BYTES {
            self.told_bytes = self.done_bytes;
            self.step.moved(
                &self.item,
                Transfer::Unpack,
                self.done_bytes,
                Some(self.total_bytes),
            );
        }
        Ok(count)
    }
}
