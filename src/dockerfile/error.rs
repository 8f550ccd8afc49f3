//! What can be wrong with a Dockerfile.

use std::fmt;

use crate::dockerfile::PlanProblem;
use crate::dockerfile::Span;

/// Something is wrong at a place of the Dockerfile. Shows as its problem.
#[derive(Debug)]
pub struct Error {
    /// Where.
    pub span: Span,
    /// What. Boxed, so that results stay small.
    pub problem: Box<Problem>,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(formatter)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.problem {
            Problem::InTrigger { problem, .. } => std::error::Error::source(&**problem),
            problem => std::error::Error::source(problem),
        }
    }
}

impl Error {
    /// Says what is wrong at a place.
    #[must_use]
    pub fn new(span: Span, problem: Problem) -> Self {
        Self {
            span,
            problem: Box::new(problem),
        }
    }

    /// Says that it is in a trigger, which the instruction at `span` fires: of several lines the
    /// first is shown.
    pub(super) fn in_trigger(self, trigger: &str, span: Span) -> Self {
        let trigger = match trigger.trim_end().split_once('\n') {
            Some((first, _)) => format!("{first} …"),
            None => trigger.trim_end().to_owned(),
        };
        let problem = self.problem;
        Self::new(span, Problem::InTrigger { trigger, problem })
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file holds comments and blank lines at most.
    #[error("the Dockerfile has no instructions")]
    Empty,
    /// A line is longer than other builders read.
    #[error("the line has {bytes} bytes; the longest allowed has {longest}")]
    LineTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        longest: usize,
    },
    /// The here-documents of an instruction stand for too much.
    #[error("the here-documents are longer than {longest} bytes in all")]
    HeredocsTooLong {
        /// The limit.
        longest: usize,
    },
    /// A directive stands twice.
    #[error("the parser directive `{name}` stands here for the second time")]
    DirectiveTwice {
        /// Its name.
        name: String,
    },
    /// `# escape=` names another character than the two there are.
    #[error("the escape character can be `\\` or `` ` ``, not `{found}`")]
    EscapeDirective {
        /// What it names.
        found: String,
    },
    /// A line begins with a word that is no keyword.
    #[error("unknown instruction `{found}`")]
    UnknownInstruction {
        /// The word.
        found: String,
        /// The keyword that looks most like it.
        nearest: Option<&'static str>,
    },
    /// An instruction other than `ARG` stands before the first `FROM`.
    #[error("{keyword} stands before the first FROM")]
    BeforeFrom {
        /// The instruction.
        keyword: &'static str,
    },
    /// What stands behind the keyword does not have the form it must have.
    #[error("expected `{usage}`, found {found}")]
    Arguments {
        /// The form.
        usage: &'static str,
        /// What stands where it stops to fit.
        found: String,
    },
    /// `COPY` or `ADD` with fewer than two paths.
    #[error("{keyword} needs a source and a destination")]
    Destination {
        /// Which.
        keyword: &'static str,
    },
    /// A flag the instruction does not have.
    #[error("{keyword} has no flag `--{found}`")]
    UnknownFlag {
        /// The instruction.
        keyword: &'static str,
        /// The flag.
        found: String,
        /// The flag that looks most like it.
        nearest: Option<&'static str>,
        /// All it has.
        known: Vec<&'static str>,
    },
    /// A flag stands twice that may stand once.
    #[error("the flag `--{name}` stands here for the second time")]
    FlagTwice {
        /// The flag.
        name: &'static str,
    },
    /// A flag without its value.
    #[error("the flag `--{name}` needs a value: `--{name}=…`")]
    FlagWithoutValue {
        /// The flag.
        name: &'static str,
    },
    /// A flag has a value it cannot have.
    #[error("`--{name}` cannot be `{found}`; expected {expected}")]
    FlagValue {
        /// The flag.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it can be.
        expected: &'static str,
    },
    /// A JSON array with something other than strings in it.
    #[error("a JSON array must hold strings only")]
    JsonNotStrings,
    /// A word of `ENV` or `LABEL` is no `key=value`.
    #[error("expected `key=value`, found `{found}`")]
    NotAPair {
        /// The word.
        found: String,
    },
    /// A key is empty.
    #[error("{keyword} needs a name before `=`")]
    BlankKey {
        /// The instruction.
        keyword: &'static str,
    },
    /// A stage's name has characters it cannot have.
    #[error("`{name}` cannot be the name of a stage")]
    StageName {
        /// The name.
        name: String,
    },
    /// A path of `VOLUME` is empty.
    #[error("a path of VOLUME is empty")]
    BlankVolume,
    /// A here-document without its end.
    #[error("the here-document `{name}` does not end: no line holds just `{name}`")]
    HeredocWithoutEnd {
        /// Its delimiter.
        name: String,
    },
    /// A here-document as the destination of `COPY` or `ADD`.
    #[error("the destination of {keyword} cannot be a here-document")]
    HeredocDestination {
        /// Which.
        keyword: &'static str,
    },
    /// An instruction that cannot be kept for later.
    #[error("{trigger} cannot be a trigger of ONBUILD")]
    Trigger {
        /// The instruction.
        trigger: &'static str,
    },
    /// Several instructions where one is expected.
    #[error("expected a single instruction")]
    NotSingle,
    /// A `HEALTHCHECK` of another type than the two there are.
    #[error("HEALTHCHECK can be CMD or NONE, not `{found}`")]
    HealthcheckType {
        /// The type.
        found: String,
    },
    /// `RUN --mount` with options that do not fit.
    #[error("the mount `{text}` cannot be made")]
    Mount {
        /// The flag's value.
        text: String,
        /// Why.
        #[source]
        cause: MountError,
    },
    /// A line of an ignore file is malformed.
    #[error("`{pattern}` is not a pattern")]
    IgnorePattern {
        /// The line.
        pattern: String,
    },
    /// `# check=` or its build argument cannot be understood.
    #[error("`{found}` is no option of the build checks")]
    CheckOption {
        /// The option.
        found: String,
    },
    /// Rules are violated, and `error=true`.
    #[error("lint violation found for rules: {}", rules.join(", "))]
    Violations {
        /// The rules.
        rules: Vec<&'static str>,
    },
    /// A text cannot be expanded.
    #[error("`{text}` cannot be expanded")]
    Expand {
        /// The text.
        text: String,
        /// Why.
        #[source]
        cause: ExpandError,
    },
    /// Something is wrong with what the base of a stage has run there.
    #[error("{problem}, in `ONBUILD {trigger}` of the base")]
    InTrigger {
        /// The trigger.
        trigger: String,
        /// What.
        problem: Box<Problem>,
    },
    /// What it says cannot be done.
    #[error(transparent)]
    Plan(#[from] PlanProblem),
}

impl Problem {
    /// What the user can do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty => Some("a Dockerfile begins with `FROM <image>`".to_owned()),
            Self::UnknownInstruction { nearest, .. } => match nearest {
                Some(nearest) => Some(format!("did you mean {nearest}?")),
                None => Some("a line that goes on ends with the escape character".to_owned()),
            },
            Self::BeforeFrom { .. } => {
                Some("only ARG, comments and parser directives can stand there".to_owned())
            }
            Self::UnknownFlag {
                nearest: Some(nearest),
                ..
            } => Some(format!("did you mean `--{nearest}`?")),
            Self::UnknownFlag { known, keyword, .. } if known.is_empty() => Some(format!(
                "{keyword} has no flags; words that begin with `--` can follow a `--`"
            )),
            Self::UnknownFlag { known, .. } => Some(format!("there is --{}", known.join(", --"))),
            Self::StageName { .. } => {
                Some("a name is a letter, then letters, digits, `-`, `_` and `.`".to_owned())
            }
            Self::JsonNotStrings => Some("put the element in double quotes".to_owned()),
            Self::HeredocWithoutEnd { .. } => Some(
                "with `<<-` the last line may be indented by tabs, but not by spaces".to_owned(),
            ),
            Self::IgnorePattern { .. } => {
                Some("`[` needs its `]`, and `!` and `\\` something behind them".to_owned())
            }
            Self::CheckOption { .. } => Some(
                "the options are skip=, experimental= and error=, with `;` between them".to_owned(),
            ),
            Self::Violations { .. } => {
                Some("error=true, in `# check=` or a build argument, makes them errors".to_owned())
            }
            Self::Plan(problem) => problem.hint(),
            Self::InTrigger { problem, .. } => problem.hint(),
            _ => None,
        }
    }

    /// Whether BuildKit finds it while it splits the file into lines and words, before it looks at
    /// any instruction. Then its checks say nothing.
    pub(super) fn is_of_words(&self) -> bool {
        matches!(
            self,
            Self::Empty
                | Self::LineTooLong { .. }
                | Self::DirectiveTwice { .. }
                | Self::EscapeDirective { .. }
                | Self::JsonNotStrings
                | Self::NotAPair { .. }
                | Self::HeredocWithoutEnd { .. }
                | Self::Expand { .. }
        )
    }
}

