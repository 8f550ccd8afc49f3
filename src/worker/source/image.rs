//! Base images: layers fetched and unpacked, all at once, each into a snapshot of its own.

use std::collections::HashSet;
use std::io;
use std::io::Read;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::graph::ImageOp;
use crate::layer::UnpackOptions;
use crate::oci::Descriptor;
use crate::oci::Layer;
use crate::oci::Reference;
use crate::progress::Step;
use crate::progress::Transfer;
use crate::remote;
use crate::remote::Tap;
use crate::remote::Wanted;
use crate::snapshot::Active;
use crate::snapshot::SnapshotId;
use crate::solver::Cancel;
use crate::worker::Error;
use crate::worker::Worker;
use crate::worker::blocking;
use crate::worker::change_set;

/// How much is unpacked between two words about it.
const TOLD_BYTES: u64 = 1 << 20;

/// How many layers are brought and unpacked at the same time.
const AT_ONCE: usize = 8;

/// A layer that is to become a snapshot, and what that takes.
struct Job {
    layer: Layer,
    id: SnapshotId,
    /// An image that has it.
    source: Option<Reference>,
    worker: Worker,
    step: Step,
}

/// Makes the layers of `image` snapshots. A layer that is one already is not touched, one whose
/// blob is in the store is not fetched, and one that is fetched is unpacked while it arrives.
pub(in crate::worker) async fn unpack(
    worker: &Worker,
    image: ImageOp,
    step: Step,
    cancel: Cancel,
) -> Result<(), Error> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    let mut seen = HashSet::new();
    for layer in image.layers {
        let id = change_set::layer_id(&layer.diff_id)?;
        if worker.snapshots.exists(&id) || !seen.insert(layer.diff_id) {
            continue;
        }
        let job = Job {
            layer,
            id,
            source: image.source.clone(),
            worker: worker.clone(),
            step: step.clone(),
        };
        let turns = Arc::clone(&turns);
        running.spawn(async move {
            let turn = turns.acquire().await;
            let _turn = turn.expect("the semaphore is never closed");
            make_ready(Arc::new(job)).await
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

/// Brings a layer into the store, if it is not there, and makes it a snapshot.
async fn make_ready(job: Arc<Job>) -> Result<(), Error> {
    let is_here = job.worker.store.contains(&job.layer.blob);
    let source = job.source.as_ref().filter(|_| !is_here);
    let arrived = match source {
        Some(source) => fetch(&job, source).await?,
        None => None,
    };
    blocking(move || {
        let active = match arrived {
            Some(active) => active,
            None => unpack_layer(&job, job.worker.store.open_blob(&job.layer.blob)?)?,
        };
        job.worker.snapshots.commit(active, Some(job.id.clone()))?;
        Ok(())
    })
    .await
}

/// Fetches a layer and unpacks it while it arrives; gives what it became. None if that failed
/// though the layer is in the store now: then it tells why, if it was not the way.
async fn fetch(job: &Arc<Job>, source: &Reference) -> Result<Option<Active>, Error> {
    let (tap, tapped) = Tap::new();
    let reader = Arc::clone(job);
    let unpacking = blocking(move || unpack_layer(&reader, tapped));
    let wanted = Wanted {
        repository: source,
        blob: &job.layer.blob,
    };
    let fetching = remote::fetch_blob_tapped(&job.worker.client, wanted, &job.step, tap);
    let (fetched, unpacked) = tokio::join!(fetching, unpacking);
    fetched?;
    Ok(unpacked.ok())
}

fn unpack_layer(job: &Job, blob: impl Read + Send) -> Result<Active, Error> {
    let active = job.worker.snapshots.prepare(&[])?;
    let blob = Metered::new(blob, &job.layer.blob, job.step.clone());
    let options = UnpackOptions::layer(Some(job.layer.diff_id));
    active.unpack(blob, &options.within(job.worker.options.bounds))?;
    Ok(active)
}

/// A blob that tells how much of it was read.
struct Metered<R> {
    blob: R,
    step: Step,
    item: Arc<str>,
    done_bytes: u64,
    told_bytes: u64,
    total_bytes: u64,
}

impl<R> Metered<R> {
    fn new(blob: R, descriptor: &Descriptor, step: Step) -> Self {
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

impl<R: Read> Read for Metered<R> {
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
