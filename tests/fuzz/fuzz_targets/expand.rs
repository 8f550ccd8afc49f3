//! Expands whatever text in every mode: no panic, the same result each time, of bounded size.
//!
//! The first byte is the mode; a NUL ends the text, and what follows is the value of `$V`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rbuild::dockerfile::Escape;
use rbuild::dockerfile::Expansion;
use rbuild::dockerfile::Lexing;
use rbuild::dockerfile::decode;
use rbuild::dockerfile::expand;

/// What substitutions may add to a text.
const SUBSTITUTED_MAX: usize = 16 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((&modes, data)) = data.split_first() else {
        return;
    };
    let data = decode(data);
    let (text, value) = data.split_once('\0').unwrap_or((&data, "1.2.3"));
    let lookup = |name: &str| match name {
        "V" => Some(value),
        "P" => Some("/a/b/c.tar.gz"),
        "S" => Some("two words"),
        "E" => Some(""),
        _ => None,
    };
    let lexing = lexing(modes);
    let first = expand(text, lexing, &lookup);
    assert_eq!(first, expand(text, lexing, &lookup));
    match first {
        Ok(expansion) => check(text, &expansion),
        Err(error) => drop(error.to_string()),
    }
});

fn lexing(modes: u8) -> Lexing {
    let mode = |bit: u8| modes & (1 << bit) != 0;
    Lexing {
        escape: if mode(0) {
            Escape::Backtick
        } else {
            Escape::Backslash
        },
        raw_quotes: mode(1),
        raw_escapes: mode(2),
        skip_quotes: mode(3),
        keep_unset: mode(4),
    }
}

fn check(text: &str, expansion: &Expansion) {
    let longest = text.len() + SUBSTITUTED_MAX;
    assert!(expansion.text.len() <= longest);
    assert!(expansion.words.iter().map(String::len).sum::<usize>() <= longest);
    assert!(expansion.words.iter().all(|word| !word.is_empty()));
    assert!(expansion.matched.is_disjoint(&expansion.unmatched));
}
