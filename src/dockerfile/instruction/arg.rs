//! `ARG <name>[=<default>] ...`.

use crate::dockerfile::span::Word;

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
