//! The files of `testdata/ci-examples` name no flag that rbuild does not have, and keep nothing in
//! the context that would get into the image.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::support::home::Home;
use crate::support::home::succeed;

#[test]
fn the_flags_of_the_examples_exist() {
    let home = Home::new();
    let help = |command: &str| succeed(home.rbuild().args([command, "--help"])).stdout;
    let (build, prune) = (help("build"), help("prune"));
    let mut found = 0;
    for (path, text) in examples() {
        for line in text.lines() {
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

#[test]
fn no_archive_of_the_examples_is_in_the_context() {
    let mut found = 0;
    for (path, text) in examples() {
        for line in text.lines().filter(|line| line.contains(".tar")) {
            let outside = ["${{ runner.temp }}/", "$RUNNER_TEMP/"];
            let is_outside = outside.iter().any(|folder| line.contains(folder));
            assert!(is_outside, "{}: {line}", path.display());
            found += 1;
        }
    }
    assert!(found >= 2, "only {found} archives were found");
}

#[test]
fn the_image_of_the_examples_has_what_their_scripts_need() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/container");
    let home = Home::new();
    let mut check = home.rbuild();
    check.args(["build", "--check", "-f"]);
    succeed(check.arg(folder.join("tools.Dockerfile")).arg(&folder));
    let image = fs::read_to_string(folder.join("tools.Dockerfile")).unwrap();
    let begins = image.contains("FROM debian:");
    assert!(begins, "a shell and coreutils come with the base");
    for (path, text) in examples() {
        let from_git = text.contains("https://git.");
        assert!(
            !from_git || image.contains(" git "),
            "{}: git",
            path.display()
        );
    }
}

fn examples() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/ci-examples");
    let paths = fs::read_dir(folder).unwrap();
    let paths = paths.map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}
