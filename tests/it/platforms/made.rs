//! What a build for several platforms makes.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::ARCH;
use super::BOTH;
use super::arch;
use super::build;
use super::document;
use super::entry;
use super::home;
use super::json;
use super::layout;
use super::listed;
use super::pairs;
use super::publish;
use crate::support::Feature;
use crate::support::RUNS_BUSYBOX;
use crate::support::home::fail_with;
use crate::support::home::succeed;
use crate::support::registry::Demand;
use crate::support::registry::FakeRegistry;
use crate::support::require;

#[test]
fn several_platforms_make_an_index() {
    if !require(&[Feature::Root]) {
        return;
    }
    let home = home(ARCH);
    let (iidfile, metadata) = (home.path("iid"), home.path("metadata"));
    let platforms = "linux/amd64,linux/arm64/v8,linux/arm/v7";
    let mut command = build(&home, platforms);
    command.arg("--iidfile").arg(&iidfile);
    command.arg("--metadata-file").arg(&metadata);
    let told = succeed(command.args(["-t", "app"])).stderr;
    for said in [
        "[linux/amd64 1/1] COPY amd64 /arch",
        "[linux/arm64 1/1] COPY arm64 /arch",
        "[linux/arm/v7 1/1] COPY arm /arch",
        "\n  linux/arm/v7 sha256:",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    let root = home.path("root");
    let index = entry(&root);
    assert_eq!(
        listed(&root, &index),
        pairs(&["linux/amd64", "linux/arm64", "linux/arm/v7"])
    );
    assert_eq!(fs::read_to_string(iidfile).unwrap(), index["digest"]);
    let metadata = json(&metadata);
    assert_eq!(metadata["containerimage.digest"], index["digest"]);
    assert_eq!(
        metadata["containerimage.descriptor"]["mediaType"],
        "application/vnd.oci.image.index.v1+json"
    );
    assert_eq!(metadata["containerimage.config.digest"], Value::Null);
}

#[test]
fn a_platform_twice_makes_an_index_of_one() {
    if !require(&[Feature::Root]) {
        return;
    }
    let home = home(ARCH);
    let layout = layout(&home, "linux/arm64,linux/arm64/v8", &[]);
    assert_eq!(listed(&layout, &entry(&layout)), pairs(&["linux/arm64"]));
}

#[test]
fn one_platform_makes_an_index_if_that_is_asked_for() {
    if !require(&[Feature::Root]) {
        return;
    }
    let home = home(ARCH);
    let alone = layout(&home, "linux/arm64", &[]);
    let manifest = entry(&alone);
    assert_eq!(
        manifest["mediaType"],
        "application/vnd.oci.image.manifest.v1+json"
    );
    let multi = |value| {
        [
            "--build-arg".to_owned(),
            format!("BUILDKIT_MULTI_PLATFORM={value}"),
        ]
    };
    let asked = multi("true");
    let layout = layout(&home, "linux/arm64", &[&asked[0], &asked[1]]);
    let index = entry(&layout);
    assert_eq!(listed(&layout, &index), pairs(&["linux/arm64"]));
    let listed = document(&layout, &index)["manifests"][0]["digest"].take();
    assert_eq!(listed, manifest["digest"]);
    let refused = fail_with(2, build(&home, BOTH).args(multi("false"))).stderr;
    assert!(refused.contains("exclude each other"), "{refused}");
}

#[test]
fn a_base_and_a_run_take_their_platform() {
    if !require(&RUNS_BUSYBOX) {
        return;
    }
    let registry = FakeRegistry::start(Demand::Nothing);
    let base = publish(&registry, "base:1", BOTH);
    let home = home(&format!(
        "FROM --platform=$BUILDPLATFORM {base} AS tools\n\
         COPY --from=host busybox /bin/busybox\n\
         RUN [\"/bin/busybox\", \"touch\", \"/once\"]\n\
         FROM tools AS build\n\
         ARG TARGETPLATFORM TARGETARCH BUILDARCH\n\
         RUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo $BUILDARCH makes $TARGETPLATFORM > /made\"]\n\
         FROM {base}\n\
         COPY --from=build /made /made\n"
    ));
    let out = home.path("out");
    let mut command = build(&home, BOTH);
    command.args(["--build-context", "host=/bin", "-o"]);
    let told = succeed(command.arg(format!("type=local,dest={}", out.display()))).stderr;
    let host = rbuild::oci::Platform::host().architecture;
    for architecture in ["amd64", "arm64"] {
        let read = |name| fs::read_to_string(out.join(format!("linux_{architecture}/{name}")));
        assert_eq!(read("arch").unwrap(), architecture);
        let made = format!("{host} makes linux/{architecture}\n");
        assert_eq!(read("made").unwrap(), made);
    }
    // What does not ask for the target's platform runs once for all.
    let runs = told.lines().filter(|line| line.contains(" tools 3/3] RUN"));
    let steps: HashSet<&str> = runs.filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(steps.len(), 1, "{told}");
    let other = if host == "arm64" { "amd64" } else { "arm64" };
    let aim = format!("[linux/{host}->{other} build 1/1] RUN");
    assert!(told.contains(&aim), "{told}");
}

#[test]
fn all_platforms_of_a_base_are_of_one_index() {
    if !require(&[Feature::Root]) {
        return;
    }
    let registry = FakeRegistry::start(Demand::Nothing);
    let base = publish(&registry, "base:1", BOTH);
    let home = home(&format!("FROM {base}\nCOPY same /same\n"));
    let before = registry.count("GET", "/manifests/1") + registry.count("HEAD", "/manifests/1");
    succeed(build(&home, BOTH).arg("--pull=always"));
    let after = registry.count("GET", "/manifests/1") + registry.count("HEAD", "/manifests/1");
    // The tag may be moved between two questions, so there is one.
    assert_eq!(after - before, 1);
    let root = home.path("root");
    assert_eq!(
        listed(&root, &entry(&root)),
        pairs(&["linux/amd64", "linux/arm64"])
    );
}

#[test]
fn a_base_for_a_forerunner_is_taken_with_a_warning() {
    if !require(&[Feature::Root]) {
        return;
    }
    let registry = FakeRegistry::start(Demand::Nothing);
    let base = publish(&registry, "base:1", "linux/arm/v7");
    let home = home(&format!("FROM {base}\nCOPY same /same\n"));
    let told = succeed(build(&home, "linux/arm64").args(["-t", "app"])).stderr;
    assert!(told.contains("InvalidBaseImagePlatform"), "{told}");
    assert!(told.contains("linux/arm/v7"), "{told}");
    assert_eq!(arch(&home, "linux/arm64"), "arm");
    let refused = fail_with(4, &mut build(&home, "linux/riscv64")).stderr;
    assert!(refused.contains("linux/riscv64"), "{refused}");
}

#[test]
fn a_build_for_one_platform_finds_what_one_for_several_did() {
    if !require(&[Feature::Root]) {
        return;
    }
    let home = home(&format!("{ARCH}COPY same /same\n"));
    succeed(&mut build(&home, BOTH));
    for platform in ["linux/arm64", "linux/amd64"] {
        let told = succeed(&mut build(&home, platform)).stderr;
        assert_eq!(told.matches(" CACHED").count(), 2, "{told}");
    }
}

#[test]
fn the_time_of_all_platforms_is_one() {
    if !require(&[Feature::Root]) {
        return;
    }
    let made = || {
        let home = home(&format!("ARG SOURCE_DATE_EPOCH\n{ARCH}"));
        let layout = home.path("root");
        let mut command = build(&home, BOTH);
        succeed(command.env("SOURCE_DATE_EPOCH", "86400"));
        let index = entry(&layout);
        let entries = document(&layout, &index)["manifests"].take();
        for entry in entries.as_array().unwrap() {
            let config = document(&layout, &document(&layout, entry)["config"]);
            assert_eq!(config["created"], "1970-01-02T00:00:00Z");
            assert_eq!(config["history"][0]["created"], "1970-01-02T00:00:00Z");
        }
        index["digest"].clone()
    };
    assert_eq!(made(), made());
}

#[test]
fn rules_are_asked_for_all_platforms_and_questions_for_none() {
    let home = home("FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH$MISSING /arch\n");
    let told = fail_with(1, build(&home, BOTH).arg("--check")).stdout;
    assert_eq!(told.matches("UndefinedVar").count(), 1, "{told}");
    for question in ["outline", "targets"] {
        let refused = fail_with(2, build(&home, BOTH).args(["--call", question])).stderr;
        assert!(refused.contains("several platforms"), "{refused}");
    }
    succeed(build(&home, "linux/arm64").args(["--call", "targets"]));
}

#[test]
fn what_is_for_another_machine_fails_where_it_has_to_run() {
    if !require(&[Feature::Root, Feature::Namespaces]) {
        return;
    }
    let home = home(
        "FROM scratch AS base\nCOPY program /program\n\
         FROM base AS runs\nRUN [\"/program\"]\n\
         FROM base\nCOPY same /same\n",
    );
    let program = home.write("context/program", "");
    // A program of a machine that there is not, which no emulator takes for its own.
    let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x34\x12\x01\0\0\0".to_vec();
    header.resize(64, 0);
    fs::write(&program, header).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let failed = fail_with(1, build(&home, BOTH).args(["--target", "runs"])).stderr;
    for said in [
        "/program: cannot be executed",
        "another machine",
        "qemu-user-static",
    ] {
        assert!(failed.contains(said), "{said}: {failed}");
    }
    // What nobody runs may be for any machine.
    succeed(&mut build(&home, BOTH));
}
