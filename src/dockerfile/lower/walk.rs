//! Going through the stages in order, instruction by instruction.

use crate::dockerfile::Base;
use crate::dockerfile::Bases;
use crate::dockerfile::Dockerfile;
use crate::dockerfile::Error;
use crate::dockerfile::Instruction;
use crate::dockerfile::Options;
use crate::dockerfile::Outline;
use crate::dockerfile::Wanted;
use crate::dockerfile::check;
use crate::dockerfile::check::Linter;
use crate::dockerfile::globals;
use crate::dockerfile::globals::Globals;
use crate::dockerfile::lower::arg;
use crate::dockerfile::lower::base;
use crate::dockerfile::lower::copy;
use crate::dockerfile::lower::cursor::Cursor;
use crate::dockerfile::lower::cursor::REPEATED_MAX;
use crate::dockerfile::lower::cursor::Shared;
use crate::dockerfile::lower::cursor::State;
use crate::dockerfile::lower::expose;
use crate::dockerfile::lower::metadata;
use crate::dockerfile::lower::run;
use crate::dockerfile::lower::target;
use crate::dockerfile::lower::workdir;
use crate::dockerfile::outline;
use crate::dockerfile::stage;
use crate::dockerfile::stage::Node;
use crate::dockerfile::stage::Stages;
use crate::graph::Graph;
use crate::graph::Plan;

/// What a Dockerfile comes to, and what was noted on the way.
#[derive(Debug)]
pub(in crate::dockerfile) struct Noted {
    /// What is to be done.
    pub(in crate::dockerfile) plan: Plan,
    /// `SOURCE_DATE_EPOCH`.
    pub(in crate::dockerfile) epoch: Option<i64>,
    /// What the target asks for.
    pub(in crate::dockerfile) outline: Outline,
    /// What keeps it from being built, though it may be looked at.
    pub(in crate::dockerfile) refused: Option<Error>,
}

/// What is lowered.
#[derive(Debug, Clone, Copy)]
pub(in crate::dockerfile) struct Input<'a> {
    /// What the user wrote.
    pub(in crate::dockerfile) dockerfile: &'a Dockerfile,
    /// What the user asked for besides.
    pub(in crate::dockerfile) options: &'a Options,
    /// The images that have been resolved.
    pub(in crate::dockerfile) bases: &'a Bases,
    /// How much of it is looked at.
    pub(in crate::dockerfile) extent: Extent,
}

/// Which stages are lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dockerfile) enum Extent {
    /// Those that the target needs.
    Target,
    /// All.
    Everything,
}

/// Gives the images that are wanted for what is to be lowered and that it does not have.
pub(in crate::dockerfile) fn missing(input: &Input<'_>) -> Result<Vec<Wanted>, Error> {
    let globals = globals::evaluate(input.dockerfile, input.options)?;
    let stages = resolve(input, &globals, &mut Linter::silent())?;
    Ok(stages.wanted(input.bases))
}

/// Gathers the images that are wanted; one that `find` does not give counts as one that sets
/// nothing but `PATH`. An error is met again, and told, by whoever uses them.
pub(in crate::dockerfile) fn bases_at_hand(
    (dockerfile, options): (&Dockerfile, &Options),
    extent: Extent,
    find: &dyn Fn(&Wanted) -> Option<Base>,
) -> Bases {
    let mut bases = Bases::new();
    loop {
        let input = Input {
            dockerfile,
            options,
            bases: &bases,
            extent,
        };
        let wanted = missing(&input).unwrap_or_default();
        if wanted.is_empty() {
            return bases;
        }
        for wanted in wanted {
            let base = find(&wanted).unwrap_or_else(|| Base::unknown(&wanted));
            bases.insert(&wanted, base);
        }
    }
}

fn resolve<'a>(
    input: &Input<'a>,
    globals: &Globals,
    linter: &mut Linter,
) -> Result<Stages<'a>, Error> {
    let mut stages = stage::resolve(input, globals, linter)?;
    if input.extent == Extent::Everything {
        stages.needed.fill(true);
    }
    Ok(stages)
}

