//! What is done once all stages are lowered.

use crate::dockerfile::Dockerfile;
use crate::dockerfile::Instruction;
use crate::dockerfile::Options;
use crate::dockerfile::Span;
use crate::dockerfile::check::Linter;
use crate::dockerfile::lower::base;
use crate::dockerfile::lower::cursor::State;
use crate::dockerfile::lower::run::PROXIES;
use crate::dockerfile::stage::Stages;
use crate::graph::Graph;
use crate::graph::Plan;
use crate::oci::ImageConfig;
use crate::oci::Platform;

/// Build arguments that mean something without an `ARG`.
const BUILT_IN: [&str; 12] = [
    "SOURCE_DATE_EPOCH",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
];

/// Makes the plan of the target.
pub(super) fn finish(mut graph: Graph, mut state: State, options: &Options) -> Plan {
    base::be_root(&mut graph, &mut state);
    let labels = options.labels.clone();
    state.config.config.labels.extend(labels);
    settle_platform(&mut state.config, options);
    let (graph, target) = graph.only(state.root);
    Plan {
        graph,
        target,
        config: state.config,
        history: state.history,
    }
}

/// Writes the platform that was asked for into the config, or else puts the base's in normal form.
fn settle_platform(config: &mut ImageConfig, options: &Options) {
    if let Some(wanted) = &options.platform {
        let same = config.os == wanted.os && config.architecture == wanted.architecture;
        config.os.clone_from(&wanted.os);
        config.architecture.clone_from(&wanted.architecture);
        if wanted.variant.is_some() || !same {
            config.variant.clone_from(&wanted.variant);
        }
        if wanted.os_version.is_some() || !same {
            config.os_version.clone_from(&wanted.os_version);
        }
        if !wanted.os_features.is_empty() {
            config.os_features.clone_from(&wanted.os_features);
        }
    }
    let normal = Platform::new(&config.os, &config.architecture, config.variant.as_deref());
    config.os = normal.os;
    config.architecture = normal.architecture;
    config.variant = normal.variant;
}

/// Warns of build arguments that nothing in the Dockerfile asks for.
pub(super) fn warn_unused(
    dockerfile: &Dockerfile,
    options: &Options,
    stages: &Stages<'_>,
    linter: &mut Linter,
) {
    let global = dockerfile
        .meta_args
        .iter()
        .map(|statement| &statement.instruction);
    let steps = stages.nodes.iter().flat_map(|node| &node.steps);
    let local = steps.filter_map(|step| match &step.statement.instruction {
        Instruction::Arg(arg) => Some(arg),
        _ => None,
    });
    let declarations = global.chain(local).flat_map(|arg| &arg.declarations);
    let declared: Vec<&str> = declarations.map(|found| found.key.as_str()).collect();
    let is_known = |name: &str| {
        let mut proxies = PROXIES.iter();
        declared.contains(&name)
            || BUILT_IN.contains(&name)
            || name.starts_with("BUILDKIT_")
            || proxies.any(|proxy| proxy.eq_ignore_ascii_case(name))
    };
    let names = options.build_args.keys();
    let unused: Vec<&str> = names
        .map(String::as_str)
        .filter(|name| !is_known(name))
        .collect();
    if !unused.is_empty() {
        let unused = unused.join(" ");
        let message = format!("One or more build-args [{unused}] were not consumed");
        linter.warn(message, Span::default());
    }
}
