//! Values as Go's `fmt` prints them: the history of an image is written in them.

use std::fmt::Write;
use std::time::Duration;

/// `%v` of a list of strings: `[a b]`.
pub(super) fn list<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    format!("[{}]", words.join(" "))
}

/// `%q` of a list of strings: `["a" "b"]`.
pub(super) fn quoted_list(words: &[String]) -> String {
    list(&words.iter().map(|word| quote(word)).collect::<Vec<_>>())
}

/// `%q` of a string.
pub(in crate::dockerfile) fn quote(text: &str) -> String {
    quote_with('"', text.chars())
}

/// `%q` of a number: the character of that number, `'\n'` for 10.
pub(super) fn quoted_character(number: i64) -> String {
    let character = u32::try_from(number).ok().and_then(char::from_u32);
    quote_with('\'', [character.unwrap_or(char::REPLACEMENT_CHARACTER)])
}

fn quote_with(mark: char, text: impl IntoIterator<Item = char>) -> String {
    let mut out = String::from(mark);
    for c in text {
        match c {
            '\\' => out.push_str("\\\\"),
            '\u{07}' => out.push_str("\\a"),
            '\u{08}' => out.push_str("\\b"),
            '\u{0C}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{0B}' => out.push_str("\\v"),
            c if c == mark => out.extend(['\\', mark]),
            c if is_printable(c) => out.push(c),
            c => push_escape(&mut out, u32::from(c)),
        }
    }
    out.push(mark);
    out
}

fn push_escape(out: &mut String, code: u32) {
    let written = match code {
        ..=0x7F => write!(out, "\\x{code:02x}"),
        0x80..=0xFFFF => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    written.expect("a string takes all that is written to it");
}

/// Says whether a character is a letter, mark, number, punctuation, symbol or the plain space.
fn is_printable(c: char) -> bool {
    // A mark is escaped only where it has nothing to stand on, hence the letter before it.
    matches!(c, '\'' | '"') || format!("a{c}").escape_debug().count() == 2
}

/// `%v` of a duration: `1m30s`, `1.5s`, `100ms`.
pub(super) fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    for (unit, size) in [("ns", 1), ("µs", 1_000), ("ms", 1_000_000)] {
        if nanos < size * 1_000 && nanos > 0 {
            return format!("{}{unit}", decimal(nanos, size));
        }
    }
    let seconds = decimal(nanos % 60_000_000_000, 1_000_000_000);
    match (duration.as_secs() / 3600, duration.as_secs() / 60 % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn decimal(value: u128, unit: u128) -> String {
    let digits = unit.ilog10() as usize;
    let fraction = format!("{:0digits$}", value % unit);
    match fraction.trim_end_matches('0') {
        "" => (value / unit).to_string(),
        fraction => format!("{}.{fraction}", value / unit),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;
    use super::quote;
    use super::quoted_character;
    use super::quoted_list;

    #[test]
    fn strings_are_quoted_as_go_does() {
        for (text, expected) in [
            ("a'b\"c\\", r#""a'b\"c\\""#),
            ("\u{7}\n\t\u{1b}\0", r#""\a\n\t\x1b\x00""#),
            ("é\u{301}→😀", "\"é\u{301}→😀\""),
            ("\u{a0}\u{feff}\u{e0001}", r#""\u00a0\ufeff\U000e0001""#),
            ("\u{7f}", r#""\x7f""#),
        ] {
            assert_eq!(quote(text), expected);
        }
        assert_eq!(quoted_list(&["a".into(), "b c".into()]), r#"["a" "b c"]"#);
        assert_eq!(quoted_list(&[]), "[]");
    }

    #[test]
    fn numbers_are_quoted_as_characters() {
        for (number, expected) in [
            (0, r"'\x00'"),
            (3, r"'\x03'"),
            (10, r"'\n'"),
            (34, "'\"'"),
            (39, r"'\''"),
            (65, "'A'"),
            (92, r"'\\'"),
            (160, r"'\u00a0'"),
            (0xD800, "'\u{FFFD}'"),
            (1 << 30, "'\u{FFFD}'"),
        ] {
            assert_eq!(quoted_character(number), expected);
        }
    }

    #[test]
    fn durations_are_printed_as_go_does() {
        for (nanos, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (100_000_000, "100ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (3_690_000_000_000, "1h1m30s"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanos)), expected);
        }
    }
}
