//! Expectations kept in files.

use std::env;
use std::error::Error as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use rbuild::dockerfile::Error;

/// Fails unless `actual` is what the file holds. With `UPDATE_EXPECT=1` the file is written instead,
/// and its difference is to be read.
pub(crate) fn check(actual: &str, expected: &Path) {
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(expected, actual).expect("the expectation is writable");
        return;
    }
    let wanted = fs::read_to_string(expected).unwrap_or_default();
    assert!(
        actual == wanted,
        "{} differs\n--- expected\n{wanted}\n--- actual\n{actual}\n(UPDATE_EXPECT=1 rewrites it)",
        expected.display()
    );
}

/// The folders in a folder of `testdata`, in order; never none.
pub(crate) fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(folder);
    let entries = fs::read_dir(&folder).expect("the folder is readable");
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    cases.sort();
    assert!(!cases.is_empty(), "{} is empty", folder.display());
    cases
}

/// What an error says, a line each: its message and causes, the place it points at, and the hint.
/// How these are shown is tested where they are shown.
pub(crate) fn facts(error: &Error, text: &str) -> String {
    let mut facts = format!("error: {error}\n");
    let mut cause = error.source();
    while let Some(error) = cause {
        facts.push_str(&format!("cause: {error}\n"));
        cause = error.source();
    }
    let span = error.span;
    if span.first_line > 0 {
        let before = text[..span.start].chars().rev();
        let column = before.take_while(|char| *char != '\n').count() + 1;
        let marked = &text[span.start..span.end];
        facts.push_str(&format!("place: {}:{column} {marked:?}\n", span.first_line));
    }
    if let Some(hint) = error.problem.hint() {
        facts.push_str(&format!("hint: {hint}\n"));
    }
    facts
}
