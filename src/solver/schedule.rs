//! The order of the work: each vertex once, as soon as its inputs are there.

use std::collections::HashMap;
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::OnceCell;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cache::Cache;
use crate::graph::Op;
use crate::graph::VertexId;
use crate::oci::Layer;
use crate::solver::ChangeSet;
use crate::solver::Error;
use crate::solver::Job;
use crate::solver::Output;
use crate::solver::Solved;
use crate::solver::Work;
use crate::solver::Worker;
use crate::solver::keys;
use crate::solver::lenient::Lenient;
use crate::solver::mark::exported_layers;
use crate::solver::vertex::Image;
use crate::solver::vertex::Item;
use crate::solver::vertex::Packed;
use crate::solver::vertex::Shared;
use crate::solver::vertex::resolve;

/// How many vertices are carried out at a time at least, if nobody says.
const JOBS_MIN: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// Does what [`mark`](crate::solver::mark) left, in the tokio runtime of the caller.
///
/// # Errors
/// The first failure. By then everything that was begun has ended.
pub async fn schedule<C: Cache + 'static, W: Worker>(
    job: &Job<'_, C, W>,
    work: Work,
) -> Result<Vec<Solved>, Error<W::Error>> {
    let mut schedule = Schedule::new(job, work);
    schedule.begin();
    schedule.tell_layers();
    let mut failure = None;
    while let Some(ended) = schedule.tasks.join_next().await {
        match ended {
            Ok(Ok(Ended::Vertex(id, output))) => schedule.resolved(id, output),
            Ok(Ok(Ended::Layer(id, layer))) => {
                schedule.job.worker.has_ready(&layer);
                schedule.work.layers.insert(id, *layer);
            }
            Ok(Ok(Ended::Image)) => {}
            // Of all that end badly only the first failure is not called canceled.
            Ok(Err(Error::Canceled)) => failure = failure.or(Some(Error::Canceled)),
            Ok(Err(error)) => failure = Some(error),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
    match failure {
        Some(error) => Err(error),
        None => schedule.solved().ok_or(Error::Canceled),
    }
}

/// What ended well.
enum Ended {
    Vertex(VertexId, Arc<Output>),
    Layer(VertexId, Box<Layer>),
    Image,
}

struct Schedule<'a, C, W: Worker> {
    job: &'a Job<'a, C, W>,
    work: Work,
    shared: Arc<Shared<C, W>>,
    outputs: HashMap<VertexId, Arc<Output>>,
    /// How many inputs of each vertex are not resolved yet.
    waits_for: Vec<usize>,
    /// The vertices that are left and need a vertex.
    dependants: Vec<Vec<VertexId>>,
    /// The chains of the targets, if their layers are wanted.
    exported: HashSet<VertexId>,
    tasks: JoinSet<Result<Ended, Error<W::Error>>>,
}

impl<'a, C: Cache + 'static, W: Worker> Schedule<'a, C, W> {
    fn new(job: &'a Job<'a, C, W>, work: Work) -> Self {
        let graph = job.graph;
        let mut waits_for = vec![0; graph.len()];
        let mut dependants = vec![Vec::new(); graph.len()];
        for id in graph.order().filter(|id| work.is_left[id.index()]) {
            for input in &work.inputs[id.index()] {
                dependants[input.index()].push(id);
                waits_for[id.index()] += usize::from(work.is_left[input.index()]);
            }
        }
        let exported = match job.options.packing {
            Some(_) => {
                let targets = job.targets.iter();
                targets.flat_map(|&target| graph.chain(target)).collect()
            }
            None => HashSet::new(),
        };
        Self {
            job,
            shared: Arc::new(shared(job, &work)),
            work,
            outputs: HashMap::new(),
            waits_for,
            dependants,
            exported,
            tasks: JoinSet::new(),
        }
    }

    /// Tells which layers of the targets are there from the beginning.
    fn tell_layers(&self) {
        for id in &self.exported {
            if let Op::Image(image) = &self.job.graph.vertex(*id).op {
                let worker = self.job.worker;
                image
                    .layers
                    .iter()
                    .for_each(|layer| worker.has_ready(layer));
            }
            if let Some(layer) = self.work.layers.get(id) {
                self.job.worker.has_ready(layer);
            }
        }
    }

    /// Begins everything that waits for nothing.
    fn begin(&mut self) {
        // What was denied by definition will most likely be carried out, so the images it needs
        // are pulled now. What can only be asked by content may turn out to need none.
        let surely = |id: VertexId| {
            let definition = &self.work.definitions[id.index()];
            let is_tainted = definition.is_fresh || definition.key.is_none();
            !is_tainted || self.job.graph.vertex(id).uncached
        };
        for image in self.work.images_read(self.job, surely) {
            let shared = Arc::clone(&self.shared);
            self.tasks
                .spawn(async move { shared.unpack(Some(image)).await.map(|()| Ended::Image) });
        }
        for id in self.job.graph.order() {
            if self.work.is_left[id.index()] && self.waits_for[id.index()] == 0 {
                self.start(id);
            }
        }
        for id in self.work.to_pack.clone() {
            let output = self.input(id);
            self.pack(id, &output);
        }
    }

    /// Begins to resolve a vertex whose inputs are resolved.
    fn start(&mut self, id: VertexId) {
        let inputs = self.work.inputs[id.index()].clone();
        let inputs = inputs.into_iter().map(|input| self.input(input));
        let inputs: Vec<Arc<Output>> = inputs.collect();
        let item = Item {
            id,
            vertex: self.job.graph.vertex(id).clone(),
            is_transient: inputs.iter().any(|input| input.is_transient),
            inputs,
            definition: self.work.definitions[id.index()].clone(),
            was_denied: self.work.hits.was_denied(id),
            is_needed: !self.dependants[id.index()].is_empty(),
            is_exported: self.exported.contains(&id),
            step: self.work.steps[id.index()].clone(),
        };
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let output = resolve(&shared, item).await?;
            Ok(Ended::Vertex(id, output))
        });
    }

    /// Gives the result of a vertex that is resolved or was there from the beginning.
    fn input(&mut self, id: VertexId) -> Arc<Output> {
        let output = self.outputs.entry(id).or_insert_with(|| {
            let output = self.work.hits.output(self.job.graph, id);
            Arc::new(output.expect("a vertex starts when its inputs are there"))
        });
        Arc::clone(output)
    }

    /// Takes the result of a vertex, and begins what waited for it alone.
    fn resolved(&mut self, id: VertexId, output: Arc<Output>) {
        if self.shared.cancel.is_canceled() {
            return;
        }
        if self.exported.contains(&id) {
            self.pack(id, &output);
        }
        self.outputs.insert(id, output);
        for dependant in self.dependants[id.index()].clone() {
            self.waits_for[dependant.index()] -= 1;
            if self.waits_for[dependant.index()] == 0 {
                self.start(dependant);
            }
        }
    }

    /// Begins to pack the highest change set of a result.
    fn pack(&mut self, id: VertexId, output: &Arc<Output>) {
        let (Some(packing), Some(ChangeSet::Made(change_set))) =
            (self.job.options.packing.clone(), output.chain().last())
        else {
            return;
        };
        let packed = Packed {
            id,
            change_set: change_set.clone(),
            output: Arc::clone(output),
            is_linked: keys::is_linked(&self.job.graph.vertex(id).op),
            step: self.work.steps[id.index()].clone(),
        };
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let layer = shared.pack(packed, &packing).await?;
            Ok(Ended::Layer(id, Box::new(layer)))
        });
    }

    /// Gives the results, if everything was done.
    fn solved(mut self) -> Option<Vec<Solved>> {
        let is_there =
            |&target| self.work.hits.is_found(target) || self.outputs.contains_key(&target);
        if !self.job.targets.iter().all(is_there) {
            return None;
        }
        for image in self.shared.images.values() {
            if !image.is_ready.initialized() {
                image.step.cached();
            }
        }
        let solved = self.job.targets.iter().map(|&target| {
            Some(Solved {
                layers: exported_layers(self.job, target, &self.work.layers)?,
                output: self.input(target),
            })
        });
        solved.collect()
    }
}

