//! `FROM [--platform=<platform>] <image> [AS <name>]`.

use crate::dockerfile::Error;
use crate::dockerfile::Problem;
use crate::dockerfile::Word;
use crate::dockerfile::grammar::Rule;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::comment::about;
use crate::dockerfile::instruction::flags::Takes;

/// `FROM`: begins a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// An image reference, an earlier stage, a named context or `scratch`.
    pub base: Word,
    /// The stage's name in lower case; its span shows how it was written.
    pub name: Option<Word>,
    /// The `AS` as written.
    pub separator: Option<Word>,
    /// `--platform`.
    pub platform: Option<Word>,
    /// What the comment above says of the stage: the rest of a comment line that begins with its
    /// name.
    pub comment: Option<String>,
}

impl From {
    pub(in crate::dockerfile) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        let usage = "FROM [--platform=<platform>] <image> [AS <name>]";
        let matched = arguments.matches(Rule::from, usage)?;
        let mut words = matched
            .flatten()
            .filter(|pair| matches!(pair.as_rule(), Rule::word | Rule::as_keyword));
        let mut word = || words.next().map(|pair| arguments.word(&pair));
        let base = word().unwrap_or_default();
        let separator = word();
        let name = word().map(stage_name).transpose()?;
        let platform = arguments
            .flags(&[("platform", Takes::Value)])?
            .value("platform");
        let comment = name
            .as_ref()
            .and_then(|name| about(&arguments.line.comments, &name.text));
        Ok(Self {
            base,
            name,
            separator,
            platform,
            comment,
        })
    }
}

/// A stage's name in lower case.
fn stage_name(word: Word) -> Result<Word, Error> {
    let text = word.text.to_lowercase();
    let letter = text.starts_with(|char: char| char.is_ascii_lowercase());
    let legal = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    if !letter || !text.chars().all(legal) {
        return Err(Error::new(
            word.span,
            Problem::StageName { name: word.text },
        ));
    }
    Ok(Word {
        text,
        span: word.span,
    })
}