/// Why the options of a `RUN --mount` do not fit.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The value is empty.
    #[error("it has no options")]
    Empty,
    /// The value's quotes are wrong.
    #[error("a double quote stands in the middle of an option, or has no end")]
    Quote,
    /// A value cannot be expanded.
    #[error("the value of `{key}` cannot be expanded")]
    Expand {
        /// The option.
        key: String,
        /// Why.
        #[source]
        cause: ExpandError,
    },
    /// `from` names a variable.
    #[error("`from` is not expanded: name a stage, and use the variable in its FROM")]
    FromVariable,
    /// An option there is not.
    #[error("there is no option `{key}`{}", nearest.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default())]
    UnknownKey {
        /// The option.
        key: String,
        /// The option that looks most like it.
        nearest: Option<&'static str>,
    },
    /// An option without its value.
    #[error("the option `{key}` needs a value")]
    WithoutValue {
        /// The option.
        key: String,
    },
    /// An option has a value it cannot have.
    #[error("`{key}` cannot be `{found}`{}", nearest.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default())]
    Value {
        /// The option.
        key: String,
        /// Its value.
        found: String,
        /// The value that looks most like it.
        nearest: Option<&'static str>,
    },
    /// An option that this type of mount does not have.
    #[error("a mount of type {kind} has no option `{key}`")]
    KeyOfOtherKind {
        /// The option.
        key: &'static str,
        /// The type.
        kind: &'static str,
    },
    /// A secret that is not named.
    #[error("a secret needs an id or a target")]
    SecretUnnamed,
    /// A secret that is named twice.
    #[error("a secret has an id or a source, not both")]
    SecretNamedTwice,
}

