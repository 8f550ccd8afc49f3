//! What a vertex reads of its inputs, before it is carried out and after.
//!
//! The keys count what [`mark`](crate::solver::mark) digests of the contexts before anything runs; a
//! copy that waits for a long command reads later, and whoever owns the files may have written to
//! them. What was made of another state must not be found under a key that counts the first one.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::cache::Cache;
use crate::cache::ContentDigest;
use crate::solver::Body;
use crate::solver::Error;
use crate::solver::Selection;
use crate::solver::Worker;
use crate::solver::vertex::Item;
use crate::solver::vertex::Shared;

impl<C: Cache + 'static, W: Worker> Shared<C, W> {
    /// Digests what a vertex reads of a root filesystem that is not the one it changes.
    pub(super) async fn content(
        self: &Arc<Self>,
        item: &Item,
        position: usize,
    ) -> Result<Option<ContentDigest>, Error<W::Error>> {
        self.unpack(item.inputs[position].image).await?;
        self.digest(item, position).await.map_err(|source| {
            item.step.started();
            let (vertex, name) = (item.id, item.vertex.name.clone());
            self.fail(&item.step, source, |source| Error::Content {
                vertex,
                name,
                source,
            })
        })
    }

    /// Asks the worker what a vertex reads of an input whose files are there.
    async fn digest(
        self: &Arc<Self>,
        item: &Item,
        position: usize,
    ) -> Result<Option<ContentDigest>, W::Error> {
        let worker = Arc::clone(&self.worker);
        let vertex = item.vertex.clone();
        let input = Arc::clone(&item.inputs[position]);
        let digested = spawn_blocking(move || {
            worker.content(&Selection {
                vertex: &vertex,
                position,
                input: &input,
            })
        });
        digested.await.unwrap_or_else(|panic| {
            std::panic::resume_unwind(panic.into_panic());
        })
    }

    /// Says whether a vertex that was carried out may have read of a context what its key does not
    /// count.
    pub(super) async fn is_outdated(self: &Arc<Self>, item: &Item) -> bool {
        for (position, input) in item.inputs.iter().enumerate() {
            let counted = match &input.body {
                Body::Context(context) if self.worker.may_change(context) => {
                    item.definition.contexts[position]
                }
                _ => None,
            };
            // What can no longer be read has changed, too.
            if counted.is_some() && self.digest(item, position).await.ok() != Some(counted) {
                return true;
            }
        }
        false
    }
}
