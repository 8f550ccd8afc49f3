//! What a stage starts from, and what an instruction names.

use std::collections::BTreeSet;

use crate::dockerfile::BaseSource;
use crate::dockerfile::Error;
use crate::dockerfile::Instruction;
use crate::dockerfile::Lexing;
use crate::dockerfile::NamedContext;
use crate::dockerfile::Options;
use crate::dockerfile::PlanProblem;
use crate::dockerfile::Span;
use crate::dockerfile::Stage;
use crate::dockerfile::Statement;
use crate::dockerfile::Word;
use crate::dockerfile::check;
use crate::dockerfile::check::Linter;
use crate::dockerfile::environment::Environment;
use crate::dockerfile::globals::Globals;
use crate::dockerfile::nearest::nearest;
use crate::dockerfile::stage::Node;
use crate::dockerfile::stage::Origin;
use crate::dockerfile::stage::Stages;
use crate::dockerfile::stage::plan_error;
use crate::oci::Platform;
use crate::oci::Reference;

pub(super) const SCRATCH: &str = "scratch";

impl<'a> Stages<'a> {
    /// Adds a stage of the Dockerfile.
    pub(super) fn declare(
        &mut self,
        stage: &'a Stage,
        options: &'a Options,
        (globals, linter): (&Globals, &mut Linter),
    ) -> Result<(), Error> {
        let from = &stage.from.instruction;
        let source = &stage.from.source;
        let base = check::expand(&from.base, self.lexing, source, (globals, &mut *linter))?;
        let mut variables = base.matched;
        let base = base.text;
        if base.is_empty() {
            let text = from.base.text.clone();
            return Err(plan_error(from.base.span, PlanProblem::BlankBase { text }));
        }
        let written = match &from.platform {
            Some(word) => {
                let (platform, names) = platform(word, stage, self.lexing, (globals, linter))?;
                variables.extend(names);
                Some(platform)
            }
            None => None,
        };
        let platform = written.unwrap_or_else(|| options.target_platform().clone());
        let name = from.name.as_ref();
        let name = name
            .map(|name| name.text.to_lowercase())
            .unwrap_or_default();
        let position = self.nodes.len();
        let mut node = Node {
            label: name.clone(),
            name,
            origin: Origin::Scratch,
            base,
            platform,
            variables,
            description: from.comment.clone(),
            steps: Vec::new(),
            counted: 0,
            span: stage.from.source.span,
            is_stage: true,
            replaced: false,
            triggered: false,
        };
        if !node.find_replacement(from.name.as_ref(), options)? {
            if node.name.is_empty() {
                node.label = format!("stage-{position}");
            }
            self.find_origin(&mut node, from.base.span, options)?;
            node.counted = count(stage, &node);
        }
        if !node.name.is_empty() {
            self.names.insert(node.name.clone(), position);
        }
        self.nodes.push(node);
        Ok(())
    }

    fn find_origin(
        &self,
        node: &mut Node<'a>,
        span: Span,
        options: &'a Options,
    ) -> Result<(), Error> {
        if let Some(&position) = self.names.get(&node.base) {
            node.platform = self.nodes[position].platform.clone();
            node.origin = Origin::Stage(position);
            return Ok(());
        }
        if node.base == SCRATCH {
            node.platform = options.target_platform().clone();
            return Ok(());
        }
        let reference: Reference = node.base.parse().map_err(|cause| {
            let name = node.base.clone();
            let mut names: Vec<&str> = self.names.keys().map(String::as_str).collect();
            names.sort_unstable();
            let nearest = nearest(&name, &names).map(str::to_owned);
            let problem = PlanProblem::BaseName {
                name,
                nearest,
                cause,
            };
            plan_error(span, problem)
        })?;
        node.origin = match context(&node.base, &node.platform, options) {
            Some(origin) => origin,
            None => Origin::Image {
                source: BaseSource::Reference(reference),
                context: None,
            },
        };
        Ok(())
    }

