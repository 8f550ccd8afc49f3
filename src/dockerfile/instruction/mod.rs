//! The instructions, one file each: the value, and how its arguments are parsed into it.
//!
//! Nothing here is expanded: quotes, escapes and variables stand as written.

mod add;
mod arg;
pub(super) mod arguments;
mod cmd;
mod command;
mod comment;
mod copy;
mod csv;
mod duration;
mod entrypoint;
mod env;
pub(super) mod exec;
mod expose;
pub(super) mod flags;
mod from;
pub(super) mod head;
mod healthcheck;
pub(super) mod heredoc;
pub(super) mod keyword;
mod label;
mod maintainer;
mod mount;
mod onbuild;
mod paths;
mod run;
mod shell;
mod size;
mod stopsignal;
mod user;
mod volume;
mod workdir;

pub use self::add::Add;
pub use self::arg::Arg;
pub use self::arg::Declaration;
pub use self::cmd::Cmd;
pub use self::command::Command;
pub use self::copy::Content;
pub use self::copy::Copy;
pub use self::entrypoint::Entrypoint;
pub use self::env::Env;
pub use self::env::Pair;
pub use self::expose::Expose;
pub use self::from::From;
pub use self::healthcheck::Healthcheck;
pub use self::healthcheck::Probe;
pub use self::heredoc::Heredoc;
pub use self::label::Label;
pub use self::maintainer::Maintainer;
pub use self::mount::MountKind;
pub use self::mount::MountOptions;
pub use self::mount::Sharing;
pub use self::onbuild::Onbuild;
pub use self::run::Device;
pub use self::run::Network;
pub use self::run::Run;
pub use self::run::Security;
pub use self::shell::Shell;
pub use self::stopsignal::Stopsignal;
pub use self::user::User;
pub use self::volume::Volume;
pub use self::workdir::Workdir;

use self::arguments::Arguments;
use self::keyword::Keyword;
use crate::dockerfile::Error;
use crate::dockerfile::Span;
use crate::dockerfile::Word;

/// An instruction of a stage. `FROM` is not among them: it begins a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each variant is documented at the struct it holds"
)]
pub enum Instruction {
    Add(Add),
    Arg(Arg),
    Cmd(Cmd),
    Copy(Copy),
    Entrypoint(Entrypoint),
    Env(Env),
    Expose(Expose),
    Healthcheck(Healthcheck),
    Label(Label),
    Maintainer(Maintainer),
    Onbuild(Onbuild),
    Run(Run),
    Shell(Shell),
    Stopsignal(Stopsignal),
    User(User),
    Volume(Volume),
    Workdir(Workdir),
}

impl Instruction {
    /// Parses the arguments of a keyword; `None` for `FROM`.
    pub(super) fn parse(arguments: &mut Arguments<'_>) -> Result<Option<Self>, Error> {
        let instruction = match arguments.keyword {
            Keyword::Add => Self::Add(Add::parse(arguments)?),
            Keyword::Arg => Self::Arg(Arg::parse(arguments)?),
            Keyword::Cmd => Self::Cmd(Cmd::parse(arguments)?),
            Keyword::Copy => Self::Copy(Copy::parse(arguments)?),
            Keyword::Entrypoint => Self::Entrypoint(Entrypoint::parse(arguments)?),
            Keyword::Env => Self::Env(Env::parse(arguments)?),
            Keyword::Expose => Self::Expose(Expose::parse(arguments)?),
            Keyword::From => return Ok(None),
            Keyword::Healthcheck => Self::Healthcheck(Healthcheck::parse(arguments)?),
            Keyword::Label => Self::Label(Label::parse(arguments)?),
            Keyword::Maintainer => Self::Maintainer(Maintainer::parse(arguments)?),
            Keyword::Onbuild => Self::Onbuild(Onbuild::parse(arguments)?),
            Keyword::Run => Self::Run(Run::parse(arguments)?),
            Keyword::Shell => Self::Shell(Shell::parse(arguments)?),
            Keyword::Stopsignal => Self::Stopsignal(Stopsignal::parse(arguments)?),
            Keyword::User => Self::User(User::parse(arguments)?),
            Keyword::Volume => Self::Volume(Volume::parse(arguments)?),
            Keyword::Workdir => Self::Workdir(Workdir::parse(arguments)?),
        };
        Ok(Some(instruction))
    }
}

/// How an instruction is written in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// The whole instruction, from its keyword to the end of its last line, here-documents included.
    pub span: Span,
    /// The instruction on one line: continuations joined, comments dropped, here-document bodies
    /// left out, white space at both ends trimmed. Progress lines and history begin from it.
    pub text: String,
    /// The keyword as written, upper or lower case.
    pub keyword: Word,
    /// The flag words in order, quotes and escapes removed: `--mount=type=cache,target=/x`.
    pub flags: Vec<Word>,
    /// The block of comments right above, without `#` and the blanks around them.
    pub comments: Vec<String>,
}

/// An instruction (or `FROM`, or an `ARG` before it) together with how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement<T = Instruction> {
    /// How it is written.
    pub source: Source,
    /// What it says.
    pub instruction: T,
}
