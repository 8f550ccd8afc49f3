//! Notes of what each stage asks for, and putting them together.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashSet;

use crate::dockerfile::globals::GlobalArg;
use crate::dockerfile::globals::Globals;
use crate::dockerfile::outline::Outline;
use crate::dockerfile::outline::OutlineArg;
use crate::dockerfile::outline::Request;
use crate::dockerfile::stage::Stages;

/// What one stage asks for.
#[derive(Debug, Clone, Default)]
pub(in crate::dockerfile) struct Notes {
    /// Its `ARG`s by name; none for one that only repeats an `ARG` from before the first `FROM`.
    args: BTreeMap<String, Option<OutlineArg>>,
    secrets: Requests,
    ssh: Requests,
}

/// Requests in order, the first of each name.
#[derive(Debug, Clone, Default)]
struct Requests {
    list: Vec<Request>,
    names: HashSet<String>,
}

impl Requests {
    fn add(&mut self, request: &Request) {
        if self.names.insert(request.name.clone()) {
            self.list.push(request.clone());
        }
    }
}

impl Notes {
    /// Notes an `ARG` of the stage.
    pub(in crate::dockerfile) fn arg(&mut self, arg: OutlineArg) {
        self.args.insert(arg.name.clone(), Some(arg));
    }

    /// Notes an `ARG` that repeats one from before the first `FROM`.
    pub(in crate::dockerfile) fn repeated_arg(&mut self, name: &str) {
        self.args.entry(name.to_owned()).or_default();
    }

    /// Notes a secret.
    pub(in crate::dockerfile) fn secret(&mut self, request: Request) {
        self.secrets.add(&request);
    }

    /// Notes an ssh agent.
    pub(in crate::dockerfile) fn ssh(&mut self, request: Request) {
        self.ssh.add(&request);
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
    let (mut secrets, mut ssh) = (Requests::default(), Requests::default());
    let mut seen = BTreeSet::new();
    let mut visited = vec![false; stages.nodes.len()];
    let mut walked = visited.clone();
    let mut open = vec![stages.target];
    while let Some(position) = open.pop() {
        if std::mem::replace(&mut visited[position], true) {
            continue;
        }
        let node = &stages.nodes[position];
        let Some(notes) = notes(position) else {
            continue;
        };
        let mut names: Vec<&str> = notes.args.keys().map(String::as_str).collect();
        // What the `FROM`s of its bases name counts here, before an `ARG` of theirs can hide it.
        let mut next = Some(position);
        while let Some(at) = next.filter(|&at| !std::mem::replace(&mut walked[at], true)) {
            names.extend(stages.nodes[at].variables.iter().map(String::as_str));
            next = stages.nodes[at].base_stage();
        }
        for arg in args(names, notes, globals) {
            if seen.insert(arg.name.as_str()) {
                outline.args.push(arg.clone());
            }
        }
        notes
            .secrets
            .list
            .iter()
            .for_each(|secret| secrets.add(secret));
        notes.ssh.list.iter().for_each(|agent| ssh.add(agent));
        let sources: Vec<usize> = node.sources().collect();
        open.extend(sources.into_iter().rev());
        // The base last, so that it is looked at next.
        open.extend(node.base_stage());
    }
    (outline.secrets, outline.ssh) = (secrets.list, ssh.list);
    outline.args.sort_by_key(|arg| arg.span.start);
    outline.secrets.sort_by_key(|found| found.span.start);
    outline.ssh.sort_by_key(|found| found.span.start);
    outline
}

/// Gives the arguments of the names, and those that these are made of.
fn args<'a>(
    mut names: Vec<&'a str>,
    notes: &'a Notes,
    globals: &'a Globals,
) -> Vec<&'a OutlineArg> {
    let mut seen = BTreeSet::new();
    let mut args = Vec::new();
    while let Some(name) = names.pop() {
        if !seen.insert(name) {
            continue;
        }
        if let Some(Some(own)) = notes.args.get(name) {
            args.push(own);
        } else if let Some(GlobalArg { arg, needs }) = globals.args.get(name) {
            names.extend(needs.iter().map(String::as_str));
            args.push(arg);
        }
    }
    args
}
