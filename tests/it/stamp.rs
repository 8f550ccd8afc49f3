//! `testdata/examples/stamp`: a step that runs again and makes the same, so that nothing after it
//! runs again.

use std::fs;
use std::path::Path;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::succeed;
use crate::support::log::Log;
use crate::support::require;

/// Builds the example with this version.txt; gives what ran and the image's digest.
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
