//! Which vertices the cache has the result of.

use crate::cache::Cache;
use crate::cache::CacheKey;
use crate::cache::Record;
use crate::graph::Graph;
use crate::graph::Op;
use crate::graph::VertexId;
use crate::solver::Body;
use crate::solver::ChangeSet;
use crate::solver::Job;
use crate::solver::Output;
use crate::solver::Worker;
use crate::solver::keys;
use crate::solver::keys::Definition;
use crate::solver::lenient::Lenient;

/// What is known of one vertex's result.
#[derive(Clone, Debug)]
enum Answer {
    /// Nothing; the cache was not asked.
    Unknown,
    /// It is not there. The cache was asked under the vertex's definition key, or was not.
    Missing { was_asked: bool },
    /// It is there: its key, and its record if it is made of one.
    Found {
        key: CacheKey,
        record: Option<Box<Record>>,
    },
}

/// The answers of the cache by definition, asked for as they are wanted.
#[derive(Debug)]
pub(super) struct Hits(Vec<Answer>);

impl Hits {
    pub(super) fn new(graph: &Graph) -> Self {
        Self(vec![Answer::Unknown; graph.len()])
    }

    /// Says whether the result of `top` is there, which means that all change sets of its root
    /// filesystem are, each made upon the one below.
    pub(super) fn find<C: Cache, W: Worker>(
        &mut self,
        job: &Job<'_, C, W>,
        cache: &Lenient<C>,
        definitions: &[Definition],
        top: VertexId,
    ) -> bool {
        for id in self.unknown_chain(job.graph, top).into_iter().rev() {
            self.0[id.index()] = self.answer(job, cache, &definitions[id.index()], id);
        }
        self.is_found(top)
    }

    pub(super) fn is_found(&self, id: VertexId) -> bool {
        matches!(self.0[id.index()], Answer::Found { .. })
    }

    /// Says whether the cache has denied the result under its definition key.
    pub(super) fn was_denied(&self, id: VertexId) -> bool {
        matches!(self.0[id.index()], Answer::Missing { was_asked: true })
    }

    /// Gives the record of a result that is there.
    pub(super) fn record(&self, id: VertexId) -> Option<&Record> {
        match &self.0[id.index()] {
            Answer::Found { record, .. } => record.as_deref(),
            _ => None,
        }
    }

    /// Gives a result that is there, as other vertices see it.
    pub(super) fn output(&self, graph: &Graph, id: VertexId) -> Option<Output> {
        let Answer::Found { key, .. } = self.0[id.index()] else {
            return None;
        };
        if let Op::Context(context) = &graph.vertex(id).op {
            return Some(Output::new(key, Body::Context(context.clone())));
        }
        let chain = graph.chain(id);
        let mut output = source_output(graph, chain[0], key);
        if let Body::Root(change_sets) = &mut output.body {
            let records = chain.iter().filter_map(|&id| self.record(id));
            change_sets.extend(records.map(|record| ChangeSet::Made(record.change_set.clone())));
        }
        Some(output)
    }

    /// Gives `top` and what lies below it, down to the first vertex of which the answer is known.
    fn unknown_chain(&self, graph: &Graph, top: VertexId) -> Vec<VertexId> {
        let mut chain = Vec::new();
        let mut next = Some(top);
        while let Some(id) = next.filter(|id| matches!(self.0[id.index()], Answer::Unknown)) {
            chain.push(id);
            let changes_root = graph.vertex(id).op.changes_root();
            next = changes_root.then(|| graph.inputs(id)[0]);
        }
        chain
    }

    /// Asks for one vertex, after those below it.
    fn answer<C: Cache, W: Worker>(
        &self,
        job: &Job<'_, C, W>,
        cache: &Lenient<C>,
        definition: &Definition,
        id: VertexId,
    ) -> Answer {
        let op = &job.graph.vertex(id).op;
        let base = match op {
            Op::Scratch | Op::Image(_) | Op::Context(_) => {
                let key = CacheKey::of_op(op, &[]);
                return Answer::Found { key, record: None };
            }
            Op::Http(_) | Op::Git(_) => CacheKey::of_op(&Op::Scratch, &[]),
            Op::Exec(_) | Op::Copy(_) | Op::Mkdir(_) => {
                let base = job.graph.inputs(id)[0];
                let Answer::Found { key, .. } = self.0[base.index()] else {
                    return Answer::Missing { was_asked: false };
                };
                key
            }
        };
        let Some(key) = definition.key.filter(|_| !definition.is_fresh) else {
            return Answer::Missing { was_asked: false };
        };
        match cache.get(&key) {
            Some(record)
                if record.base == keys::reads_base(op).then_some(base)
                    && job.worker.is_whole(&record) =>
            {
                let key = result_key(&base, &record);
                Answer::Found {
                    key,
                    record: Some(Box::new(record)),
                }
            }
            _ => Answer::Missing { was_asked: true },
        }
    }
}

/// Gives the result of a vertex that is the lowest of a chain, with `key`, before any change set
/// of a record is laid on it.
pub(super) fn source_output(graph: &Graph, id: VertexId, key: CacheKey) -> Output {
    let (layers, image) = match &graph.vertex(id).op {
        Op::Image(image) => {
            let layers = image.layers.iter();
            let layers = layers.map(|layer| ChangeSet::Layer(layer.diff_id));
            (layers.collect(), Some(id))
        }
        _ => (Vec::new(), None),
    };
    Output {
        key,
        body: Body::Root(layers),
        image,
        is_transient: false,
    }
}

/// Names the root filesystem that `record` makes on the one named `base`.
pub(super) fn result_key(base: &CacheKey, record: &Record) -> CacheKey {
    match &record.content {
        Some(content) => CacheKey::of_result(base, content),
        None => CacheKey::of_change_set(base, &record.change_set),
    }
}
