//! What must run: definition keys from the leaves up, hits from the targets down.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

use crate::cache::Cache;
use crate::cache::CacheKey;
use crate::cache::ContentDigest;
use crate::cache::InputKey;
use crate::graph::Graph;
use crate::graph::Op;
use crate::graph::VertexId;
use crate::oci::Layer;
use crate::progress::Step;
use crate::solver::Body;
use crate::solver::Error;
use crate::solver::Job;
use crate::solver::Marked;
use crate::solver::Output;
use crate::solver::Selection;
use crate::solver::Solved;
use crate::solver::Worker;
use crate::solver::hits::Hits;
use crate::solver::keys;
use crate::solver::keys::Definition;
use crate::solver::lenient::Lenient;

/// What is left to do after [`mark`].
#[derive(Debug)]
pub struct Work {
    /// The inputs of each vertex.
    pub(super) inputs: Vec<Vec<VertexId>>,
    /// The lowest vertex of each vertex's chain.
    pub(super) lowest: Vec<VertexId>,
    /// What each vertex is shown as.
    pub(super) steps: Vec<Step>,
    /// What is known of each vertex.
    pub(super) definitions: Vec<Definition>,
    /// The results that are there.
    pub(super) hits: Hits,
    /// Whether a vertex must be resolved.
    pub(super) is_left: Vec<bool>,
    /// The layers that are there.
    pub(super) layers: HashMap<VertexId, Layer>,
    /// The results of the targets' chains that are there, but not their layers.
    pub(super) to_pack: BTreeSet<VertexId>,
}

impl Work {
    /// Gives the ops that have to be carried out, unless the content of their inputs turns out to be
    /// known.
    pub fn ops<'a>(&self, graph: &'a Graph) -> impl Iterator<Item = &'a Op> {
        let is_left = |id: &VertexId| self.is_left[id.index()];
        let left = graph.order().filter(is_left);
        left.map(|id| &graph.vertex(id).op)
    }
}

/// Finds out what must be done for the targets, and says of everything else that it is cached.
/// Blocks while the contexts are read.
///
/// A result that is in the cache hides everything only it needs.
///
/// # Errors
/// [`Error::Content`] if a context does not hold what an op reads of it.
pub fn mark<C: Cache, W: Worker>(job: &Job<'_, C, W>) -> Result<Marked, Error<W::Error>> {
    let graph = job.graph;
    let sink = &job.options.sink;
    let mut work = Work {
        inputs: graph.order().map(|id| graph.inputs(id)).collect(),
        lowest: Vec::with_capacity(graph.len()),
        steps: graph
            .order()
            .map(|id| sink.step(&graph.vertex(id).name))
            .collect(),
        definitions: Vec::with_capacity(graph.len()),
        hits: Hits::new(graph),
        is_left: vec![false; graph.len()],
        layers: HashMap::new(),
        to_pack: BTreeSet::new(),
    };
    for id in graph.order() {
        let definition = define(job, &work, id)?;
        work.definitions.push(definition);
        let changes_root = graph.vertex(id).op.changes_root();
        work.lowest.push(match work.inputs[id.index()].first() {
            Some(base) if changes_root => work.lowest[base.index()],
            _ => id,
        });
    }
    let cache = Lenient::new(job.cache, sink);
    find_work(job, &cache, &mut work);
    find_layers(job, &cache, &mut work);
    announce(job, &work);
    Ok(match solved(job, &work) {
        Some(solved) => Marked::Solved(solved),
        None => Marked::Work(work),
    })
}

/// Gives what is known of a vertex whose inputs have been defined.
fn define<C, W: Worker>(
    job: &Job<'_, C, W>,
    work: &Work,
    id: VertexId,
) -> Result<Definition, Error<W::Error>> {
    let vertex = job.graph.vertex(id);
    let inputs = &work.inputs[id.index()];
    let op = &vertex.op;
    if inputs.is_empty() {
        return Ok(Definition {
            key: keys::of_source(op),
            is_fresh: vertex.uncached && matches!(op, Op::Http(_) | Op::Git(_)),
            contexts: Vec::new(),
        });
    }
    let mut contexts = Vec::with_capacity(inputs.len());
    let mut counts = Vec::with_capacity(inputs.len());
    for (position, &input) in inputs.iter().enumerate() {
        let content = context_content(job, work, id, position)?;
        contexts.push(content);
        let key = work.definitions[input.index()].key;
        counts.push(keys::of_input(op, position, key, content));
    }
    let counts: Option<Vec<InputKey>> = counts.into_iter().collect();
    let is_fresh = inputs
        .iter()
        .any(|input| work.definitions[input.index()].is_fresh);
    Ok(Definition {
        key: counts.map(|counts| CacheKey::of_op(op, &counts)),
        is_fresh: is_fresh || vertex.uncached,
        contexts,
    })
}

