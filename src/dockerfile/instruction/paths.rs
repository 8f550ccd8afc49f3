//! The paths of `ADD`, `COPY` and `VOLUME`: a JSON array or words.

use crate::dockerfile::Error;
use crate::dockerfile::Word;
use crate::dockerfile::grammar::Rule;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::exec;

/// Paths as written.
#[derive(Debug)]
pub(super) struct Paths {
    pub(super) json: bool,
    pub(super) words: Vec<Word>,
}

impl Paths {
    pub(super) fn parse(arguments: &Arguments<'_>, usage: &'static str) -> Result<Self, Error> {
        let matched = arguments.matches(Rule::paths, usage)?.next();
        let mut parts = matched
            .map(pest::iterators::Pair::into_inner)
            .into_iter()
            .flatten();
        let Some(first) = parts.next() else {
            return Ok(Self {
                json: false,
                words: Vec::new(),
            });
        };
        if first.as_rule() == Rule::exec {
            return Ok(Self {
                json: true,
                words: exec::strings(arguments, first),
            });
        }
        exec::check_strings(arguments)?;
        let parts = std::iter::once(first).chain(parts);
        let words = parts.filter(|pair| pair.as_rule() == Rule::word);
        Ok(Self {
            json: false,
            words: words.map(|pair| arguments.word(&pair)).collect(),
        })
    }
}