/// As many as there are processors, but some: a vertex may wait for the disk or the network. It
/// takes files of the kernel's to tell, so that who finds all done does not ask.
fn usual_jobs() -> NonZeroUsize {
    let processors = std::thread::available_parallelism();
    processors.map_or(JOBS_MIN, |processors| processors.max(JOBS_MIN))
}

/// Makes what all vertices share.
fn shared<C: Cache, W: Worker>(job: &Job<'_, C, W>, work: &Work) -> Shared<C, W> {
    let jobs = job.options.jobs.unwrap_or_else(usual_jobs);
    let jobs = jobs.get().min(Semaphore::MAX_PERMITS);
    let images = work.images_read(job, |_| true).into_iter();
    let images = images.filter_map(|id| {
        let vertex = job.graph.vertex(id);
        let Op::Image(op) = &vertex.op else {
            return None;
        };
        let image = Image {
            op: op.clone(),
            name: vertex.name.clone(),
            step: work.steps[id.index()].clone(),
            is_ready: OnceCell::new(),
        };
        Some((id, image))
    });
    Shared {
        cache: Lenient::new(job.cache, &job.options.sink),
        worker: Arc::clone(job.worker),
        options: job.options.clone(),
        cancel: job.options.cancel.child(),
        has_failed: AtomicBool::new(false),
        slots: Semaphore::new(jobs),
        packers: Semaphore::new(jobs),
        images: images.collect(),
    }
}
