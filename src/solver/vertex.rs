//! The life of one vertex that is left to do, and of what hangs on it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio::sync::OnceCell;
use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;

use crate::cache::Cache;
use crate::cache::CacheKey;
use crate::cache::ContentDigest;
use crate::cache::InputKey;
use crate::cache::Record;
use crate::cache::components;
use crate::graph::ImageOp;
use crate::graph::Op;
use crate::graph::Vertex;
use crate::graph::VertexId;
use crate::oci::Layer;
use crate::progress::Step;
use crate::snapshot::SnapshotId;
use crate::solver::Body;
use crate::solver::Cancel;
use crate::solver::ChangeSet;
use crate::solver::Error;
use crate::solver::LayerTask;
use crate::solver::Made;
use crate::solver::Options;
use crate::solver::Output;
use crate::solver::Task;
use crate::solver::Worker;
use crate::solver::hits;
use crate::solver::keys;
use crate::solver::keys::Definition;
use crate::solver::lenient::Lenient;

/// What all vertices share.
pub(super) struct Shared<C, W> {
    pub(super) cache: Lenient<C>,
    pub(super) worker: Arc<W>,
    pub(super) options: Options,
    /// Comes with the user's wish to stop, or with the first failure.
    pub(super) cancel: Cancel,
    pub(super) has_failed: AtomicBool,
    /// One for each vertex that may be carried out at a time.
    pub(super) slots: Semaphore,
    /// One for each layer that may be packed at a time.
    pub(super) packers: Semaphore,
    pub(super) images: HashMap<VertexId, Image>,
}

/// An image that may have to be unpacked.
pub(super) struct Image {
    pub(super) op: ImageOp,
    pub(super) name: String,
    pub(super) step: Step,
    pub(super) is_ready: OnceCell<()>,
}

/// A vertex whose inputs are resolved.
pub(super) struct Item {
    pub(super) id: VertexId,
    pub(super) vertex: Vertex,
    pub(super) inputs: Vec<Arc<Output>>,
    pub(super) definition: Definition,
    /// Whether the cache was asked by definition, in vain.
    pub(super) was_denied: bool,
    pub(super) is_needed: bool,
    pub(super) is_exported: bool,
    /// Whether the result is of use to this build only: the key by definition counts a state of a
    /// context that was gone before it was read, here or in an input.
    pub(super) is_transient: bool,
    pub(super) step: Step,
}

impl Item {
    /// Gives the key by definition, if it says what the result is made of.
    fn definition_key(&self) -> Option<CacheKey> {
        self.definition.key.filter(|_| !self.is_transient)
    }

    /// Names what the change set of the vertex is laid on.
    fn base(&self) -> CacheKey {
        match self.inputs.first() {
            Some(base) => base.key,
            None => CacheKey::of_op(&Op::Scratch, &[]),
        }
    }

    /// Gives the result that `record` stands for.
    fn output(&self, record: &Record) -> Arc<Output> {
        let key = hits::result_key(&self.base(), record);
        let base = self.inputs.first();
        let mut chain = base.map_or_else(Vec::new, |base| base.chain().to_vec());
        chain.push(ChangeSet::Made(record.change_set.clone()));
        Arc::new(Output {
            key,
            body: Body::Root(chain),
            image: base.and_then(|base| base.image),
            is_transient: self.is_transient,
        })
    }
}

/// Resolves a vertex: finds its result by content, or carries it out.
pub(super) async fn resolve<C: Cache + 'static, W: Worker>(
    shared: &Arc<Shared<C, W>>,
    mut item: Item,
) -> Result<Arc<Output>, Error<W::Error>> {
    let op = &item.vertex.op;
    let counts = shared.count_inputs(&item).await?;
    let key = counts.as_ref().map(|counts| CacheKey::of_op(op, counts));
    if let Some(record) = key.and_then(|key| shared.find_by_content(&item, &key)) {
        shared
            .cache
            .put(item.definition_key().filter(|&by| Some(by) != key), &record);
        item.step.cached();
        return Ok(item.output(&record));
    }
    let made = shared.execute(&item, key).await?;
    let is_outdated = shared.is_outdated(&item).await;
    item.is_transient |= is_outdated;
    let key = key.filter(|_| !is_outdated);
    let layer = made.layer.clone();
    let change_set = made.change_set.clone();
    let record = shared.keep(&item, key, made, counts.unwrap_or_default());
    // If an earlier change set was taken, its own layer is the one to use.
    let layer = layer.filter(|_| record.change_set == change_set);
    if let (Some(layer), Some(packing)) = (layer, &shared.options.packing) {
        shared.cache.put_layer(&record.change_set, packing, &layer);
    }
    item.step.done();
    Ok(item.output(&record))
}

