//! What an instruction made, as a change set: what is taken for the same, and what is nothing.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use crate::support::Feature;
use crate::support::RUNS_BUSYBOX;
use crate::support::home::Home;
use crate::support::home::succeed;
use crate::support::log::Log;
use crate::support::require;

/// Builds `testdata/examples/stamp`, a step that makes the same again, with this version.txt; gives
/// what ran and the image's digest.
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
    if !require(&RUNS_BUSYBOX) {
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

const NEEDS: [Feature; 4] = [
    Feature::Root,
    Feature::Namespaces,
    Feature::Overlay,
    Feature::Program("busybox"),
];

/// Builds an image of busybox and these steps; gives the directories of its change sets.
fn change_sets(home: &Home, steps: &str) -> Vec<PathBuf> {
    let dockerfile = format!(
        "FROM scratch\nCOPY --from=host busybox /bin/busybox\n\
         RUN [\"/bin/busybox\", \"--install\", \"/bin\"]\n{steps}"
    );
    let mut command = home.build(&home.context(&dockerfile));
    succeed(command.args(["--build-context", "host=/bin"]));
    fs::read_dir(home.path("root/snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with(['.', 'm']))
        .map(|entry| entry.path().join("fs"))
        .collect()
}

#[test]
fn a_command_that_changes_nothing_leaves_nothing() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    // The image has an /etc without the files that are mounted upon; the directories that are stay
    // behind the first command, as BuildKit's runtime leaves them.
    let made = change_sets(&home, "RUN mkdir -p /etc/own\nRUN true\n");
    let names = |folder: &PathBuf| -> Vec<OsString> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let mut contents: Vec<_> = made.iter().map(names).collect();
    contents.sort();
    let first = vec!["bin", "dev", "proc", "sys"];
    assert_eq!(contents, [vec![], vec!["bin"], first, vec!["etc"]]);
}

#[test]
fn layers_of_nothing_are_all_the_same() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let dockerfile = "FROM scratch\nCOPY --from=host busybox /bin/sh\n\
                      RUN echo x > /file\nRUN true\nRUN true twice\n";
    let mut command = home.build(&home.context(dockerfile));
    succeed(command.args(["--build-context", "host=/bin", "--tag", "nothing"]));
    let image = succeed(home.rbuild().args(["inspect", "nothing"])).stdout;
    // What 1024 zeros digest to: a tar with nothing in it.
    let nothing = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    assert_eq!(image.matches(nothing).count(), 2, "{image}");
}

#[test]
fn what_a_command_changes_in_etc_makes_etc_as_new_as_buildkit_does() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let steps = "RUN echo a > /etc/file && touch -d @1000000000 /etc\n\
                 RUN echo b >> /etc/file\n";
    let made = change_sets(&home, steps);
    let times = made.iter().filter_map(|folder| {
        let etc = fs::metadata(folder.join("etc")).ok()?;
        Some(etc.mtime() == 1_000_000_000)
    });
    let mut times: Vec<bool> = times.collect();
    times.sort_unstable();
    assert_eq!(times, [false, true]);
}
