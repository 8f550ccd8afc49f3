//! Stages as they take part in a build: what each starts from, what each reads, which are needed.
//!
//! Every `FROM` is checked as BuildKit checks it, needed or not: its variables, its platform, the
//! stages its instructions name. Images are asked for only where the target needs them.

mod circle;
mod origin;
mod trigger;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::dockerfile::BaseSource;
use crate::dockerfile::Bases;
use crate::dockerfile::Error;
use crate::dockerfile::Instruction;
use crate::dockerfile::Lexing;
use crate::dockerfile::NamedContext;
use crate::dockerfile::Options;
use crate::dockerfile::PlanProblem;
use crate::dockerfile::Problem;
use crate::dockerfile::Span;
use crate::dockerfile::Statement;
use crate::dockerfile::Wanted;
use crate::dockerfile::check::Linter;
use crate::dockerfile::globals::Globals;
use crate::dockerfile::instruction::MountOptions;
use crate::dockerfile::lower::Input;
use crate::dockerfile::nearest::nearest;
use crate::oci::Platform;

/// Something with a root filesystem that the build may use.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// The stage's name in lower case; empty if it has none.
    pub(super) name: String,
    /// What progress calls the stage; empty if there is only one.
    pub(super) label: String,
    /// What it starts from.
    pub(super) origin: Origin<'a>,
    /// What its `FROM` names, variables replaced.
    pub(super) base: String,
    /// Its platform.
    pub(super) platform: Platform,
    /// The variables that its `FROM` names and that are set.
    pub(super) variables: BTreeSet<String>,
    /// What the comment above says of it.
    pub(super) description: Option<String>,
    /// Its instructions, the triggers of its base first.
    pub(super) steps: Vec<Step<'a>>,
    /// The number of steps that progress counts.
    pub(super) counted: usize,
    /// The instruction that names it.
    pub(super) span: Span,
    /// Whether it is a stage of the Dockerfile; else an instruction names an image or a context.
    pub(super) is_stage: bool,
    /// Whether a named context stands in for the stage: then its instructions do not run.
    pub(super) replaced: bool,
    triggered: bool,
}

/// What a stage starts from.
#[derive(Debug, Clone)]
pub(super) enum Origin<'a> {
    /// Nothing.
    Scratch,
    /// Another stage, by its position.
    Stage(usize),
    /// An image.
    Image {
        /// Which.
        source: BaseSource,
        /// The named context that brought it in, if one did.
        context: Option<&'a str>,
    },
    /// The files of a named context.
    Context {
        /// Its name.
        name: &'a str,
        /// What it is; no image.
        context: &'a NamedContext,
    },
}

/// An instruction of a stage.
#[derive(Debug)]
pub(super) struct Step<'a> {
    /// The instruction.
    pub(super) statement: Cow<'a, Statement>,
    /// What it reads: for `COPY --from` one node, for `RUN` one a mount.
    pub(super) sources: Vec<usize>,
    /// For a trigger of the base: the `FROM` that fires it.
    pub(super) trigger: Option<Span>,
}

impl Step<'_> {
    /// Gives the place in the Dockerfile that `span` is to be shown at.
    pub(super) fn place(&self, span: Span) -> Span {
        self.trigger.unwrap_or(span)
    }

    /// Tells of an error in it.
    pub(super) fn told(&self, error: Error) -> Error {
        match self.trigger {
            Some(from) => error.in_trigger(&self.statement.source.text, from),
            None => error,
        }
    }

    /// Gives the place of the whole instruction.
    pub(super) fn span(&self) -> Span {
        self.place(self.statement.source.span)
    }
}

/// All nodes of a build.
#[derive(Debug)]
pub(super) struct Stages<'a> {
    /// The stages of the Dockerfile in order, then what instructions name besides.
    pub(super) nodes: Vec<Node<'a>>,
    /// The one that is built.
    pub(super) target: usize,
    /// Which of `nodes` the target needs.
    pub(super) needed: Vec<bool>,
    names: HashMap<String, usize>,
    lexing: Lexing,
}

