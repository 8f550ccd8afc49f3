//! `ENV <key>=<value> ...` and the older `ENV <key> <value>`.

use crate::dockerfile::Error;
use crate::dockerfile::Escape;
use crate::dockerfile::Problem;
use crate::dockerfile::Span;
use crate::dockerfile::Word;
use crate::dockerfile::grammar::Rule;
use crate::dockerfile::instruction::arguments::Arguments;

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

impl Env {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        let pairs = pairs(arguments, "ENV <key>=<value> ...")?;
        Ok(Self { pairs })
    }
}

/// The pairs of `ENV` and `LABEL`.
pub(super) fn pairs(arguments: &Arguments<'_>, usage: &'static str) -> Result<Vec<Pair>, Error> {
    arguments.flags(&[])?;
    let words = quoted_words(arguments, usage)?;
    match words.first() {
        None => Err(arguments.misfit(0, usage)),
        // The older form is known by its first word.
        Some(first) if !first.text.contains('=') => legacy(arguments, usage).map(|pair| vec![pair]),
        Some(_) => words
            .into_iter()
            .map(|word| pair(arguments, word))
            .collect(),
    }
}

/// Refuses a trigger of `ONBUILD` whose words cannot be pairs.
pub(super) fn check(arguments: &Arguments<'_>, usage: &'static str) -> Result<(), Error> {
    let words = quoted_words(arguments, usage)?;
    match words.iter().find(|word| !word.text.contains('=')) {
        Some(first) if words.first() == Some(first) => legacy(arguments, usage).map(|_| ()),
        Some(word) => Err(Error::new(
            word.span,
            Problem::NotAPair {
                found: word.text.clone(),
            },
        )),
        None => Ok(()),
    }
}

fn pair(arguments: &Arguments<'_>, word: Word) -> Result<Pair, Error> {
    let span = word.span;
    let Some((key, value)) = split(&word) else {
        return Err(Error::new(span, Problem::NotAPair { found: word.text }));
    };
    if key.text.is_empty() {
        let keyword = arguments.keyword.name();
        return Err(Error::new(span, Problem::BlankKey { keyword }));
    }
    Ok(Pair {
        key,
        value,
        legacy: false,
    })
}

/// Splits a word at its first `=`.
pub(super) fn split(word: &Word) -> Option<(Word, Word)> {
    let (key, value) = word.text.split_once('=')?;
    let middle = word.span.start + key.len();
    // A word that goes over several lines has no place of its own for each half.
    let whole = word.span.end - word.span.start == word.text.len();
    let (left, right) = if whole {
        (
            Span {
                end: middle,
                ..word.span
            },
            Span {
                start: middle + 1,
                ..word.span
            },
        )
    } else {
        (word.span, word.span)
    };
    let key = Word {
        text: key.to_owned(),
        span: left,
    };
    Some((
        key,
        Word {
            text: value.to_owned(),
            span: right,
        },
    ))
}

fn legacy(arguments: &Arguments<'_>, usage: &'static str) -> Result<Pair, Error> {
    let whole = arguments.text();
    if !whole.contains(char::is_whitespace) {
        let found = whole.to_owned();
        return Err(arguments.error(Problem::NotAPair { found }));
    }
    let matched = arguments.matches(Rule::legacy_pair, usage)?;
    let mut parts = matched
        .flatten()
        .filter(|pair| matches!(pair.as_rule(), Rule::word | Rule::text));
    let mut part = || {
        parts
            .next()
            .map(|pair| arguments.word(&pair))
            .unwrap_or_default()
    };
    Ok(Pair {
        key: part(),
        value: part(),
        legacy: true,
    })
}

/// The words of the arguments; quotes and escapes stay in them.
pub(super) fn quoted_words(
    arguments: &Arguments<'_>,
    usage: &'static str,
) -> Result<Vec<Word>, Error> {
    let (rule, of_word) = match arguments.escape {
        Escape::Backslash => (Rule::pairs, Rule::quoted_word),
        Escape::Backtick => (Rule::pairs_backtick, Rule::quoted_word_backtick),
    };
    let matched = arguments.matches(rule, usage)?;
    let words = matched.flatten().filter(|pair| pair.as_rule() == of_word);
    Ok(words.map(|pair| arguments.word(&pair)).collect())
}
