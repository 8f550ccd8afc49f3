//! Where lowering stands: a stage that is being lowered, and the instruction in it.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::dockerfile::Error;
use crate::dockerfile::Escape;
use crate::dockerfile::Expansion;
use crate::dockerfile::Lexing;
use crate::dockerfile::Options;
use crate::dockerfile::PlanProblem;
use crate::dockerfile::Problem;
use crate::dockerfile::Span;
use crate::dockerfile::Word;
use crate::dockerfile::check::Finding;
use crate::dockerfile::check::Linter;
use crate::dockerfile::environment::Environment;
use crate::dockerfile::globals::Globals;
use crate::dockerfile::instruction::Content;
use crate::dockerfile::lower::declared::Declared;
use crate::dockerfile::lower::title::title;
use crate::dockerfile::outline::Notes;
use crate::dockerfile::stage::Node;
use crate::dockerfile::stage::Stages;
use crate::dockerfile::stage::Step;
use crate::dockerfile::stage::plan_error;
use crate::graph;
use crate::graph::ContextOp;
use crate::graph::Graph;
use crate::graph::Op;
use crate::graph::Vertex;
use crate::graph::VertexId;
use crate::oci::History;
use crate::oci::ImageConfig;

/// How many bytes of environments, stages and paths a plan may repeat.
pub(super) const REPEATED_MAX: usize = 128 << 20;

/// What an entry of a list takes besides its text.
pub(super) const ENTRY_BYTES: usize = 64;

/// What tells that BuildKit's Dockerfile language made an entry of the history.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// Variables that only steer a scan of the result; commands do not see them.
pub(super) const SCAN_ARGS: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// What all stages share.
#[derive(Debug)]
pub(super) struct Shared<'a, 'l> {
    /// The Dockerfile's escape character.
    pub(super) escape: Escape,
    /// What the user asked for.
    pub(super) options: &'a Options,
    /// Variables of the whole Dockerfile.
    pub(super) globals: &'a Globals,
    /// The stages and what each needs.
    pub(super) stages: &'a Stages<'a>,
    /// The ops so far.
    pub(super) graph: Graph,
    /// Where each node's files are; none if it has not been lowered.
    pub(super) roots: Vec<Option<VertexId>>,
    /// What each stage asks for.
    pub(super) notes: Vec<Option<Notes>>,
    /// What each stage came to that others start from.
    pub(super) states: Vec<Option<State>>,
    /// How many stages are still to start from each.
    pub(super) followers: Vec<usize>,
    /// How many bytes may still be repeated.
    pub(super) left: usize,
    /// Gathers what is accepted but should not be written.
    pub(super) linter: &'l mut Linter,
    /// The first thing that keeps the target from being built.
    pub(super) refused: Option<Error>,
}

impl Shared<'_, '_> {
    /// Counts what is repeated at `span` in the plan.
    pub(super) fn charge(&mut self, bytes: usize, span: Span) -> Result<(), Error> {
        let most = REPEATED_MAX;
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| plan_error(span, PlanProblem::TooLarge { most }))?;
        Ok(())
    }

    /// Gives what a stage that starts from the one at `position` begins with: the last one takes it.
    pub(super) fn follow(&mut self, position: usize, span: Span) -> Result<State, Error> {
        const LOWERED: &str =
            "a stage starts from an earlier one, which is needed then and lowered";
        self.followers[position] -= 1;
        if self.followers[position] == 0 {
            return Ok(self.states[position].take().expect(LOWERED));
        }
        let weight = self.states[position].as_ref().expect(LOWERED).weight();
        self.charge(weight, span)?;
        Ok(self.states[position].clone().expect(LOWERED))
    }
}

/// What a stage is after some of its instructions. A stage that starts from it goes on with a copy.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// The vertex that holds its files.
    pub(super) root: VertexId,
    /// Its config.
    pub(super) config: ImageConfig,
    /// What its instructions have added to the history.
    pub(super) history: Vec<History>,
    /// What its commands find in their environment.
    pub(super) environment: Environment,
    /// The `ARG`s so far with their values.
    pub(super) declared: Declared,
    /// Where each variable stands in the environment of the config.
    pub(super) places: HashMap<String, usize>,
    /// Where commands start; absolute.
    pub(super) cwd: String,
    /// Its own instructions of which the last counts.
    pub(super) last: Last,
    /// Whether it has a `WORKDIR` of its own, or the stage it starts from has.
    pub(super) has_workdir: bool,
    /// What it asks for, without the stage it starts from.
    pub(super) notes: Notes,
    /// The number that progress gave last.
    pub(super) shown: usize,
}

