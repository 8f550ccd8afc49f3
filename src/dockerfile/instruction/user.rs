//! `USER <user>[:<group>]`.

use crate::dockerfile::Error;
use crate::dockerfile::Word;
use crate::dockerfile::instruction::arguments::Arguments;

/// `USER`: says who runs the following commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// `user[:group]`, names or numbers.
    pub user: Word,
}

impl User {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        arguments.flags(&[])?;
        let user = arguments.line_of_text("USER <user>[:<group>]")?;
        Ok(Self { user })
    }
}
