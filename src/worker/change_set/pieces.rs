//! What the last layer of a step consists of, so that the next one takes over what it has of it.

use std::sync::Arc;

use crate::cache::ContentHasher;
use crate::layer::Earlier;
use crate::layer::Piece;
use crate::oci::Layer;
use crate::progress::Step;
use crate::worker::Worker;

/// A layer of fewer pieces is compressed in no time.
const NOTED_MIN: usize = 4;

/// Gives what is known of the last layer that a step made.
pub(super) fn earlier(worker: &Worker, step: &Step) -> Option<Arc<Earlier>> {
    let (blob, bytes) = worker.store.note(&name(worker, step))?;
    let pieces = Piece::decode(&bytes)?;
    Some(Arc::new(Earlier::new(blob, &pieces)))
}

/// Notes what a layer of a step consists of.
pub(super) fn remember(worker: &Worker, step: &Step, layer: &Layer, pieces: &[Piece]) {
    if pieces.len() >= NOTED_MIN {
        let bytes = Piece::encode(pieces);
        worker
            .store
            .put_note(&name(worker, step), &layer.blob.digest, &bytes);
    }
}

/// Names a step from build to build. Where two have one name, only time is lost.
fn name(worker: &Worker, step: &Step) -> String {
    let mut hasher = ContentHasher::new();
    hasher.update_sized(step.name().as_bytes());
    hasher.update_sized(worker.packing().as_bytes());
    for (context, folder) in &worker.options.contexts {
        hasher.update_sized(context.as_bytes());
        hasher.update_sized(folder.as_os_str().as_encoded_bytes());
    }
    hasher.finish().hex()
}