impl State {
    /// Sets a variable of the config's environment, in its old place if it was set before.
    pub(super) fn set_image_env(&mut self, name: &str, value: &str) {
        let pair = format!("{name}={value}");
        let env = &mut self.config.config.env;
        match self.places.get(name) {
            Some(&place) => env[place] = pair,
            None => {
                self.places.insert(name.to_owned(), env.len());
                env.push(pair);
            }
        }
    }

    /// Says roughly how much it takes to copy it.
    fn weight(&self) -> usize {
        let config = &self.config.config;
        let entries = self.history.len() + self.declared.pairs().len();
        let maps = config.labels.len() + config.exposed_ports.len() + config.volumes.len();
        (entries + 2 * config.env.len() + maps) * ENTRY_BYTES
    }
}

/// Where the last instruction stands of each kind that a stage should have once.
#[derive(Debug, Clone, Default)]
pub(super) struct Last {
    /// `CMD`; an `ENTRYPOINT` behind it leaves it alone.
    pub(super) cmd: Option<Span>,
    /// `ENTRYPOINT`.
    pub(super) entrypoint: Option<Span>,
    /// `HEALTHCHECK`.
    pub(super) healthcheck: Option<Span>,
}

/// A stage that is being lowered, and the instruction in it.
#[derive(Debug)]
pub(super) struct Cursor<'c, 'a, 'l> {
    /// What all stages share.
    pub(super) shared: &'c mut Shared<'a, 'l>,
    /// The stage so far.
    pub(super) state: &'c mut State,
    /// The stage.
    pub(super) node: &'a Node<'a>,
    /// The instruction.
    pub(super) step: &'a Step<'a>,
}

