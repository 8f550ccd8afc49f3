//! The files of `testdata/ci-examples` name no flag that rbuild does not have.

use std::fs;
use std::path::Path;

use crate::support::home::Home;
use crate::support::home::succeed;

#[test]
fn the_flags_of_the_examples_exist() {
    let home = Home::new();
    let help = |command: &str| succeed(home.rbuild().args([command, "--help"])).stdout;
    let (build, prune) = (help("build"), help("prune"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/ci-examples");
    let mut found = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let arguments = line.split_once("rbuild ").map_or(line, |parts| parts.1);
            let help = match arguments.split_whitespace().next() {
                Some("build") => &build,
                Some("prune") => &prune,
                // An argument a line, as Kubernetes has them.
                Some("-") if line.contains("- --") => &build,
                _ => continue,
            };
            let flags = arguments
                .split_whitespace()
                .filter(|word| word.starts_with("--"));
            for flag in flags.map(|word| word.split('=').next().unwrap()) {
                assert!(help.contains(flag), "{}: {flag}", path.display());
                found += 1;
            }
        }
    }
    assert!(found >= 8, "only {found} flags were found");
}
