//! Gathers what the rules find, as far as they are on.

use crate::dockerfile::Dockerfile;
use crate::dockerfile::Error;
use crate::dockerfile::Options;
use crate::dockerfile::Problem;
use crate::dockerfile::Span;
use crate::dockerfile::Warning;
use crate::dockerfile::check::Finding;
use crate::dockerfile::check::Rule;
use crate::dockerfile::check::settings::Settings;
use crate::dockerfile::check::settings::first_word;
use crate::dockerfile::instruction::Source;
use crate::dockerfile::nearest::nearest_exact;

/// Comparing takes time in proportion to both the unknown and the known names.
const COMPARISONS_MAX: usize = 2_000_000;

/// The build argument that goes before what the Dockerfile says of the rules.
const CHECK_ARG: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// Gathers warnings.
#[derive(Debug)]
pub(in crate::dockerfile) struct Linter {
    /// None if nobody wants to know.
    settings: Option<Settings>,
    /// What has been found so far, in order.
    pub(in crate::dockerfile) warnings: Vec<Warning>,
    /// How many more names are compared to find what was meant.
    comparisons: usize,
}

impl Linter {
    /// Makes one for a Dockerfile. A build argument goes before the directive `# check=`.
    pub(in crate::dockerfile) fn new(
        dockerfile: &Dockerfile,
        options: &Options,
    ) -> Result<Self, Error> {
        let mut directives = dockerfile.directives.iter();
        let directive = directives.find(|directive| directive.name == "check");
        let (span, text) = match (options.build_args.get(CHECK_ARG), directive) {
            (Some(given), _) => (Span::default(), given.as_str()),
            (None, Some(directive)) => (directive.span, first_word(&directive.value)),
            (None, None) => (Span::default(), ""),
        };
        let settings = Settings::parse(text).map_err(|problem| Error::new(span, problem))?;
        Ok(Self {
            settings: Some(settings),
            warnings: Vec::new(),
            comparisons: COMPARISONS_MAX,
        })
    }

    /// Makes one that forgets everything.
    pub(in crate::dockerfile) fn silent() -> Self {
        Self {
            settings: None,
            warnings: Vec::new(),
            comparisons: 0,
        }
    }

    /// Finds the name that was meant by one that is not known. Where very many are not known, the
    /// later ones are told without a guess.
    pub(in crate::dockerfile) fn nearest<'n>(
        &mut self,
        found: &str,
        known: impl Iterator<Item = &'n str>,
    ) -> Option<&'n str> {
        let known: Vec<&str> = known.take(self.comparisons).collect();
        self.comparisons -= known.len();
        nearest_exact(found, &known)
    }

    /// Notes a violation at an instruction, unless a comment above it says not to.
    pub(in crate::dockerfile) fn find(&mut self, source: &Source, finding: Finding<'_>) {
        self.find_at(source.span, &source.comments, finding);
    }

    /// Notes a violation at a place below some comments.
    pub(in crate::dockerfile) fn find_at(
        &mut self,
        span: Span,
        comments: &[String],
        finding: Finding<'_>,
    ) {
        let Some(settings) = &self.settings else {
            return;
        };
        let rule = finding.rule();
        if settings.is_on_below(rule, comments) {
            self.warnings.push(Warning {
                rule: Some(rule),
                message: finding.to_string(),
                span,
            });
        }
    }

    /// Warns of what no rule is about.
    pub(in crate::dockerfile) fn warn(&mut self, message: String, span: Span) {
        if self.settings.is_some() {
            self.warnings.push(Warning {
                rule: None,
                message,
                span,
            });
        }
    }

    /// Gives an error if a rule is violated and `error=true`.
    pub(in crate::dockerfile) fn violations(&self) -> Option<Error> {
        self.settings.as_ref().filter(|settings| settings.fails)?;
        let found = self.warnings.iter();
        let mut rules: Vec<_> = found.filter_map(|warning| warning.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        let rules: Vec<_> = rules.into_iter().map(Rule::name).collect();
        let is_clean = rules.is_empty();
        let error = || Error::new(Span::default(), Problem::Violations { rules });
        (!is_clean).then(error)
    }
}
