//! Vertices and edges.

use std::collections::HashMap;

use petgraph::Direction;
use petgraph::graph::DiGraph;
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;

use crate::graph::Op;

/// Names a vertex of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VertexId(usize);

impl VertexId {
    /// Gives the vertex's position in the order of creation, counted from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }

    fn node(self) -> NodeIndex {
        NodeIndex::new(self.0)
    }
}

/// An op in the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vertex {
    /// What is to be done.
    pub op: Op,
    /// What the user is shown: `[build 2/4] RUN make`. Empty for what is not worth showing.
    pub name: String,
    /// The instruction's first and last line in the Dockerfile, counted from 1; 0 if it has none.
    pub lines: (usize, usize),
    /// Whether the cache must not be asked (`--no-cache`, `--no-cache-filter`).
    pub uncached: bool,
}

/// The ops of a build and what each needs. Inputs exist before the vertex that needs them, so
/// there is no cycle.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// An edge goes from an input to the vertex that needs it and carries the input's position.
    dag: DiGraph<Vertex, usize>,
    known: HashMap<(Op, Vec<VertexId>), VertexId>,
}

impl Graph {
    /// Makes a graph without vertices.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vertex, or finds the one that does the same op on the same inputs; that one must not
    /// be asked of the cache if either must not.
    pub fn add(&mut self, vertex: Vertex, inputs: &[VertexId]) -> VertexId {
        let identity = (vertex.op.clone(), inputs.to_vec());
        if let Some(&known) = self.known.get(&identity) {
            self.dag[known.node()].uncached |= vertex.uncached;
            return known;
        }
        let node = self.dag.add_node(vertex);
        for (position, input) in inputs.iter().enumerate() {
            self.dag.add_edge(input.node(), node, position);
        }
        let id = VertexId(node.index());
        self.known.insert(identity, id);
        id
    }

    /// Adds the vertices of another graph, equal work once; gives where each of them is now.
    pub fn merge(&mut self, other: &Self) -> Vec<VertexId> {
        let mut places: Vec<VertexId> = Vec::with_capacity(other.len());
        for id in other.order() {
            let inputs = other.inputs(id);
            let inputs: Vec<VertexId> = inputs.iter().map(|input| places[input.0]).collect();
            places.push(self.add(other.vertex(id).clone(), &inputs));
        }
        places
    }

    /// Gives a vertex of this graph.
    #[must_use]
    pub fn vertex(&self, id: VertexId) -> &Vertex {
        &self.dag[id.node()]
    }

    /// Gives what `id` needs, by position.
    #[must_use]
    pub fn inputs(&self, id: VertexId) -> Vec<VertexId> {
        let edges = self.dag.edges_directed(id.node(), Direction::Incoming);
        let mut inputs: Vec<(usize, VertexId)> = edges
            .map(|edge| (*edge.weight(), VertexId(edge.source().index())))
            .collect();
        inputs.sort_unstable();
        inputs.into_iter().map(|(_, id)| id).collect()
    }

    /// Gives the vertices in an order in which each comes after its inputs.
    pub fn order(&self) -> impl DoubleEndedIterator<Item = VertexId> + use<> {
        (0..self.dag.node_count()).map(VertexId)
    }

    /// Gives the number of vertices.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dag.node_count()
    }

    /// Says whether there is no vertex.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives what `target` needs, and no others, with the place of `target` in it.
    #[must_use]
    pub fn only(&self, target: VertexId) -> (Self, VertexId) {
        let mut needed = vec![false; self.len()];
        needed[target.0] = true;
        for id in self.order().rev().filter(|id| id.0 <= target.0) {
            if needed[id.0] {
                for input in self.inputs(id) {
                    needed[input.0] = true;
                }
            }
        }
        let mut graph = Self::new();
        let mut places = HashMap::new();
        for id in self.order().filter(|id| needed[id.0]) {
            let inputs = self.inputs(id);
            let inputs: Vec<VertexId> = inputs.iter().map(|input| places[input]).collect();
            places.insert(id, graph.add(self.vertex(id).clone(), &inputs));
        }
        (graph, places[&target])
    }

    /// Gives the vertices whose change sets make the root filesystem of `id`, lowest first: from
    /// the base along input 0 up to `id` itself.
    #[must_use]
    pub fn chain(&self, id: VertexId) -> Vec<VertexId> {
        let mut chain = vec![id];
        let mut top = id;
        while self.vertex(top).op.changes_root() {
            top = self.inputs(top)[0];
            chain.push(top);
        }
        chain.reverse();
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::Graph;
    use super::Vertex;
    use crate::graph::MkdirOp;
    use crate::graph::Op;

    fn vertex(op: Op) -> Vertex {
        Vertex {
            op,
            name: String::new(),
            lines: (0, 0),
            uncached: false,
        }
    }

    fn mkdir(path: &str) -> Vertex {
        vertex(Op::Mkdir(MkdirOp {
            path: path.to_owned(),
            owner: String::new(),
        }))
    }

    #[test]
    fn equal_work_is_one_vertex() {
        let mut graph = Graph::new();
        let base = graph.add(vertex(Op::Scratch), &[]);
        let a = graph.add(mkdir("/a"), &[base]);
        assert_eq!(graph.add(mkdir("/a"), &[base]), a);
        let b = graph.add(mkdir("/b"), &[a, base, a]);
        assert_eq!(graph.len(), 3);
        assert_eq!(graph.inputs(b), [a, base, a]);
        assert_eq!(graph.chain(b), [base, a, b]);
        assert_eq!(graph.order().collect::<Vec<_>>(), [base, a, b]);
    }

    #[test]
    fn what_two_graphs_both_do_is_done_once() {
        let begin = |path| {
            let mut graph = Graph::new();
            let base = graph.add(vertex(Op::Scratch), &[]);
            let shared = graph.add(mkdir("/shared"), &[base]);
            let own = graph.add(mkdir(path), &[shared]);
            (graph, own)
        };
        let (mut graph, a) = begin("/a");
        let (other, b) = begin("/b");
        let places = graph.merge(&other);
        assert_eq!(graph.len(), 4);
        let b = places[b.index()];
        assert_eq!(graph.chain(b)[..2], graph.chain(a)[..2]);
        assert_eq!(graph.vertex(b).op, mkdir("/b").op);
    }

    #[test]
    fn what_the_target_does_not_need_can_be_left_out() {
        let mut graph = Graph::new();
        let base = graph.add(vertex(Op::Scratch), &[]);
        graph.add(mkdir("/other"), &[base]);
        let a = graph.add(mkdir("/a"), &[base]);
        graph.add(mkdir("/later"), &[a]);
        let (only, target) = graph.only(a);
        assert_eq!(only.len(), 2);
        assert_eq!(only.vertex(target).op, graph.vertex(a).op);
        let inputs = only.inputs(target);
        assert_eq!(only.vertex(inputs[0]).op, Op::Scratch);
    }
}
