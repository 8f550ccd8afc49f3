//! `ARG <name>[=<default>] ...`.

use crate::dockerfile::Error;
use crate::dockerfile::Problem;
use crate::dockerfile::Word;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::comment::about;
use crate::dockerfile::instruction::env;

/// `ARG`: declares build arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// The arguments in order.
    pub declarations: Vec<Declaration>,
}

/// One argument of an `ARG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Its name.
    pub key: Word,
    /// Its default. `ARG x=` has an empty one, `ARG x` none.
    pub value: Option<Word>,
    /// What the comment above says of it: the rest of a comment line that begins with its name.
    pub comment: Option<String>,
}

impl Arg {
    /// Flags are let through, as other builders do.
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        let usage = "ARG <name>[=<default>] ...";
        let words = env::quoted_words(arguments, usage)?;
        if words.is_empty() {
            return Err(arguments.misfit(0, usage));
        }
        let declarations = words
            .into_iter()
            .map(|word| Declaration::parse(arguments, word));
        Ok(Self {
            declarations: declarations.collect::<Result<_, _>>()?,
        })
    }
}

impl Declaration {
    fn parse(arguments: &Arguments<'_>, word: Word) -> Result<Self, Error> {
        let (key, value) = match env::split(&word) {
            Some((key, value)) => (key, Some(value)),
            None => (word, None),
        };
        if key.text.is_empty() {
            let keyword = arguments.keyword.name();
            return Err(Error::new(key.span, Problem::BlankKey { keyword }));
        }
        let comment = about(&arguments.line.comments, &key.text);
        Ok(Self {
            key,
            value,
            comment,
        })
    }
}