/// Lowers, and notes violations of rules; those up to an error too.
pub(in crate::dockerfile) fn lower_noting(
    input: &Input<'_>,
    linter: &mut Linter,
) -> Result<Noted, Error> {
    let Input {
        dockerfile,
        options,
        bases,
        ..
    } = *input;
    check::written(dockerfile, options, linter);
    let globals = globals::evaluate(dockerfile, options)?;
    let stages = resolve(input, &globals, linter)?;
    base::check_platforms(&stages, bases, linter);
    let mut shared = Shared {
        escape: dockerfile.escape,
        options,
        globals: &globals,
        stages: &stages,
        graph: Graph::new(),
        roots: vec![None; stages.nodes.len()],
        notes: vec![None; stages.nodes.len()],
        states: vec![None; stages.nodes.len()],
        followers: followers(&stages),
        left: REPEATED_MAX,
        linter,
        refused: None,
    };
    // What is no stage comes first: any stage may read it.
    for is_built in [false, true] {
        for (position, node) in stages.nodes.iter().enumerate() {
            if stages.needed[position] && node.is_built() == is_built {
                let mut state = if is_built {
                    build(&mut shared, node, bases)?
                } else {
                    base::load(&mut shared, node, bases)?
                };
                shared.roots[position] = Some(state.root);
                shared.notes[position] = Some(std::mem::take(&mut state.notes));
                let is_used = position == stages.target || shared.followers[position] > 0;
                shared.states[position] = Some(state).filter(|_| is_used);
            }
        }
    }
    let notes = |position: usize| shared.notes[position].as_ref();
    let outline = outline::gather(&stages, &globals, &notes);
    let mut state = shared.states[stages.target].take();
    let state = state.take().expect("the target is needed");
    target::warn_unused(dockerfile, options, &stages, shared.linter);
    Ok(Noted {
        refused: shared.refused,
        plan: target::finish(shared.graph, state, options),
        epoch: globals.epoch,
        outline,
    })
}

/// Counts how many stages start from each; the target is kept besides.
fn followers(stages: &Stages<'_>) -> Vec<usize> {
    let mut followers = vec![0; stages.nodes.len()];
    followers[stages.target] += 1;
    for (node, _) in stages
        .nodes
        .iter()
        .zip(&stages.needed)
        .filter(|(_, needed)| **needed)
    {
        if let Some(base) = node.base_stage().filter(|_| node.is_built()) {
            followers[base] += 1;
        }
    }
    followers
}

/// Lowers a stage.
fn build<'a>(
    shared: &mut Shared<'a, '_>,
    node: &'a Node<'a>,
    bases: &Bases,
) -> Result<State, Error> {
    let mut state = base::start(shared, node, bases)?;
    for step in &node.steps {
        let mut cursor = Cursor {
            shared,
            state: &mut state,
            node,
            step,
        };
        let lowered = instruction(&mut cursor, &step.statement.instruction);
        lowered.map_err(|error| step.told(error))?;
    }
    Ok(state)
}

fn instruction(cursor: &mut Cursor<'_, '_, '_>, instruction: &Instruction) -> Result<(), Error> {
    match instruction {
        Instruction::Add(add) => copy::add(cursor, add)?,
        Instruction::Arg(arg) => arg::arg(cursor, arg)?,
        Instruction::Cmd(cmd) => metadata::cmd(cursor, cmd),
        Instruction::Copy(copy) => copy::copy(cursor, copy)?,
        Instruction::Entrypoint(entrypoint) => metadata::entrypoint(cursor, entrypoint),
        Instruction::Env(env) => metadata::env(cursor, env)?,
        Instruction::Expose(expose) => expose::expose(cursor, expose)?,
        Instruction::Healthcheck(healthcheck) => metadata::healthcheck(cursor, healthcheck),
        Instruction::Label(label) => metadata::label(cursor, label)?,
        Instruction::Maintainer(maintainer) => metadata::maintainer(cursor, maintainer),
        Instruction::Onbuild(onbuild) => metadata::onbuild(cursor, onbuild),
        Instruction::Run(run) => run::run(cursor, run)?,
        Instruction::Shell(shell) => metadata::shell(cursor, shell),
        Instruction::Stopsignal(stopsignal) => metadata::stopsignal(cursor, stopsignal)?,
        Instruction::User(user) => metadata::user(cursor, user)?,
        Instruction::Volume(volume) => metadata::volume(cursor, volume)?,
        Instruction::Workdir(workdir) => workdir::workdir(cursor, workdir)?,
    }
    Ok(())
}
