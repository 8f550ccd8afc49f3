//! A plan as text, for people to read.

use std::fmt::Write;

use rbuild::dockerfile::Lowered;
use rbuild::dockerfile::Warning;
use rbuild::graph::CopyOp;
use rbuild::graph::CopySource;
use rbuild::graph::ExecOp;
use rbuild::graph::FileMode;
use rbuild::graph::GitOp;
use rbuild::graph::Mount;
use rbuild::graph::MountKind;
use rbuild::graph::Op;
use rbuild::graph::VertexId;
use serde_json::Value;

/// Prints vertices, config, history and warnings.
pub(super) fn print(lowered: &Lowered, warnings: &[Warning]) -> String {
    let mut out = String::new();
    let plan = &lowered.plan;
    for id in plan.graph.order() {
        let vertex = plan.graph.vertex(id);
        let inputs: Vec<usize> = plan
            .graph
            .inputs(id)
            .into_iter()
            .map(VertexId::index)
            .collect();
        let uncached = if vertex.uncached { " uncached" } else { "" };
        let (first, last) = vertex.lines;
        writeln!(out, "{}: {:?}", id.index(), vertex.name).unwrap();
        writeln!(out, "   inputs {inputs:?} lines {first}-{last}{uncached}").unwrap();
        for line in op(&vertex.op) {
            writeln!(out, "   {line}").unwrap();
        }
    }
    writeln!(out, "target: {}", plan.target.index()).unwrap();
    let config: Value = serde_json::from_slice(&plan.config.to_bytes()).unwrap();
    writeln!(out, "config: {config:#}").unwrap();
    for entry in &plan.history {
        let layer = if entry.empty_layer { "     " } else { "layer" };
        let line = entry.created_by.as_deref().unwrap_or_default();
        writeln!(out, "history: {layer} {line:?}").unwrap();
    }
    for warning in warnings {
        let line = warning.span.first_line;
        let rule = warning.rule.map(|rule| format!("{}: ", rule.name()));
        let rule = rule.unwrap_or_default();
        writeln!(out, "warning: {line}: {rule}{}", warning.message).unwrap();
    }
    if let Some(epoch) = lowered.epoch {
        writeln!(out, "epoch: {epoch}").unwrap();
    }
    out
}

fn op(op: &Op) -> Vec<String> {
    match op {
        Op::Scratch => vec!["scratch".to_owned()],
        Op::Image(op) => vec![format!("image {} of {} layers", op.name, op.layers.len())],
        Op::Context(op) => vec![format!("context {:?} ignoring {:?}", op.name, op.ignore)],
        Op::Http(op) => vec![format!(
            "http {} as {:?} {}",
            op.url,
            op.file_name,
            op.checksum
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default()
        )],
        Op::Git(op) => git(op),
        Op::Exec(op) => exec(op),
        Op::Copy(op) => copy(op),
        Op::Mkdir(op) => vec![format!("mkdir {} for {:?}", op.path, op.owner)],
    }
}

fn git(op: &GitOp) -> Vec<String> {
    vec![format!(
        "git {} reference {:?} subdir {:?} checksum {:?}{}{}{}",
        op.remote,
        op.reference,
        op.subdir,
        op.checksum,
        flag(op.keep_git_dir, " keep"),
        flag(op.submodules, " submodules"),
        flag(op.commit_mtime, " commit-times"),
    )]
}

fn exec(op: &ExecOp) -> Vec<String> {
    let mut lines = vec![format!("exec {:?}", op.args)];
    lines.push(format!(
        "cwd {} user {:?} host {}",
        op.cwd, op.user, op.hostname
    ));
    lines.push(format!(
        "network {:?} security {:?}",
        op.network, op.security
    ));
    lines.extend(
        op.env
            .iter()
            .map(|(name, value)| format!("env {name}={value:?}")),
    );
    let hidden = op.hidden_env.iter();
    lines.extend(hidden.map(|(name, value)| format!("hidden env {name}={value:?}")));
    lines.extend(op.mounts.iter().map(mount));
    lines
}

fn mount(mount: &Mount) -> String {
    let target = &mount.target;
    match &mount.kind {
        MountKind::Bind {
            input,
            source,
            writable,
        } => {
            format!(
                "bind {source} of input {input} at {target}{}",
                flag(*writable, " writable")
            )
        }
        MountKind::Tmpfs { size_bytes } => format!("tmpfs at {target} size {size_bytes:?}"),
        MountKind::Script { data } => format!("script at {target}: {data:?}"),
        MountKind::Cache(cache) => format!(
            "cache {:?} at {target} {:?} from {:?} of input {:?} mode {:o} owner {}:{}{}",
            cache.id,
            cache.sharing,
            cache.source,
            cache.input,
            cache.mode,
            cache.uid,
            cache.gid,
            flag(cache.readonly, " readonly"),
        ),
        MountKind::Secret(secret) => format!(
            "secret {:?} at {target:?} env {:?} mode {:o} owner {}:{}{}",
            secret.id,
            secret.env,
            secret.mode,
            secret.uid,
            secret.gid,
            flag(secret.required, " required"),
        ),
        MountKind::Ssh {
            id,
            required,
            mode,
            uid,
            gid,
        } => format!(
            "ssh {id:?} at {target} mode {mode:o} owner {uid}:{gid}{}",
            flag(*required, " required")
        ),
    }
}

fn copy(op: &CopyOp) -> Vec<String> {
    let mode = match &op.mode {
        None => String::new(),
        Some(FileMode::Octal(mode)) => format!(" mode {mode:o}"),
        Some(FileMode::Symbolic(text)) => format!(" mode {text}"),
    };
    let owner = op.owner.as_ref().map(|owner| format!(" owner {owner}"));
    let mut lines = vec![format!(
        "copy to {:?}{mode}{}{}{}",
        op.destination,
        owner.unwrap_or_default(),
        flag(op.parents, " parents"),
        flag(op.link, " link"),
    )];
    lines.extend(op.sources.iter().map(|source| match source {
        CopySource::Path {
            input,
            path,
            unpack,
        } => {
            format!("from {path:?} of input {input}{}", flag(*unpack, " unpack"))
        }
        CopySource::Inline { name, data } => format!("from inline {name:?}: {data:?}"),
    }));
    lines.extend(
        op.excludes
            .iter()
            .map(|pattern| format!("exclude {pattern:?}")),
    );
    lines
}

fn flag(on: bool, text: &'static str) -> &'static str {
    if on { text } else { "" }
}
