//! `USER <user>[:<group>]`.

use crate::dockerfile::span::Word;

/// `USER`: says who runs the following commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// `user[:group]`, names or numbers.
    pub user: Word,
}