impl<C: Cache + 'static, W: Worker> Shared<C, W> {
    /// Gives how each input counts by content; none if that is not known of one.
    async fn count_inputs(
        self: &Arc<Self>,
        item: &Item,
    ) -> Result<Option<Vec<InputKey>>, Error<W::Error>> {
        let op = &item.vertex.op;
        let mut counts = Vec::with_capacity(item.inputs.len());
        for (position, input) in item.inputs.iter().enumerate() {
            let is_base = position == 0 && op.changes_root();
            let (key, content) = match input.body {
                Body::Context(_) => (None, item.definition.contexts[position]),
                Body::Root(_) if is_base => (Some(input.key), None),
                Body::Root(_) => (Some(input.key), self.content(item, position).await?),
            };
            counts.push(keys::of_input(op, position, key, content));
        }
        Ok(counts.into_iter().collect())
    }

    /// Asks the cache for a vertex whose inputs are known by content.
    fn find_by_content(&self, item: &Item, key: &CacheKey) -> Option<Record> {
        let was_asked = item.was_denied && item.definition.key.as_ref() == Some(key);
        if item.vertex.uncached || was_asked || !item.vertex.op.changes_root() {
            return None;
        }
        self.find(item, key)
    }

    /// Gives the record under `key`, if it fits the vertex's inputs.
    fn find(&self, item: &Item, key: &CacheKey) -> Option<Record> {
        let base = keys::reads_base(&item.vertex.op).then(|| item.base());
        self.cache
            .get(key)
            .filter(|record| record.base == base && self.worker.is_whole(record))
    }

    /// Carries out a vertex, as soon as there is a free slot.
    async fn execute(&self, item: &Item, key: Option<CacheKey>) -> Result<Made, Error<W::Error>> {
        let op = &item.vertex.op;
        for (position, input) in item.inputs.iter().enumerate() {
            if position > 0 || keys::reads_base(op) {
                self.unpack(input.image).await?;
            }
        }
        // A download waits for others, not for this machine.
        let _slot = match op.changes_root() {
            true => Some(self.slot(&self.slots).await?),
            false => None,
        };
        self.check()?;
        let is_download = !op.changes_root() && !item.vertex.uncached;
        item.step.started();
        let made = self.worker.execute(Task {
            id: item.id,
            vertex: item.vertex.clone(),
            inputs: item.inputs.clone(),
            previous: key
                .filter(|_| is_download)
                .and_then(|key| self.find(item, &key)),
            is_needed: item.is_needed,
            is_exported: item.is_exported,
            step: item.step.clone(),
            cancel: self.cancel.clone(),
        });
        made.await.map_err(|source| {
            let (vertex, name) = (item.id, item.vertex.name.clone());
            self.fail(&item.step, source, |source| Error::Execute {
                vertex,
                name,
                source,
            })
        })
    }

    /// Puts what was made into the cache, or finds that the same was there already: then that is
    /// taken, so that layers and keys of later vertices stay what they were.
    fn keep(
        &self,
        item: &Item,
        key: Option<CacheKey>,
        made: Made,
        counts: Vec<InputKey>,
    ) -> Record {
        let by_definition = item.definition_key();
        let by_result = made
            .content
            .map(|content| CacheKey::of_result(&item.base(), &content));
        let record = Record {
            change_set: made.change_set,
            content: made.content,
            times: made.times,
            base: keys::reads_base(&item.vertex.op).then(|| item.base()),
            components: components(&item.vertex.op, &counts),
            facts: made.facts,
        };
        let earlier = self.find_equal(item, (by_result, record.times), key);
        let record = match earlier {
            Some(earlier) => {
                if earlier.change_set != record.change_set {
                    self.worker.discard(&record.change_set);
                }
                Record {
                    change_set: earlier.change_set,
                    content: earlier.content,
                    times: earlier.times,
                    ..record
                }
            }
            None => {
                self.cache.put(by_result, &record);
                record
            }
        };
        self.cache.put(key, &record);
        self.cache
            .put(by_definition.filter(|&by| Some(by) != key), &record);
        record
    }

    /// Gives the record of an equal result that is there, or of the same work that another
    /// process was faster to do: so all later builds agree upon one. A vertex that must not use
    /// the cache gets none, nor one that gave its files other times than before: they would be lost
    /// in the image.
    fn find_equal(
        &self,
        item: &Item,
        (by_result, times): (Option<CacheKey>, Option<ContentDigest>),
        by_work: Option<CacheKey>,
    ) -> Option<Record> {
        if item.vertex.uncached {
            return None;
        }
        let by_work = by_work.filter(|_| item.vertex.op.changes_root());
        let equal = by_result.and_then(|key| self.find(item, &key));
        equal
            .filter(|record| record.times == times)
            .or_else(|| by_work.and_then(|key| self.find(item, &key)))
    }

    /// Makes the layers of an image ready, unless that has been done.
    pub(super) async fn unpack(&self, image: Option<VertexId>) -> Result<(), Error<W::Error>> {
        let Some((id, image)) = image.and_then(|id| Some((id, self.images.get(&id)?))) else {
            return Ok(());
        };
        let ready = image.is_ready.get_or_try_init(async || {
            self.check()?;
            image.step.started();
            let (step, cancel) = (image.step.clone(), self.cancel.clone());
            let unpacked = self.worker.unpack(image.op.clone(), step, cancel).await;
            unpacked.map_err(|source| {
                self.fail(&image.step, source, |source| Error::Execute {
                    vertex: id,
                    name: image.name.clone(),
                    source,
                })
            })?;
            image.step.done();
            Ok(())
        });
        ready.await.copied()
    }

    /// Packs the highest change set of `output` into a layer, unless that has been done.
    pub(super) async fn pack(
        &self,
        packed: Packed,
        packing: &str,
    ) -> Result<Layer, Error<W::Error>> {
        let known = self.cache.layer(&packed.change_set, packing);
        if let Some(layer) = known.filter(|layer| self.worker.has_layer(layer)) {
            return Ok(layer);
        }
        // What was carried out has its base ready; what was found may be all that is left of it.
        if !packed.is_linked {
            self.unpack(packed.output.image).await?;
        }
        let _packer = self.slot(&self.packers).await?;
        let made = self.worker.layer(LayerTask {
            id: packed.id,
            change_set: packed.change_set.clone(),
            output: packed.output,
            is_linked: packed.is_linked,
            step: packed.step.clone(),
            cancel: self.cancel.clone(),
        });
        let layer = made.await.map_err(|source| {
            self.fail(&packed.step, source, |source| Error::Layer {
                vertex: packed.id,
                name: packed.step.name().to_owned(),
                source,
            })
        })?;
        self.cache.put_layer(&packed.change_set, packing, &layer);
        Ok(layer)
    }

    /// Waits for a turn.
    async fn slot<'a>(&self, slots: &'a Semaphore) -> Result<SemaphorePermit<'a>, Error<W::Error>> {
        tokio::select! {
            biased;
            () = self.cancel.canceled() => Err(Error::Canceled),
            slot = slots.acquire() => Ok(slot.expect("the semaphore is never closed")),
        }
    }

    /// Refuses to begin anything once the work shall stop.
    fn check(&self) -> Result<(), Error<W::Error>> {
        match self.cancel.is_canceled() {
            true => Err(Error::Canceled),
            false => Ok(()),
        }
    }

    /// Takes note of a failure. The first one stops everything else and is the one to report;
    /// what fails after that, or after the user's wish to stop, was canceled.
    pub(super) fn fail(
        &self,
        step: &Step,
        source: W::Error,
        error: impl FnOnce(Box<W::Error>) -> Error<W::Error>,
    ) -> Error<W::Error> {
        let is_wished = self.options.cancel.is_canceled();
        if is_wished || self.has_failed.swap(true, Ordering::SeqCst) {
            step.canceled();
            return Error::Canceled;
        }
        self.cancel.cancel();
        step.failed(source.to_string());
        error(Box::new(source))
    }
}

/// A result of a target's chain, to be packed.
pub(super) struct Packed {
    pub(super) id: VertexId,
    pub(super) change_set: SnapshotId,
    pub(super) output: Arc<Output>,
    pub(super) is_linked: bool,
    pub(super) step: Step,
}
