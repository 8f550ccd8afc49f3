//! `VOLUME <path> ...`.

use crate::dockerfile::Error;
use crate::dockerfile::Problem;
use crate::dockerfile::Word;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::paths::Paths;

/// `VOLUME`: says which directories a runtime keeps outside the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Written as a JSON array.
    pub json: bool,
    /// The paths, white space around them removed; none is empty.
    pub paths: Vec<Word>,
}

impl Volume {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        let usage = r#"VOLUME <path> ... or VOLUME ["<path>", ...]"#;
        let Paths { json, words } = Paths::parse(arguments, usage)?;
        if words.is_empty() {
            return Err(arguments.misfit(0, usage));
        }
        arguments.flags(&[])?;
        let mut paths = Vec::with_capacity(words.len());
        for Word { text, span } in words {
            let text = text.trim().to_owned();
            if text.is_empty() {
                return Err(Error::new(span, Problem::BlankVolume));
            }
            paths.push(Word { text, span });
        }
        Ok(Self { json, paths })
    }
}
