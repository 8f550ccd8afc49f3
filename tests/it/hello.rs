//! `testdata/examples/hello`, which needs no registry: built, run, exported and pushed, by several
//! processes at once, and killed half-way.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::support::Feature;
use crate::support::RUNS_BUSYBOX;
use crate::support::home::Home;
use crate::support::home::Output;
use crate::support::home::succeed;
use crate::support::log::assert_all_cached;
use crate::support::peers::Registry;
use crate::support::require;
use crate::support::takers::TAKERS;
use crate::support::takers::podman;
use crate::support::takers::podman_run;
use crate::support::takers::take;
use crate::support::takers::validate;

const GREETING: &str = "Hello from a container built by rbuild\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/examples/hello")
}

/// The build of the example as hello:v1.
fn build(home: &Home) -> Command {
    let mut command = home.build(&folder());
    command.args(["--build-context", "host=/bin", "--tag", "hello:v1"]);
    command
}

fn run(home: &Home, image: &str) -> Output {
    succeed(home.rbuild().args(["run", "--rm", image, "one", "two"]))
}

#[test]
fn is_built_and_run() {
    if !require(&RUNS_BUSYBOX) {
        return;
    }
    let home = Home::new();
    let first = succeed(&mut build(&home));
    let again = succeed(&mut build(&home));
    assert_all_cached(&first.stderr, &again.stderr);
    let output = run(&home, "hello:v1");
    assert!(output.stdout.starts_with(GREETING), "{output:?}");
    assert!(
        output.stdout.ends_with("arguments: one two\n"),
        "{output:?}"
    );
}

#[test]
fn is_pushed_and_taken_by_others() {
    let needs = [
        &RUNS_BUSYBOX[..],
        &TAKERS,
        &[Feature::Program("docker-registry")],
    ]
    .concat();
    if !require(&needs) {
        return;
    }
    let home = Home::new();
    succeed(&mut build(&home));
    let registry = Registry::start(&home.path("registry"));
    let pushed = format!("{}/some/hello:v2", registry.address);
    let push = succeed(home.rbuild().args(["push", "hello:v1", &pushed]));
    let output = take(
        &home,
        &pushed,
        push.stdout.trim(),
        &["/bin/sh", "/hello.sh"],
    );
    assert!(output.stdout.starts_with(GREETING), "{output:?}");

    let other = Home::new();
    succeed(other.rbuild().args(["pull", &pushed]));
    assert!(run(&other, &pushed).stdout.starts_with(GREETING));
}

#[test]
fn is_exported_for_others() {
    if !require(&[&RUNS_BUSYBOX[..], &TAKERS].concat()) {
        return;
    }
    let home = Home::new();
    let outputs = [
        ("docker", "docker.tar", ""),
        ("oci", "oci.tar", ""),
        ("oci", "layout", ",tar=false"),
        ("local", "local", ""),
        ("tar", "files.tar", ""),
    ];
    let mut command = build(&home);
    for (kind, name, more) in outputs {
        let dest = home.path(name);
        command.args(["-o", &format!("type={kind},dest={}{more}", dest.display())]);
    }
    succeed(&mut command);

    let loaded = succeed(
        podman(&home)
            .arg("load")
            .arg("-i")
            .arg(home.path("docker.tar")),
    );
    assert!(loaded.stdout.contains("hello:v1"), "{loaded:?}");
    let output = podman_run(&home, "hello:v1", &["/bin/sh", "/hello.sh"]);
    assert!(output.stdout.starts_with(GREETING), "{output:?}");
    let archive = format!("oci-archive:{}", home.path("oci.tar").display());
    let inspected = succeed(Command::new("skopeo").args(["inspect", &archive]));
    assert!(inspected.stdout.contains("\"Layers\""), "{inspected:?}");
    validate(&home.path("layout"), "v1");
    let greeting = fs::read_to_string(home.path("local/greeting")).unwrap();
    assert_eq!(greeting, GREETING);
    let listed = succeed(Command::new("tar").arg("-tf").arg(home.path("files.tar")));
    let names: Vec<&str> = listed.stdout.lines().collect();
    assert!(names.contains(&"greeting"), "{names:?}");
}

/// Builds with one fixed time; the image's digest.
fn digest_with_epoch(jobs: &str) -> Vec<u8> {
    let home = Home::new();
    let iidfile = home.path("iidfile");
    let mut command = build(&home);
    command.env("SOURCE_DATE_EPOCH", "1700000000");
    command.args(["--jobs", jobs, "--iidfile"]).arg(&iidfile);
    succeed(&mut command);
    fs::read(iidfile).unwrap()
}

#[test]
fn equal_inputs_give_equal_digests() {
    if !require(&RUNS_BUSYBOX) {
        return;
    }
    let first = digest_with_epoch("1");
    // Whatever carries the clock's second into the image shows in the next second.
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(first, digest_with_epoch("8"));
}

#[test]
fn two_processes_build_on_one_store() {
    if !require(&RUNS_BUSYBOX) {
        return;
    }
    let home = Home::new();
    let start = |name: &str| {
        let mut command = build(&home);
        command.args(["--tag", name]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let processes = [start("one:v1"), start("two:v1")];
    for process in processes {
        let output = process.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
    }
    for image in ["hello:v1", "one:v1", "two:v1"] {
        assert!(run(&home, image).stdout.starts_with(GREETING), "{image}");
    }
}

#[test]
fn a_killed_build_leaves_a_store_that_works() {
    if !require(&RUNS_BUSYBOX) {
        return;
    }
    let home = Home::new();
    for after_ms in [2, 5, 10, 20, 40, 80, 160] {
        let mut process = build(&home).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(after_ms));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    succeed(&mut build(&home));
    assert!(run(&home, "hello:v1").stdout.starts_with(GREETING));
}
