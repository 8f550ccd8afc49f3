//! What an instruction made, as a change set: what is taken for the same, and what is nothing.

use std::fs;
use std::path::Path;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::succeed;
use crate::support::log::Log;
use crate::support::require;

/// Builds `testdata/examples/stamp`, a step that makes the same again, with this version.txt; gives what ran and the image's digest.
fn build(home: &Home, version: &str) -> (Vec<String>, String) {
    let context = home.path("context");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/examples/stamp");
    fs::create_dir_all(&context).unwrap();
    fs::copy(example.join("Dockerfile"), context.join("Dockerfile")).unwrap();
    fs::write(context.join("version.txt"), version).unwrap();
    let mut command = home.build(&context);
    command.args(["--build-context", "host=/bin", "--tag", "stamp"]);
    let log = succeed(&mut command).stderr;
    let ran = Log(&log).work().into_iter().filter(|work| !work.cached);
    let inspect = succeed(home.rbuild().args(["inspect", "stamp"])).stdout;
    (ran.map(|work| work.name).collect(), inspect)
}

#[test]
fn what_makes_the_same_again_makes_nothing_else_run() {
    if !require(&[
        Feature::Root,
        Feature::Namespaces,
        Feature::Program("busybox"),
    ]) {
        return;
    }
    let home = Home::new();
    let (first, image) = build(&home, "1.2 commit 4f1c0a9\n");
    assert_eq!(first.len(), 6, "{first:?}");
    let (second, again) = build(&home, "1.2 commit 77b2d05\n");
    let [stamp] = &second[..] else {
        panic!("more than the stamp ran: {second:?}");
    };
    assert!(stamp.contains("RUN --mount=type=bind"), "{stamp}");
    assert_eq!(image, again);
    let (third, other) = build(&home, "1.3 commit 0c9d1e4\n");
    assert_eq!(third.len(), 4, "{third:?}");
    assert_ne!(image, other);
}

#[test]
fn a_command_that_changes_nothing_leaves_nothing() {
    if !require(&[
        Feature::Root,
        Feature::Namespaces,
        Feature::Overlay,
        Feature::Program("busybox"),
    ]) {
        return;
    }
    let home = Home::new();
    // The image has an /etc, and neither the files nor the directories that are mounted upon.
    let steps = "RUN [\"/bin/busybox\", \"mkdir\", \"-p\", \"/etc/own\"]\n\
                 RUN [\"/bin/busybox\", \"true\"]\n";
    let dockerfile = format!("FROM scratch\nCOPY --from=host busybox /bin/busybox\n{steps}");
    let mut command = home.build(&home.context(&dockerfile));
    succeed(command.args(["--build-context", "host=/bin"]));
    let mut contents: Vec<Vec<String>> = fs::read_dir(home.path("root/snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with(['.', 'm']))
        .map(|entry| names(&entry.path().join("fs")))
        .collect();
    contents.sort();
    assert_eq!(contents, [vec![], vec!["bin"], vec!["etc"]]);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}