    pub(super) fn copy_source(
        &mut self,
        from: &Word,
        span: Span,
        options: &'a Options,
    ) -> Result<usize, Error> {
        let nothing = Environment::default();
        let plain = nothing.expand(from, self.lexing);
        let plain = plain.map_err(|error| Error { span, ..error })?;
        if plain.text != from.text {
            let text = from.text.clone();
            return Err(plan_error(span, PlanProblem::FromVariable { text }));
        }
        let Ok(number) = from.text.parse::<i64>() else {
            return self.named_source(&from.text, span, options);
        };
        let count = self.nodes.len();
        usize::try_from(number)
            .ok()
            .filter(|&position| position < count)
            .ok_or_else(|| plan_error(span, PlanProblem::StageNumber { number, count }))
    }

    pub(super) fn named_source(
        &mut self,
        name: &str,
        span: Span,
        options: &'a Options,
    ) -> Result<usize, Error> {
        if let Some(&position) = self.names.get(&name.to_lowercase()) {
            return Ok(position);
        }
        let mut node = Node {
            name: String::new(),
            label: String::new(),
            origin: Origin::Scratch,
            base: name.to_owned(),
            platform: options.target_platform().clone(),
            variables: BTreeSet::new(),
            description: None,
            steps: Vec::new(),
            counted: 0,
            span,
            is_stage: false,
            replaced: false,
            triggered: true,
        };
        self.find_origin(&mut node, span, options)?;
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }
}

impl<'a> Node<'a> {
    /// Looks for a named context that stands in for the stage.
    fn find_replacement(
        &mut self,
        name: Option<&Word>,
        options: &'a Options,
    ) -> Result<bool, Error> {
        let Some(word) = name else {
            return Ok(false);
        };
        if matches!(self.name.as_str(), SCRATCH | "context") {
            return Ok(false);
        }
        if let Err(cause) = self.name.parse::<Reference>() {
            let name = self.name.clone();
            return Err(plan_error(
                word.span,
                PlanProblem::StageName { name, cause },
            ));
        }
        if let Some(origin) = context(&self.name, &self.platform, options) {
            self.origin = origin;
            self.replaced = true;
        }
        Ok(self.replaced)
    }
}

/// Finds the named context for `name`.
fn context<'a>(name: &str, platform: &Platform, options: &'a Options) -> Option<Origin<'a>> {
    if matches!(name.to_lowercase().as_str(), SCRATCH | "context") {
        return None;
    }
    let (name, context) = options.named_context(name, platform)?;
    let image = |source| Origin::Image {
        source,
        context: Some(name),
    };
    Some(match context {
        NamedContext::Scratch => Origin::Scratch,
        NamedContext::Image(reference) => image(BaseSource::Reference(reference.clone())),
        NamedContext::Layout(layout) => image(BaseSource::Layout(layout.clone())),
        NamedContext::Directory { .. } | NamedContext::Url(_) => Origin::Context { name, context },
    })
}

/// Counts the steps of a stage that progress numbers.
fn count(stage: &Stage, node: &Node<'_>) -> usize {
    let counted = |statement: &&Statement| {
        matches!(
            statement.instruction,
            Instruction::Add(_)
                | Instruction::Copy(_)
                | Instruction::Run(_)
                | Instruction::Workdir(_)
        )
    };
    let base = node.base != SCRATCH && !matches!(node.origin, Origin::Stage(_));
    usize::from(base) + stage.instructions.iter().filter(counted).count()
}

/// Reads `--platform` of a `FROM`; gives the variables it names too.
fn platform(
    word: &Word,
    stage: &Stage,
    lexing: Lexing,
    (globals, linter): (&Globals, &mut Linter),
) -> Result<(Platform, BTreeSet<String>), Error> {
    let (source, from) = (&stage.from.source, &stage.from.instruction);
    let expansion = check::expand(word, lexing, source, (globals, &mut *linter))?;
    check::redundant_platform(word.as_str(), &expansion, source, (globals, &mut *linter));
    check::constant_platform(from, &expansion, source, linter);
    let text = expansion.text;
    if text.is_empty() {
        let text = word.text.clone();
        return Err(plan_error(word.span, PlanProblem::BlankPlatform { text }));
    }
    match text.parse() {
        Ok(platform) => Ok((platform, expansion.matched)),
        Err(cause) => Err(plan_error(word.span, PlanProblem::Platform { text, cause })),
    }
}