/// Digests what a vertex reads of an input, if that is a context.
fn context_content<C, W: Worker>(
    job: &Job<'_, C, W>,
    work: &Work,
    id: VertexId,
    position: usize,
) -> Result<Option<ContentDigest>, Error<W::Error>> {
    let input = job.graph.vertex(work.inputs[id.index()][position]);
    let Op::Context(context) = &input.op else {
        return Ok(None);
    };
    let key = CacheKey::of_op(&input.op, &[]);
    let vertex = job.graph.vertex(id);
    let selection = Selection {
        vertex,
        position,
        input: &Output::new(key, Body::Context(context.clone())),
    };
    job.worker.content(&selection).map_err(|source| {
        let step = &work.steps[id.index()];
        step.started();
        step.failed(source.to_string());
        Error::Content {
            vertex: id,
            name: vertex.name.clone(),
            source: Box::new(source),
        }
    })
}

/// Walks down from the targets as far as results are missing.
fn find_work<C: Cache, W: Worker>(job: &Job<'_, C, W>, cache: &Lenient<C>, work: &mut Work) {
    let mut wanted = job.targets.clone();
    while let Some(id) = wanted.pop() {
        let is_known = work.is_left[id.index()];
        if !is_known && !work.hits.find(job, cache, &work.definitions, id) {
            work.is_left[id.index()] = true;
            wanted.extend(&work.inputs[id.index()]);
        }
    }
}

/// Looks up the layers of those vertices of the targets' chains whose results are there.
fn find_layers<C: Cache, W: Worker>(job: &Job<'_, C, W>, cache: &Lenient<C>, work: &mut Work) {
    let Some(packing) = &job.options.packing else {
        return;
    };
    let chains = job
        .targets
        .iter()
        .flat_map(|&target| job.graph.chain(target));
    for id in chains {
        let Some(record) = work.hits.record(id) else {
            continue;
        };
        let layer = cache.layer(&record.change_set, packing);
        match layer.filter(|layer| job.worker.has_layer(layer)) {
            Some(layer) => {
                work.layers.insert(id, layer);
            }
            None => {
                work.to_pack.insert(id);
            }
        }
    }
}

/// Says which vertices need not run. Images that a vertex left over may read are not among them.
fn announce<C, W>(job: &Job<'_, C, W>, work: &Work) {
    let may_be_read = work.images_read(job, |_| true);
    for id in job.graph.order() {
        let is_shown = match job.graph.vertex(id).op {
            Op::Scratch | Op::Context(_) => false,
            _ => !work.is_left[id.index()] && !may_be_read.contains(&id),
        };
        if is_shown {
            work.steps[id.index()].cached();
        }
    }
}

/// Gives the results, if nothing is left to do.
fn solved<C, W>(job: &Job<'_, C, W>, work: &Work) -> Option<Vec<Solved>> {
    let solved = job.targets.iter().map(|&target| {
        let output = work.hits.output(job.graph, target)?;
        Some(Solved {
            output: Arc::new(output),
            layers: exported_layers(job, target, &work.layers)?,
        })
    });
    solved.collect()
}

/// Gives the layers of a target's image, lowest first, if they are all there; none are wanted where
/// nothing is packed.
pub(super) fn exported_layers<C, W>(
    job: &Job<'_, C, W>,
    target: VertexId,
    layers: &HashMap<VertexId, Layer>,
) -> Option<Vec<Layer>> {
    let mut exported = Vec::new();
    if job.options.packing.is_none() {
        return Some(exported);
    }
    for id in job.graph.chain(target) {
        let op = &job.graph.vertex(id).op;
        match op {
            Op::Image(image) => exported.extend(image.layers.iter().cloned()),
            _ if op.changes_root() => exported.push(layers.get(&id)?.clone()),
            _ => {}
        }
    }
    Some(exported)
}

impl Work {
    /// Gives the images whose files may be read by vertices that are left to do or to pack, of those
    /// that `is_asked` accepts.
    pub(super) fn images_read<C, W>(
        &self,
        job: &Job<'_, C, W>,
        is_asked: impl Fn(VertexId) -> bool,
    ) -> Vec<VertexId> {
        let mut images = Vec::new();
        for id in job.graph.order() {
            let op = &job.graph.vertex(id).op;
            let is_left = self.is_left[id.index()];
            let is_compared = self.to_pack.contains(&id) && !keys::is_linked(op);
            if !(is_left || is_compared) || !is_asked(id) {
                continue;
            }
            for (position, &input) in self.inputs[id.index()].iter().enumerate() {
                let is_read = match position {
                    0 => is_compared || keys::reads_base(op),
                    _ => is_left,
                };
                let lowest = self.lowest[input.index()];
                if is_read && matches!(job.graph.vertex(lowest).op, Op::Image(_)) {
                    images.push(lowest);
                }
            }
        }
        images.sort_unstable();
        images.dedup();
        images
    }
}