impl Cursor<'_, '_, '_> {
    /// Expands a word in the stage's environment.
    pub(super) fn expand(&mut self, word: &Word) -> Result<String, Error> {
        Ok(self.lex(word, Lexing::words(self.shared.escape))?.text)
    }

    /// Expands a word if there is one; an empty result is as good as none.
    pub(super) fn expand_option(&mut self, word: Option<&Word>) -> Result<Option<String>, Error> {
        let text = word.map(|word| self.expand(word)).transpose()?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// Expands a word in the way of `lexing`, and warns of variables that nobody set.
    pub(super) fn lex(&mut self, word: &Word, lexing: Lexing) -> Result<Expansion, Error> {
        let environment = &self.state.environment;
        let expansion = environment.expand(word, lexing);
        let unset = match &expansion {
            Ok(expansion) => Cow::Borrowed(&expansion.unmatched),
            Err(_) => Cow::Owned(environment.unset_in(&word.text, lexing)),
        };
        for name in unset.iter() {
            self.warn_undefined(name);
        }
        expansion.map_err(|error| self.placed(error))
    }

    /// Expands the text of a here-document; an error points at its line.
    pub(super) fn expand_content(&mut self, content: &Content) -> Result<String, Error> {
        let lexing = Lexing::heredoc();
        let word = Word {
            text: content.text().into_owned(),
            span: content.name.span,
        };
        match self.lex(&word, lexing) {
            Ok(expansion) => Ok(expansion.text),
            Err(error) => Err(match *error.problem {
                Problem::Expand { cause, .. } => {
                    let end = self.state.environment.expandable(&word.text, lexing);
                    let line = word.text[..end].matches('\n').count();
                    let Word { text, span } = content.line(line);
                    self.placed(Error::new(span, Problem::Expand { text, cause }))
                }
                problem => Error::new(error.span, problem),
            }),
        }
    }

    /// Expands a word that may come to several. Variables that nobody set are passed over, as
    /// BuildKit does where it splits words.
    pub(super) fn split(&self, word: &Word) -> Result<Vec<String>, Error> {
        let lexing = Lexing::words(self.shared.escape);
        let expansion = self.state.environment.expand(word, lexing);
        let expansion = expansion.map_err(|error| self.placed(error))?;
        Ok(expansion.words)
    }

    /// Puts an error where the instruction is shown.
    fn placed(&self, error: Error) -> Error {
        Error {
            span: self.step.place(error.span),
            ..error
        }
    }

    pub(super) fn warn_undefined(&mut self, name: &str) {
        if self.state.declared.has(name) || SCAN_ARGS.contains(&name) {
            return;
        }
        let linter = &mut self.shared.linter;
        let nearest = linter.nearest(name, self.state.environment.names());
        let source = &self.step.statement.source;
        let finding = Finding::UndefinedVar { name, nearest };
        let span = self.step.span();
        linter.find_at(span, &source.comments, finding);
    }

    /// Notes that the instruction violates a rule.
    pub(super) fn find(&mut self, finding: Finding<'_>) {
        self.find_at(self.step.span(), finding);
    }

    /// Notes that the instruction shows a violation elsewhere.
    pub(super) fn find_at(&mut self, span: Span, finding: Finding<'_>) {
        let comments = &self.step.statement.source.comments;
        self.shared.linter.find_at(span, comments, finding);
    }

    /// Warns of the instruction.
    pub(super) fn warn(&mut self, message: String) {
        self.shared.linter.warn(message, self.step.span());
    }

    /// Says what is wrong with `word`.
    pub(super) fn error_at(&self, span: Span, problem: PlanProblem) -> Error {
        plan_error(self.step.place(span), problem)
    }

    /// Says what is wrong with the instruction.
    pub(super) fn error(&self, problem: PlanProblem) -> Error {
        plan_error(self.step.span(), problem)
    }

    /// Says that what stands at `span` can be checked and outlined, but not built.
    pub(super) fn refuse(&mut self, span: Span, problem: PlanProblem) {
        let error = self.step.told(self.error_at(span, problem));
        self.shared.refused.get_or_insert(error);
    }

    /// Refuses an owner by name where there is nothing to look it up in: no `root`, or an empty one.
    pub(super) fn check_owner(&mut self, owner: &str, span: Span, root: Option<VertexId>) {
        let reason = match root {
            None => "a copy by --link does not see the files of the stage",
            Some(root) if self.shared.graph.vertex(root).op == Op::Scratch => {
                "the stage has no files yet"
            }
            Some(_) => return,
        };
        if graph::names_owner(owner) {
            let text = owner.to_owned();
            self.refuse(span, PlanProblem::OwnerName { text, reason });
        }
    }

    /// Adds an instruction that makes no layer to the history.
    pub(super) fn record(&mut self, created_by: String) {
        self.state.history.push(entry(created_by, true));
    }

    /// Adds an instruction that makes a layer to the history.
    pub(super) fn record_layer(&mut self, created_by: String) {
        self.state.history.push(entry(created_by, false));
    }

    /// Gives the name under which progress shows the next step.
    pub(super) fn title(&mut self, text: &str) -> String {
        let options = self.shared.options;
        match self.step.trigger {
            Some(_) => title(self.node, self.state, options, &format!("ONBUILD {text}")),
            None => title(self.node, self.state, options, text),
        }
    }

    /// Gives the instruction's own line with its keyword in upper case and its variables replaced,
    /// as progress shows it.
    pub(super) fn line(&self, text: &str, lexing: Lexing) -> String {
        let word = Word {
            text: text.to_owned(),
            span: Span::default(),
        };
        let line = self.state.environment.expand(&word, lexing);
        let line = line.map_or_else(|_| text.to_owned(), |line| line.text);
        match line.split_once(' ') {
            Some((keyword, rest)) => format!("{} {rest}", keyword.to_uppercase()),
            None => line.to_uppercase(),
        }
    }

    /// Adds a vertex that no stage shows as its own change.
    pub(super) fn add_source(&mut self, op: Op, name: String) -> VertexId {
        let vertex = self.vertex(op, name);
        self.shared.graph.add(vertex, &[])
    }

    /// Adds a vertex that changes the stage's root filesystem; `inputs` come after that.
    pub(super) fn change(&mut self, op: Op, name: String, inputs: &[VertexId]) {
        let mut all = vec![self.state.root];
        all.extend(inputs);
        let vertex = self.vertex(op, name);
        self.state.root = self.shared.graph.add(vertex, &all);
    }

    /// Gives the vertex of the build context.
    pub(super) fn build_context(&mut self) -> VertexId {
        let op = Op::Context(ContextOp {
            name: String::new(),
            ignore: self.shared.options.ignore.clone(),
        });
        let vertex = Vertex {
            op,
            name: "[internal] load build context".to_owned(),
            lines: (0, 0),
            uncached: false,
        };
        self.shared.graph.add(vertex, &[])
    }

    /// Gives where the files are of a stage or image that the instruction names.
    pub(super) fn source(&self, position: usize) -> Result<VertexId, Error> {
        self.shared.roots[position].ok_or_else(|| {
            let from = self.shared.stages.nodes[position].title().to_owned();
            self.error(PlanProblem::LaterStage { from })
        })
    }

    fn vertex(&self, op: Op, name: String) -> Vertex {
        let span = self.step.span();
        let options = self.shared.options;
        let mut filter = options.no_cache_filter.iter();
        let filtered = filter.any(|name| name.eq_ignore_ascii_case(&self.node.name));
        Vertex {
            op,
            name,
            lines: (span.first_line as usize, span.last_line as usize),
            uncached: options.no_cache || filtered,
        }
    }
}

fn entry(created_by: String, empty_layer: bool) -> History {
    History {
        created_by: Some(created_by),
        comment: Some(COMMENT.to_owned()),
        empty_layer,
        ..History::default()
    }
}
