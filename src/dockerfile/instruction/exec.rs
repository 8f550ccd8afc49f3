//! The exec form: a JSON array of strings.

use pest::iterators::Pair;

use crate::dockerfile::Error;
use crate::dockerfile::Problem;
use crate::dockerfile::Word;
use crate::dockerfile::grammar;
use crate::dockerfile::grammar::Rule;
use crate::dockerfile::instruction::arguments::Arguments;

/// Whether a text is in exec form.
pub(in crate::dockerfile) fn is_exec(text: &str) -> bool {
    text.starts_with('[') && grammar::matches(Rule::exec, text).is_ok()
}

/// The strings of an `exec` match.
pub(super) fn strings(arguments: &Arguments<'_>, exec: Pair<'_, Rule>) -> Vec<Word> {
    let strings = exec
        .into_inner()
        .filter(|pair| pair.as_rule() == Rule::json_string);
    let decoded = strings.map(|pair| {
        let word = arguments.word(&pair);
        Word {
            text: decode(&word.text[1..word.text.len() - 1]),
            ..word
        }
    });
    decoded.collect()
}

/// Refuses arguments that are a JSON array of something else than strings. What is no JSON at all is
/// the shell form.
pub(super) fn check_strings(arguments: &Arguments<'_>) -> Result<(), Error> {
    check_text(arguments, arguments.text())
}

/// The same for a part of the arguments.
pub(super) fn check_text(arguments: &Arguments<'_>, text: &str) -> Result<(), Error> {
    // `IgnoredAny` is skipped without recursion, however deep the arrays in it.
    type Array = Vec<serde::de::IgnoredAny>;
    let array = || serde_json::from_str::<Array>(text).is_ok();
    if text.starts_with('[') && !is_exec(text) && array() {
        return Err(arguments.error(Problem::JsonNotStrings));
    }
    Ok(())
}

/// The content of a JSON string. A surrogate without its partner becomes U+FFFD.
fn decode(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut units = Units { rest: text };
    let mut out = String::with_capacity(text.len());
    while let Some(unit) = units.next() {
        let Unit::Escaped(high) = unit else {
            out.push_str(unit.plain());
            continue;
        };
        let before = units.rest;
        let low = match units.next() {
            Some(Unit::Escaped(low)) => Some(low),
            _ => None,
        };
        let pair = [Some(high), low.filter(|_| (0xD800..0xDC00).contains(&high))];
        let decoded = char::decode_utf16(pair.into_iter().flatten()).next();
        let char = decoded
            .and_then(Result::ok)
            .unwrap_or(char::REPLACEMENT_CHARACTER);
        if char.len_utf16() == 1 {
            units.rest = before;
        }
        out.push(char);
    }
    out
}

/// The content of a JSON string, piece by piece.
struct Units<'a> {
    rest: &'a str,
}

enum Unit<'a> {
    Plain(&'a str),
    /// `\u` and four hexadecimal digits.
    Escaped(u16),
}

impl<'a> Unit<'a> {
    fn plain(&self) -> &'a str {
        match self {
            Self::Plain(text) => text,
            Self::Escaped(_) => "",
        }
    }
}

impl<'a> Units<'a> {
    fn next(&mut self) -> Option<Unit<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(escape) = self.rest.strip_prefix('\\') else {
            let (plain, rest) = self
                .rest
                .split_at(self.rest.find('\\').unwrap_or(self.rest.len()));
            self.rest = rest;
            return Some(Unit::Plain(plain));
        };
        if let Some(hex) = escape.strip_prefix('u') {
            let (hex, rest) = hex.split_at_checked(4)?;
            self.rest = rest;
            return Some(Unit::Escaped(u16::from_str_radix(hex, 16).ok()?));
        }
        let (char, rest) = escape.split_at_checked(1)?;
        self.rest = rest;
        Some(Unit::Plain(match char {
            "b" => "\u{08}",
            "f" => "\u{0C}",
            "n" => "\n",
            "r" => "\r",
            "t" => "\t",
            other => other,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::decode;
    use super::is_exec;

    #[test]
    fn strings_are_decoded() {
        assert_eq!(decode(r#"a\"b\\c\/\n\t"#), "a\"b\\c/\n\t");
        assert_eq!(decode(r"\u00e9 \ud83d\ude00"), "é 😀");
        assert_eq!(decode(r"\ud83d\u0041 \ude00x"), "\u{fffd}A \u{fffd}x");
    }

    #[test]
    fn only_arrays_of_strings_are_exec() {
        assert!(is_exec(r#"[ "a" , "b\"]" ]"#));
        assert!(is_exec("[]"));
        assert!(!is_exec("['a']"));
        assert!(!is_exec(r#"["a",]"#));
        assert!(!is_exec(r#"["a"] b"#));
        assert!(!is_exec("[1]"));
        assert!(!is_exec("[\"a\u{1}\"]"));
    }
}
