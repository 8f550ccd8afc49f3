//! Notes of what each stage asks for, and putting them together.

use std::collections::BTreeSet;

use crate::dockerfile::globals::GlobalArg;
use crate::dockerfile::globals::Globals;
use crate::dockerfile::outline::Outline;
use crate::dockerfile::outline::OutlineArg;
use crate::dockerfile::outline::Request;
use crate::dockerfile::stage::Node;
use crate::dockerfile::stage::Origin;
use crate::dockerfile::stage::Stages;

/// What one stage asks for.
#[derive(Debug, Clone, Default)]
pub(in crate::dockerfile) struct Notes {
    /// The names its `ARG`s have.
    pub(in crate::dockerfile) names: BTreeSet<String>,
    /// Its `ARG`s that do not only repeat one from before the first `FROM`.
    pub(in crate::dockerfile) args: Vec<OutlineArg>,
    secrets: Vec<Request>,
    ssh: Vec<Request>,
}

impl Notes {
    /// Notes a secret.
    pub(in crate::dockerfile) fn secret(&mut self, request: Request) {
        add(&mut self.secrets, &request);
    }

    /// Notes an ssh agent.
    pub(in crate::dockerfile) fn ssh(&mut self, request: Request) {
        add(&mut self.ssh, &request);
    }
}

/// Adds what is not asked for yet.
fn add(requests: &mut Vec<Request>, request: &Request) {
    if requests.iter().all(|known| known.name != request.name) {
        requests.push(request.clone());
    }
}

/// Puts together what the target and all it needs ask for. `notes` gives those of a node.
pub(in crate::dockerfile) fn gather<'n>(
    stages: &Stages<'_>,
    globals: &Globals,
    notes: &dyn Fn(usize) -> Option<&'n Notes>,
) -> Outline {
    let target = &stages.nodes[stages.target];
    let mut outline = Outline {
        name: target.name.clone(),
        description: target.description.clone(),
        ..Outline::default()
    };
    let mut seen = BTreeSet::new();
    let mut visited = vec![false; stages.nodes.len()];
    let mut open = vec![stages.target];
    while let Some(position) = open.pop() {
        if std::mem::replace(&mut visited[position], true) {
            continue;
        }
        let node = &stages.nodes[position];
        let Some(notes) = notes(position) else {
            continue;
        };
        for arg in args(stages, node, globals, notes) {
            if seen.insert(arg.name.clone()) {
                outline.args.push(arg);
            }
        }
        for secret in &notes.secrets {
            add(&mut outline.secrets, secret);
        }
        for agent in &notes.ssh {
            add(&mut outline.ssh, agent);
        }
        let sources: Vec<usize> = node.sources().collect();
        open.extend(sources.into_iter().rev());
        // The base last, so that it is looked at next.
        if let Origin::Stage(base) = node.origin {
            open.push(base);
        }
    }
    outline.args.sort_by_key(|arg| arg.span.first_line);
    outline.secrets.sort_by_key(|found| found.span.first_line);
    outline.ssh.sort_by_key(|found| found.span.first_line);
    outline
}

/// Gives the arguments of one stage: its own, those its `FROM` names, and those that these come of.
fn args(stages: &Stages<'_>, node: &Node<'_>, globals: &Globals, notes: &Notes) -> Vec<OutlineArg> {
    let mut open: Vec<&str> = notes.names.iter().map(String::as_str).collect();
    let mut from = Some(node);
    while let Some(node) = from {
        open.extend(node.variables.iter().map(String::as_str));
        from = match node.origin {
            Origin::Stage(base) => Some(&stages.nodes[base]),
            _ => None,
        };
    }
    let mut seen = BTreeSet::new();
    let mut args = Vec::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        if let Some(own) = notes.args.iter().rfind(|arg| arg.name == name) {
            args.push(own.clone());
        } else if let Some(GlobalArg { arg, needs }) = globals.declared(name) {
            open.extend(needs.iter().map(String::as_str));
            args.push(arg.clone());
        }
    }
    args.sort_by_key(|arg| arg.span.start);
    args
}
