//! `EXPOSE <port>[-<port>][/<protocol>] ...`.

use crate::dockerfile::Error;
use crate::dockerfile::Word;
use crate::dockerfile::grammar::Rule;
use crate::dockerfile::instruction::arguments::Arguments;

/// `EXPOSE`: says on which ports a container listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expose {
    /// The words, sorted by their bytes.
    pub ports: Vec<Word>,
}

impl Expose {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        arguments.flags(&[])?;
        let usage = "EXPOSE <port>[-<port>][/<protocol>] ...";
        let matched = arguments.matches(Rule::expose, usage)?;
        let words = matched
            .flatten()
            .filter(|pair| pair.as_rule() == Rule::word);
        let mut ports: Vec<Word> = words.map(|pair| arguments.word(&pair)).collect();
        ports.sort_by(|left, right| left.text.cmp(&right.text));
        Ok(Self { ports })
    }
}
