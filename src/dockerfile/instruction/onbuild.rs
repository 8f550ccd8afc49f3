//! `ONBUILD <instruction>`.

use crate::dockerfile::Error;
use crate::dockerfile::Problem;
use crate::dockerfile::Word;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::env;
use crate::dockerfile::instruction::exec;
use crate::dockerfile::instruction::head::Head;
use crate::dockerfile::instruction::keyword::Keyword;

/// `ONBUILD`: keeps an instruction for the builds that start from the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onbuild {
    /// The instruction's text, here-documents attached again; `parse_instruction` reads it.
    pub expression: Word,
}

impl Onbuild {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        arguments.line_of_text("ONBUILD <instruction>")?;
        arguments.flags(&[])?;
        check(arguments)?;
        // White space at the end of the line stays in the expression, as in other builders.
        let range = arguments.range.start..arguments.line.text.len();
        let mut expression = arguments.line.word(range);
        for heredoc in &arguments.heredocs {
            expression.text.push('\n');
            expression.text.push_str(&heredoc.data);
            expression.text.push_str(&heredoc.name.text);
        }
        Ok(Self { expression })
    }
}

/// Refuses what cannot be a trigger. The rest is left to the build that runs it, whose builder may
/// know instructions and flags that this one does not.
fn check(arguments: &Arguments<'_>) -> Result<(), Error> {
    let head = Head::parse(arguments.line, arguments.range.clone());
    let Some(keyword) = head.find(arguments.line) else {
        return Ok(());
    };
    let trigger = Arguments {
        line: arguments.line,
        keyword,
        flags: &head.flags,
        range: head.arguments,
        escape: arguments.escape,
        heredocs: Vec::new(),
    };
    match keyword {
        Keyword::Onbuild | Keyword::Maintainer | Keyword::From => {
            Err(arguments.error(Problem::Trigger {
                trigger: keyword.name(),
            }))
        }
        Keyword::Env => env::check(&trigger, "ENV <key>=<value> ..."),
        Keyword::Label => env::check(&trigger, "LABEL <key>=<value> ..."),
        Keyword::Add | Keyword::Copy | Keyword::Volume | Keyword::Shell => {
            exec::check_strings(&trigger)
        }
        Keyword::Cmd | Keyword::Entrypoint | Keyword::Run => exec::check_strings(&trigger),
        Keyword::Healthcheck => {
            let (_, command) = trigger
                .text()
                .split_once(char::is_whitespace)
                .unwrap_or_default();
            exec::check_text(&trigger, command.trim_start())
        }
        _ => Ok(()),
    }
}
