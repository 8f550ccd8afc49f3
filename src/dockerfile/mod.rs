//! Text to [`Dockerfile`] to plan: what the user wrote, and what it means.
//!
//! [`parse`] reads the text into spanned instructions grouped in stages. [`bases`] names the images
//! that the target needs; with these resolved, [`lower`] makes a plan. Nothing in this room does
//! I/O: files, the network and the clock belong to its callers.
//!
//! Start reading at [`parse`], then [`Instruction`], then [`lower`].

mod check;
mod credentials;
mod environment;
mod epoch;
mod error;
mod expand;
mod globals;
mod grammar;
mod ignore;
pub mod instruction;
mod json;
mod lines;
mod lower;
mod nearest;
mod options;
mod outline;
mod parser;
mod span;
mod stage;

pub use self::check::Checked;
pub use self::check::Rule;
pub use self::check::check;
pub use self::credentials::blank_credentials;
pub use self::error::Error;
pub use self::error::ExpandError;
pub use self::error::MountError;
pub use self::error::Problem;
pub use self::expand::Expansion;
pub use self::expand::Lexing;
pub use self::expand::expand;
pub use self::ignore::parse_ignore;
pub use self::instruction::Instruction;
pub use self::instruction::Source;
pub use self::instruction::Statement;
pub use self::json::to_json;
pub use self::lower::Lowered;
pub use self::lower::Lowering;
pub use self::lower::PlanProblem;
pub use self::lower::bases;
pub use self::lower::context_op;
pub use self::lower::lower;
pub use self::nearest::nearest;
pub use self::options::Base;
pub use self::options::BaseSource;
pub use self::options::Bases;
pub use self::options::LayoutImage;
pub use self::options::NamedContext;
pub use self::options::Options;
pub use self::options::Wanted;
pub use self::outline::Outline;
pub use self::outline::OutlineArg;
pub use self::outline::Request;
pub use self::outline::Target;
pub use self::outline::outline;
pub use self::outline::targets;
pub use self::parser::decode;
pub use self::parser::parse;
pub use self::parser::parse_instruction;
pub use self::span::Span;
pub use self::span::Word;

/// A parsed Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dockerfile {
    /// The character that escapes and continues lines.
    pub escape: Escape,
    /// The leading `# syntax=`, `# escape=` and `# check=` comments, in order.
    pub directives: Vec<Directive>,
    /// The `ARG`s before the first `FROM`.
    pub meta_args: Vec<Statement<instruction::Arg>>,
    /// The stages in order. There may be none, when the file holds nothing but `ARG`s.
    pub stages: Vec<Stage>,
    /// What is accepted but should not be written.
    pub warnings: Vec<Warning>,
}

/// A `FROM` and the instructions up to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The `FROM` that begins it.
    pub from: Statement<instruction::From>,
    /// Its instructions in order.
    pub instructions: Vec<Statement>,
}

/// A parser directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// `syntax`, `escape` or `check`, in lower case.
    pub name: String,
    /// Its value, white space around it removed.
    pub value: String,
    /// Its line.
    pub span: Span,
}

/// The character that escapes and continues lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Escape {
    /// `\`, the default.
    #[default]
    Backslash,
    /// `` ` ``, by `# escape=`.
    Backtick,
}

impl Escape {
    /// The character itself.
    #[must_use]
    pub fn char(self) -> char {
        match self {
            Self::Backslash => '\\',
            Self::Backtick => '`',
        }
    }
}

/// Something accepted that should not be written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Warning {
    /// The rule that is violated; none for what only rbuild warns of.
    pub rule: Option<Rule>,
    /// One sentence.
    pub message: String,
    /// Where.
    pub span: Span,
}