/// Why a text cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// `'` without its end.
    #[error("unexpected end of statement while looking for matching single-quote")]
    MissingSingleQuote,
    /// `"` without its end.
    #[error("unexpected end of statement while looking for matching double-quote")]
    MissingDoubleQuote,
    /// `${` without its end.
    #[error("syntax error: missing '}}'")]
    MissingBrace,
    /// `${v/pattern` without the slash behind it.
    #[error("syntax error: missing '/' in ${{}}")]
    MissingSlash,
    /// `${}`, `${:…` or `${{…`.
    #[error("syntax error: bad substitution")]
    BadSubstitution,
    /// `${v` followed by something other than the known operators.
    #[error("unsupported modifier ({modifier}) in substitution")]
    Modifier {
        /// What follows.
        modifier: String,
    },
    /// `${v?message}` of a variable that is not set, or `${v:?message}` of an empty one.
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// The message written there, or ours.
        message: String,
    },
    /// The values put in are too long in all.
    #[error("the values it names are longer than {longest} bytes in all")]
    TooLong {
        /// The limit.
        longest: usize,
    },
    /// The values put in everywhere in the Dockerfile are too long in all.
    #[error("the values that the Dockerfile puts in are longer than {most} bytes in all")]
    TooMuch {
        /// The limit.
        most: usize,
    },
    /// A pattern escapes a character that needs none.
    #[error("invalid pattern ({pattern}) in substitution: invalid escape '\\{escaped}'")]
    PatternEscape {
        /// The pattern.
        pattern: String,
        /// What is escaped; nothing when the pattern ends there.
        escaped: String,
    },
}
