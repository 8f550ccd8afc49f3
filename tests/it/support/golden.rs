//! Expectations kept in files.

use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

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
