//! A test file that `main.rs` does not list would silently never run.

use std::fs;
use std::path::Path;

#[test]
fn every_file_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = fs::read_to_string(folder.join("main.rs")).expect("main.rs is readable");
    let mut missing = Vec::new();
    for entry in fs::read_dir(&folder).expect("tests/it is readable") {
        let name = entry
            .expect("entry")
            .file_name()
            .into_string()
            .expect("UTF-8");
        let module = name.trim_end_matches(".rs");
        if module != "main" && !main.lines().any(|line| line == format!("mod {module};")) {
            missing.push(name);
        }
    }
    assert!(
        missing.is_empty(),
        "not listed in tests/it/main.rs: {missing:?}"
    );
}
