//! `SHELL ["<executable>", "<parameter>", ...]`.

use crate::dockerfile::Error;
use crate::dockerfile::Word;
use crate::dockerfile::grammar::Rule;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::exec;

/// `SHELL`: replaces the shell that runs commands in shell form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    /// The words before the command; never empty.
    pub words: Vec<Word>,
}

impl Shell {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        const USAGE: &str = r#"SHELL ["<executable>", "<parameter>", ...]"#;
        arguments.flags(&[])?;
        exec::check_strings(arguments)?;
        let matched = arguments.matches(Rule::shell, USAGE)?.next();
        let array = matched.and_then(|shell| shell.into_inner().next());
        let words = array
            .map(|array| exec::strings(arguments, array))
            .unwrap_or_default();
        if words.is_empty() {
            return Err(arguments.misfit(0, USAGE));
        }
        Ok(Self { words })
    }
}
