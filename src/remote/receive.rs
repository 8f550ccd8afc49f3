//! Bytes from the network into the store: received here, hashed and written on another thread.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::oci::Descriptor;
use crate::progress::Step;
use crate::progress::Transfer;
use crate::remote::Error;
use crate::remote::document::blocking;
use crate::remote::tap::Tap;
use crate::store;
use crate::store::BlobWriter;
use crate::store::Store;

/// How many pieces may wait to be written; then the network waits.
const WAITING_PIECES: usize = 16;
/// How many bytes pass between two reports.
const REPORT_BYTES: u64 = 256 << 10;

/// A blob on its way into the store. Dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub(super) struct Receiver {
    pieces: mpsc::Sender<Bytes>,
    task: JoinHandle<Result<(BlobWriter, Option<Tap>), Error>>,
    received_bytes: u64,
}

impl Receiver {
    /// Begins a blob; what is written can be read from `tap` at once.
    pub(super) fn begin(store: &Store, tap: Option<Tap>) -> Self {
        let (pieces, mut waiting) = mpsc::channel::<Bytes>(WAITING_PIECES);
        let store = store.clone();
        let task = tokio::task::spawn_blocking(move || {
            let mut writer = store.writer().map_err(Error::Store)?;
            if let Some(tap) = &tap {
                tap.open(writer.reader().map_err(Error::Store)?);
            }
            while let Some(bytes) = waiting.blocking_recv() {
                writer.write_all(&bytes).map_err(Error::Stream)?;
                if let Some(tap) = &tap {
                    tap.wrote(bytes.len());
                }
            }
            Ok((writer, tap))
        });
        Self {
            pieces,
            task,
            received_bytes: 0,
        }
    }

    /// Gives how many bytes were taken.
    pub(super) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Takes the next bytes; waits if the disk is slower than the network. Says whether the
    /// writer still takes any: why not, [`Receiver::finish`] tells.
    pub(super) async fn take(&mut self, bytes: Bytes) -> bool {
        self.received_bytes += bytes.len() as u64;
        self.pieces.send(bytes).await.is_ok()
    }

    /// Gives up; the file is gone when this returns. Gives back the tap if nothing came out of it.
    pub(super) async fn abandon(self) -> Option<Tap> {
        drop(self.pieces);
        // Why it failed, if it did, no longer matters.
        let (_, tap) = self.task.await.ok()?.ok()?;
        tap.filter(|_| self.received_bytes == 0)
    }

    /// Waits until all is written and puts the blob in its place, if it is the one expected.
    pub(super) async fn finish(
        self,
        media_type: &str,
        expected: Option<&Descriptor>,
    ) -> Result<Descriptor, Error> {
        drop(self.pieces);
        let (writer, tap) = self
            .task
            .await
            .expect("the writer does not panic and is not aborted")?;
        let expected = expected.cloned();
        let media_type = media_type.to_owned();
        let commit = move || match expected {
            Some(expected) => writer.commit_as(&expected).map(|()| expected),
            None => writer.commit(&media_type),
        };
        let committed = blocking(commit).await.map_err(Error::Store)?;
        if let Some(tap) = tap {
            tap.close();
        }
        Ok(committed)
    }
}

/// Turns the store's complaint about a blob into one about where the blob came from.
pub(super) fn blame(error: Error, url: &str) -> Error {
    match error {
        Error::Store(store::Error::BlobDigest { expected, actual }) => Error::Digest {
            url: url.to_owned(),
            expected,
            actual,
        },
        Error::Store(store::Error::BlobSize {
            expected, actual, ..
        }) => Error::Size {
            url: url.to_owned(),
            expected,
            actual,
        },
        other => other,
    }
}

/// Says how far one item is, not too often.
#[derive(Debug)]
pub(super) struct Meter<'a> {
    pub(super) step: &'a Step,
    pub(super) item: Arc<str>,
    pub(super) transfer: Transfer,
    pub(super) total_bytes: Option<u64>,
    pub(super) reported_bytes: u64,
}

impl Meter<'_> {
    pub(super) fn moved(&mut self, done_bytes: u64) {
        let is_end = Some(done_bytes) == self.total_bytes;
        if is_end || done_bytes >= self.reported_bytes + REPORT_BYTES {
            self.step
                .moved(&self.item, self.transfer, done_bytes, self.total_bytes);
            self.reported_bytes = done_bytes;
        }
    }
}
