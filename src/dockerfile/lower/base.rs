//! What a stage is before its first instruction.

use std::collections::HashMap;

use crate::dockerfile::Bases;
use crate::dockerfile::Error;
use crate::dockerfile::NamedContext;
use crate::dockerfile::PlanProblem;
use crate::dockerfile::check::Finding;
use crate::dockerfile::check::Linter;
use crate::dockerfile::lower::cursor::ENTRY_BYTES;
use crate::dockerfile::lower::cursor::Last;
use crate::dockerfile::lower::cursor::Shared;
use crate::dockerfile::lower::cursor::State;
use crate::dockerfile::lower::declared::Declared;
use crate::dockerfile::lower::paths;
use crate::dockerfile::lower::remote;
use crate::dockerfile::lower::title::title;
use crate::dockerfile::options::PATH;
use crate::dockerfile::outline::Notes;
use crate::dockerfile::stage::Node;
use crate::dockerfile::stage::Origin;
use crate::dockerfile::stage::Stages;
use crate::dockerfile::stage::plan_error;
use crate::graph;
use crate::graph::ContextOp;
use crate::graph::CopyOp;
use crate::graph::CopySource;
use crate::graph::Graph;
use crate::graph::ImageOp;
use crate::graph::Op;
use crate::graph::Vertex;
use crate::graph::VertexId;
use crate::oci::History;
use crate::oci::ImageConfig;

/// Makes the state that a stage's instructions begin with.
pub(super) fn start(
    shared: &mut Shared<'_, '_>,
    node: &Node<'_>,
    bases: &Bases,
) -> Result<State, Error> {
    let mut state = match &node.origin {
        Origin::Stage(position) => shared.follow(*position, node.span)?,
        Origin::Context { .. } => {
            let mut state = load(shared, node, bases)?;
            state.config = empty_config(node);
            state
        }
        Origin::Scratch | Origin::Image { .. } => load(shared, node, bases)?,
    };
    be_root(&mut shared.graph, &mut state);
    state.last = Last::default();
    state.notes = Notes::default();
    if matches!(node.origin, Origin::Stage(_)) {
        state.shown = 0;
    }
    state.config.config.on_build.clear();
    if state.config.config.env_value("PATH").is_none() {
        state.config.config.set_env("PATH", PATH);
    }
    shared.charge(state.config.config.env.len() * ENTRY_BYTES, node.span)?;
    for (place, pair) in state.config.config.env.iter().enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        state.environment.set(name, value);
        state.places.entry(name.to_owned()).or_insert(place);
    }
    let directory = &mut state.config.config.working_dir;
    if !directory.is_empty() {
        *directory = paths::join("/", directory);
        state.cwd = directory.clone();
    }
    Ok(state)
}

/// Makes the state of what can be copied from without being built: an image or a named context.
pub(super) fn load(
    shared: &mut Shared<'_, '_>,
    node: &Node<'_>,
    bases: &Bases,
) -> Result<State, Error> {
    let root = shared.graph.add(vertex(Op::Scratch, String::new()), &[]);
    let mut state = State {
        root,
        config: empty_config(node),
        history: Vec::new(),
        environment: shared.globals.environment.emptied(),
        declared: Declared::default(),
        places: HashMap::new(),
        cwd: "/".to_owned(),
        last: Last::default(),
        has_workdir: false,
        notes: Notes::default(),
        shown: 0,
    };
    match &node.origin {
        Origin::Scratch | Origin::Stage(_) => {}
        Origin::Context { name, context } => {
            state.config = ImageConfig::scratch(&node.platform);
            state.root = add_context(shared, node, name, context)?;
        }
        Origin::Image { source, context } => {
            let base = bases.get(source, &node.platform).ok_or_else(|| {
                let name = node.base.clone();
                plan_error(node.span, PlanProblem::NotResolved { name })
            })?;
            state.config = base.config.clone();
            state.config.created = None;
            if !base.layers.is_empty() {
                let name = match context {
                    Some(context) => format!("[context {context}] {}", base.name),
                    None => {
                        let text = format!("FROM {}", base.name);
                        title(node, &mut state, shared.options, &text)
                    }
                };
                let op = Op::Image(ImageOp {
                    name: node.base.clone(),
                    source: base.source.clone(),
                    layers: base.layers.clone(),
                });
                let lines = (node.span.first_line as usize, node.span.last_line as usize);
                let vertex = Vertex {
                    lines,
                    ..vertex(op, name)
                };
                state.root = shared.graph.add(vertex, &[]);
            }
        }
    }
    Ok(state)
}

/// Copies the files of `state` to where a root filesystem can be if they are elsewhere: in a
/// context.
pub(super) fn be_root(graph: &mut Graph, state: &mut State) {
    let found = graph.vertex(state.root);
    if found.op.changes_root() || matches!(found.op, Op::Scratch | Op::Image(_)) {
        return;
    }
    let name = found.name.clone();
    state.history.push(History {
        created_by: Some(name.clone()),
        comment: Some("buildkit.exporter.image.v0".to_owned()),
        ..History::default()
    });
    let scratch = graph.add(vertex(Op::Scratch, String::new()), &[]);
    let copy = Op::Copy(CopyOp {
        sources: vec![CopySource::Path {
            input: 1,
            path: "/".to_owned(),
            unpack: false,
        }],
        destination: "/".to_owned(),
        owner: None,
        mode: None,
        excludes: Vec::new(),
        parents: false,
        link: false,
    });
    state.root = graph.add(vertex(copy, name), &[scratch, state.root]);
}

/// Notes bases for another platform than the one asked for.
pub(super) fn check_platforms(stages: &Stages<'_>, bases: &Bases, linter: &mut Linter) {
    for (node, needed) in stages.nodes.iter().zip(&stages.needed) {
        let Origin::Image {
            source,
            context: None,
        } = &node.origin
        else {
            continue;
        };
        let Some(base) = bases.get(source, &node.platform).filter(|_| *needed) else {
            continue;
        };
        let (found, wanted) = (base.config.platform(), &node.platform);
        if found.os != wanted.os || found.architecture != wanted.architecture {
            let finding = Finding::InvalidBaseImagePlatform {
                image: &node.base,
                found: &found.to_string(),
                wanted: &wanted.to_string(),
            };
            linter.find_at(node.span, &[], finding);
        }
    }
}

fn add_context(
    shared: &mut Shared<'_, '_>,
    node: &Node<'_>,
    name: &str,
    context: &NamedContext,
) -> Result<VertexId, Error> {
    let (op, title) = match context {
        NamedContext::Url(url) => {
            let source = remote::context(url);
            let op = source.map_err(|problem| plan_error(node.span, problem))?;
            (
                op,
                format!("[context {name}] {}", graph::mask_userinfo(url)),
            )
        }
        NamedContext::Directory { ignore } => {
            let op = ContextOp {
                name: name.to_owned(),
                ignore: ignore.clone(),
            };
            (
                Op::Context(op),
                format!("[context {name}] load from client"),
            )
        }
        NamedContext::Image(_) | NamedContext::Layout(_) | NamedContext::Scratch => {
            unreachable!("a context that is an image is no context of files")
        }
    };
    Ok(shared.graph.add(vertex(op, title), &[]))
}

fn empty_config(node: &Node<'_>) -> ImageConfig {
    let mut config = ImageConfig::scratch(&node.platform);
    config.config.working_dir = "/".to_owned();
    config.config.set_env("PATH", PATH);
    config
}

fn vertex(op: Op, name: String) -> Vertex {
    Vertex {
        op,
        name,
        lines: (0, 0),
        uncached: false,
    }
}
