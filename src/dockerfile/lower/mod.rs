//! From a parsed Dockerfile to a plan.
//!
//! [`bases`] says which images the target needs; when they are resolved, [`lower`] goes through the
//! needed stages in order. Each instruction changes the state of its stage (config, environment,
//! history) and, if it does something to files, adds a vertex to the graph.
//!
//! The rules, the texts of the history and the names that progress shows are those of BuildKit's
//! `dockerfile2llb`. Start reading at [`lower`], then `Cursor`.

mod arg;
mod base;
mod copy;
mod cursor;
mod expose;
mod golang;
mod metadata;
mod mode;
mod mount;
mod paths;
mod problem;
mod remote;
mod run;
mod signal;
mod target;
mod workdir;

pub(super) use self::golang::quote;
pub use self::problem::PlanProblem;
pub(super) use self::remote::Source;
pub use self::remote::context as context_op;
pub(super) use self::remote::read as read_source;

use crate::dockerfile::Bases;
use crate::dockerfile::Dockerfile;
use crate::dockerfile::Error;
use crate::dockerfile::Instruction;
use crate::dockerfile::Options;
use crate::dockerfile::Wanted;
use crate::dockerfile::Warning;
use crate::dockerfile::check;
use crate::dockerfile::check::Linter;
use crate::dockerfile::globals;
use crate::dockerfile::globals::Globals;
use crate::dockerfile::lower::cursor::Cursor;
use crate::dockerfile::lower::cursor::Shared;
use crate::dockerfile::lower::cursor::State;
use crate::dockerfile::stage;
use crate::dockerfile::stage::Node;
use crate::dockerfile::stage::Stages;
use crate::graph::Graph;
use crate::graph::Plan;

/// What a Dockerfile comes to.
#[derive(Debug)]
pub struct Lowered {
    /// What is to be done.
    pub plan: Plan,
    /// The time that stands for all times, in seconds since 1970: `SOURCE_DATE_EPOCH`.
    pub epoch: Option<i64>,
    /// What is accepted but should not be written.
    pub warnings: Vec<Warning>,
    /// That rules are violated, if the Dockerfile makes an error of it.
    pub violations: Option<Error>,
}

/// What is lowered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a> {
    /// What the user wrote.
    pub(super) dockerfile: &'a Dockerfile,
    /// What the user asked for besides.
    pub(super) options: &'a Options,
    /// The images that have been resolved.
    pub(super) bases: &'a Bases,
    /// How much of it is looked at.
    pub(super) extent: Extent,
}

/// Which stages are lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Those that the target needs.
    Target,
    /// All.
    Everything,
}

/// Gives the images that the target needs and `known` does not have.
///
/// Ask again with these until the answer is empty: a base may have triggers that name more images.
///
/// # Errors
///
/// What is wrong with a `FROM` or with what an instruction names, in any stage.
pub fn bases(
    dockerfile: &Dockerfile,
    options: &Options,
    known: &Bases,
) -> Result<Vec<Wanted>, Error> {
    missing(&Input {
        dockerfile,
        options,
        bases: known,
        extent: Extent::Target,
    })
}

/// The same for whatever is to be lowered.
pub(super) fn missing(input: &Input<'_>) -> Result<Vec<Wanted>, Error> {
    let globals = globals::evaluate(input.dockerfile, input.options)?;
    let stages = resolve(input, &globals, &mut Linter::silent())?;
    Ok(stages.wanted(input.bases))
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

/// Lowers the stages that the target needs.
///
/// # Errors
///
/// What is wrong with the Dockerfile, or an image that `bases` does not have.
pub fn lower(dockerfile: &Dockerfile, bases: &Bases, options: &Options) -> Result<Lowered, Error> {
    let mut linter = Linter::new(dockerfile, options)?;
    let input = Input {
        dockerfile,
        options,
        bases,
        extent: Extent::Target,
    };
    let (plan, epoch) = lower_noting(&input, &mut linter)?;
    Ok(Lowered {
        plan,
        epoch,
        violations: linter.violations(),
        warnings: linter.warnings,
    })
}

/// Lowers, and notes violations of rules; those up to an error too.
pub(super) fn lower_noting(
    input: &Input<'_>,
    linter: &mut Linter,
) -> Result<(Plan, Option<i64>), Error> {
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
        states: vec![None; stages.nodes.len()],
        linter,
    };
    // What is no stage comes first: any stage may read it.
    for is_built in [false, true] {
        for (position, node) in stages.nodes.iter().enumerate() {
            if stages.needed[position] && node.is_built() == is_built {
                let state = if is_built {
                    build(&mut shared, node, bases)?
                } else {
                    base::load(&mut shared, node, bases)?
                };
                shared.states[position] = Some(state);
            }
        }
    }
    let mut state = shared.states[stages.target].take();
    let state = state.take().expect("the target is needed");
    target::warn_unused(dockerfile, options, &stages, shared.linter);
    let plan = target::finish(shared.graph, state, options);
    Ok((plan, globals.epoch))
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
        instruction(&mut cursor, &step.statement.instruction)?;
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
