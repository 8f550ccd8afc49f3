//! The command of `RUN`, `CMD`, `ENTRYPOINT` and `HEALTHCHECK CMD`.

use pest::iterators::Pair;

use crate::dockerfile::Error;
use crate::dockerfile::Word;
use crate::dockerfile::grammar::Rule;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::exec;

/// A command in one of its two forms. Its text is never expanded by the builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Text for the shell in force; `None` when nothing was written.
    Shell(Option<Word>),
    /// The words of a JSON array, run as they are.
    Exec(Vec<Word>),
}

impl Command {
    /// Parses all of the arguments as a command.
    pub(super) fn parse(arguments: &Arguments<'_>, usage: &'static str) -> Result<Self, Error> {
        let matched = arguments.matches(Rule::command, usage)?.next();
        Self::of(
            arguments,
            matched.into_iter().flat_map(Pair::into_inner).next(),
        )
    }

    /// The command of an `exec` or `text` match.
    pub(super) fn of(
        arguments: &Arguments<'_>,
        matched: Option<Pair<'_, Rule>>,
    ) -> Result<Self, Error> {
        match matched {
            Some(pair) if pair.as_rule() == Rule::exec => {
                Ok(Self::Exec(exec::strings(arguments, pair)))
            }
            Some(pair) if pair.as_rule() == Rule::text => {
                exec::check_text(arguments, pair.as_str())?;
                Ok(Self::Shell(Some(arguments.word(&pair))))
            }
            _ => Ok(Self::Shell(None)),
        }
    }
}