/// Finds out what each stage starts from and reads, and which ones the target needs.
pub(super) fn resolve<'a>(
    input: &Input<'a>,
    globals: &Globals,
    linter: &mut Linter,
) -> Result<Stages<'a>, Error> {
    let Input {
        dockerfile,
        options,
        bases,
        ..
    } = *input;
    let mut stages = Stages {
        nodes: Vec::new(),
        target: 0,
        needed: Vec::new(),
        names: HashMap::new(),
        lexing: Lexing::words(dockerfile.escape),
    };
    for stage in &dockerfile.stages {
        stages.declare(stage, options, (globals, &mut *linter))?;
    }
    if stages.nodes.is_empty() {
        return Err(plan_error(Span::default(), PlanProblem::NoStage));
    }
    stages.target = stages.find_target(options)?;
    for (position, stage) in dockerfile.stages.iter().enumerate() {
        for statement in &stage.instructions {
            let sources = stages.sources(statement, None, options)?;
            stages.nodes[position].steps.push(Step {
                statement: Cow::Borrowed(statement),
                sources,
                trigger: None,
            });
        }
    }
    circle::check(&stages)?;
    if let [only] = stages.nodes.as_mut_slice() {
        only.label.clear();
    }
    stages.needed = stages.reach();
    while stages.fire_triggers(bases, options)? {
        stages.needed = stages.reach();
    }
    Ok(stages)
}

impl<'a> Stages<'a> {
    fn find_target(&self, options: &Options) -> Result<usize, Error> {
        let Some(name) = &options.target else {
            return Ok(self.nodes.len() - 1);
        };
        if let Some(&position) = self.names.get(&name.to_lowercase()) {
            return Ok(position);
        }
        if let Ok(position) = name.parse()
            && position < self.nodes.len()
        {
            return Ok(position);
        }
        let named = self.nodes.iter().filter(|node| !node.name.is_empty());
        let known: Vec<String> = named.map(|node| node.name.clone()).collect();
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        let nearest = nearest(name, &names).map(str::to_owned);
        let name = name.clone();
        let problem = PlanProblem::Target {
            name,
            nearest,
            known,
        };
        Err(plan_error(Span::default(), problem))
    }

    /// Finds what an instruction reads, and adds what is no stage.
    fn sources(
        &mut self,
        statement: &Statement,
        trigger: Option<Span>,
        options: &'a Options,
    ) -> Result<Vec<usize>, Error> {
        match &statement.instruction {
            Instruction::Copy(copy) => match &copy.from {
                Some(from) => {
                    let span = trigger.unwrap_or(from.span);
                    Ok(vec![self.copy_source(from, span, options)?])
                }
                None => Ok(Vec::new()),
            },
            Instruction::Run(run) => {
                let mounts = run.mounts.iter();
                mounts
                    .map(|mount| {
                        let from = MountOptions::source_stage(&mount.text);
                        let span = trigger.unwrap_or(mount.span);
                        self.named_source(from.as_deref().unwrap_or(origin::SCRATCH), span, options)
                    })
                    .collect()
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Marks what the target needs.
    fn reach(&self) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        let mut open = vec![self.target];
        while let Some(position) = open.pop() {
            if std::mem::replace(&mut needed[position], true) {
                continue;
            }
            let node = &self.nodes[position];
            if let Origin::Stage(base) = node.origin {
                open.push(base);
            }
            if !node.replaced {
                open.extend(node.sources());
            }
        }
        needed
    }

    /// Gives the images that the target needs and `bases` does not have.
    pub(super) fn wanted(&self, bases: &Bases) -> Vec<Wanted> {
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut asked = BTreeSet::new();
        for (node, needed) in self.nodes.iter().zip(&self.needed) {
            let Origin::Image { source, .. } = &node.origin else {
                continue;
            };
            if *needed
                && bases.get(source, &node.platform).is_none()
                && asked.insert((source, &node.platform))
            {
                wanted.push(Wanted {
                    name: node.base.clone(),
                    source: source.clone(),
                    platform: node.platform.clone(),
                    span: node.span,
                });
            }
        }
        wanted
    }
}

impl<'a> Node<'a> {
    /// Gives what its instructions read.
    pub(super) fn sources(&self) -> impl Iterator<Item = usize> {
        self.steps
            .iter()
            .flat_map(|step| step.sources.iter().copied())
    }

    /// Gives the stage that it starts from, if it is one.
    pub(super) fn base_stage(&self) -> Option<usize> {
        match self.origin {
            Origin::Stage(base) => Some(base),
            _ => None,
        }
    }

    /// Says whether it has instructions to run.
    pub(super) fn is_built(&self) -> bool {
        self.is_stage && !self.replaced
    }

    /// Says what to call it in a message.
    pub(super) fn title(&self) -> &str {
        match (self.name.as_str(), self.label.as_str()) {
            ("", "") => &self.base,
            ("", label) => label,
            (name, _) => name,
        }
    }
}

/// Says what is wrong with the meaning of what stands at `span`.
pub(super) fn plan_error(span: Span, problem: PlanProblem) -> Error {
    Error::new(span, Problem::Plan(problem))
}
