//! `ENV <key>=<value> ...` and the older `ENV <key> <value>`.

use crate::dockerfile::span::Word;

/// `ENV`: sets environment variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Env {
    /// The variables in order.
    pub pairs: Vec<Pair>,
}

/// A key and a value of `ENV` or `LABEL`, quotes and escapes as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The key.
    pub key: Word,
    /// The value.
    pub value: Word,
    /// Written in the older form `key value`: then it is the only pair.
    pub legacy: bool,
}
