//! Flags: `--name=value` between the keyword and the arguments.

use crate::dockerfile::Error;
use crate::dockerfile::Problem;
use crate::dockerfile::Word;
use crate::dockerfile::instruction::keyword::Keyword;
use crate::dockerfile::nearest::nearest;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// `--name`, `--name=true` or `--name=false`.
    Switch,
    /// `--name=value`, once.
    Value,
    /// `--name=value`, any number of times.
    Values,
}

/// The flags of an instruction, checked against those it has.
#[derive(Debug, Default)]
pub(super) struct Flags {
    found: Vec<(&'static str, Word)>,
}

impl Flags {
    pub(super) fn read(
        words: &[Word],
        known: &[(&'static str, Takes)],
        keyword: Keyword,
    ) -> Result<Self, Error> {
        let mut flags = Self::default();
        for word in words {
            let (name, value) = split(word);
            let Some((name, takes)) = known.iter().find(|(known, _)| *known == name) else {
                return Err(unknown(word, name, known, keyword));
            };
            let error = |problem| Err(Error::new(word.span, problem));
            if *takes != Takes::Values && flags.found.iter().any(|(found, _)| found == name) {
                return error(Problem::FlagTwice { name });
            }
            let value = match (takes, value) {
                (Takes::Switch, None) => "true".to_owned(),
                (Takes::Switch, Some(value)) => match value.to_ascii_lowercase().as_str() {
                    "true" => "true".to_owned(),
                    "false" => "false".to_owned(),
                    "" => return error(Problem::FlagWithoutValue { name }),
                    _ => {
                        let (found, expected) = (value.to_owned(), "`true` or `false`");
                        return error(Problem::FlagValue {
                            name,
                            found,
                            expected,
                        });
                    }
                },
                (_, Some(value)) => value.to_owned(),
                (_, None) => return error(Problem::FlagWithoutValue { name }),
            };
            flags.found.push((
                name,
                Word {
                    text: value,
                    span: word.span,
                },
            ));
        }
        Ok(flags)
    }

    /// The value of a flag; the span is that of the whole flag.
    pub(super) fn value(&mut self, name: &str) -> Option<Word> {
        let index = self.found.iter().position(|(found, _)| *found == name)?;
        Some(self.found.swap_remove(index).1)
    }

    /// The values of a flag in order.
    pub(super) fn values(&self, name: &str) -> Vec<Word> {
        let of_name = self.found.iter().filter(|(found, _)| *found == name);
        of_name.map(|(_, word)| word.clone()).collect()
    }

    /// Whether a switch is on, when it is given.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        let found = self.found.iter().find(|(found, _)| *found == name);
        found.map(|(_, word)| word.text == "true")
    }
}

/// Name and value of a flag word.
fn split(word: &Word) -> (&str, Option<&str>) {
    let text = word.text.strip_prefix("--").unwrap_or(&word.text);
    match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    }
}

fn unknown(word: &Word, found: &str, known: &[(&'static str, Takes)], keyword: Keyword) -> Error {
    let known: Vec<&'static str> = known.iter().map(|(name, _)| *name).collect();
    let problem = Problem::UnknownFlag {
        keyword: keyword.name(),
        found: found.to_owned(),
        nearest: nearest(found, &known),
        known,
    };
    Error::new(word.span, problem)
}

/// A flag as the other parts of the parser see it: quotes and escapes removed.
pub(in crate::dockerfile) fn unquote(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut quote = None;
    let mut chars = raw.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => text.extend(chars.next()),
            '"' | '\'' if quote.is_none() => quote = Some(char),
            _ if quote == Some(char) => quote = None,
            _ => text.push(char),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::unquote;

    #[test]
    fn quotes_and_escapes_go() {
        assert_eq!(unquote(r#"--a="b c""#), "--a=b c");
        assert_eq!(unquote(r"--a='b\'c'd\ e"), "--a=b'cd e");
        assert_eq!(unquote(r#"--a="b\"#), "--a=b");
    }
}
