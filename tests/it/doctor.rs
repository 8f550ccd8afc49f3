//! `rbuild doctor` where something is missing: what is told, and what would gain it.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::fail_with;
use crate::support::home::succeed;
use crate::support::modes::RANGES;
use crate::support::modes::as_user;
use crate::support::modes::as_user_with;
use crate::support::modes::container;
use crate::support::modes::give;
use crate::support::modes::users_folder;
use crate::support::modes::within;
use crate::support::require;

const NEEDS: [Feature; 3] = [Feature::Root, Feature::Namespaces, Feature::UserNamespaces];

#[test]
fn a_user_from_whom_parts_of_proc_are_hidden_is_told() {
    if !require(&NEEDS) {
        return;
    }
    // As docker hides them: then the kernel mounts no other /proc for a user.
    let folder = users_folder();
    let script = "mount -t tmpfs none /proc/sys/vm && exec \"$@\"";
    let rbuild = as_user(folder.path(), "");
    let mut hidden = within(["unshare", "-m", "sh", "-c", script, "sh"], &rbuild);
    let told = fail_with(3, hidden.arg("doctor"));
    let finding = told
        .stdout
        .lines()
        .find(|line| line.starts_with("namespaces"));
    assert!(
        finding.is_some_and(|line| line.contains("\"proc\"")),
        "{told:?}"
    );
    assert!(told.stdout.contains("systempaths=unconfined"), "{told:?}");
}

#[test]
fn why_a_user_is_alone_is_told() {
    if !require(&[&NEEDS[..], &[Feature::Program("newuidmap")]].concat()) {
        return;
    }
    let folder = users_folder();
    let told = succeed(as_user_with(folder.path(), RANGES, "").arg("doctor")).stdout;
    assert!(
        told.contains("echo nobody:765536:65536 | sudo tee -a /etc/subgid\n"),
        "{told}"
    );
    let rbuild = as_user(folder.path(), RANGES);
    let mut confined = within(["setpriv", "--no-new-privs", "--"], &rbuild);
    let told = succeed(confined.arg("doctor")).stdout;
    assert!(told.contains("(no_new_privs)"), "{told}");
    let unused = "because      no program may gain rights";
    assert!(told.contains(unused), "{told}");
}

#[test]
fn a_user_who_may_make_no_namespace_and_no_store_is_told() {
    if !require(&NEEDS) {
        return;
    }
    let folder = users_folder();
    fs::remove_dir(folder.path().join("root")).unwrap();
    give(folder.path(), 0);
    // Below another root directory the kernel makes no user namespaces.
    let rbuild = as_user(folder.path(), "");
    let script = "mount --rbind / /mnt && exec chroot /mnt \"$@\"";
    let mut confined = within(["unshare", "-m", "sh", "-c", script, "sh"], &rbuild);
    let told = fail_with(3, confined.args(["doctor", "--format=json"])).stdout;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(told["isolation"].is_null(), "{told}");
    let findings = told["findings"].as_array().unwrap();
    let bad = findings.iter().filter(|finding| finding["ok"] == false);
    let bad: Vec<_> = bad
        .map(|finding| finding["name"].as_str().unwrap())
        .collect();
    assert_eq!(bad, ["user", "store"], "{told}");
}

#[test]
fn a_store_that_cannot_be_written_is_told_and_nothing_else_blamed() {
    if !require(&NEEDS) {
        return;
    }
    let folder = users_folder();
    give(&folder.path().join("root"), 0);
    let told = fail_with(3, as_user(folder.path(), "").arg("doctor"));
    let because = told.stdout.lines().find(|line| line.starts_with("because"));
    let is_store = |line: &str| line.contains("the store cannot be written");
    assert!(because.is_some_and(is_store), "{told:?}");
    assert!(told.stderr.contains("cannot use the store"), "{told:?}");
}

#[test]
fn why_a_store_cannot_be_used_is_told_once() {
    let home = Home::new();
    fs::write(home.path("file"), "").unwrap();
    let store = home.path("file/store");
    let mut doctor = home.rbuild();
    let told = fail_with(3, doctor.arg("doctor").env("RBUILD_ROOT", &store));
    let why = format!("mkdir({store:?}): Not a directory (os error 20)");
    let row = told.stdout.lines().find(|line| line.starts_with("store"));
    assert!(row.is_some_and(|row| row.ends_with(&why)), "{told:?}");
    let error = format!("error: cannot use the store: {why}\n");
    assert_eq!(told.stderr, error);
}

#[test]
fn a_range_that_is_too_small_for_images_is_told() {
    if !require(&[&NEEDS[..], &[Feature::Program("newuidmap")]].concat()) {
        return;
    }
    let folder = users_folder();
    let doctor = |ranges: &str| {
        let mut doctor = as_user(folder.path(), ranges);
        let told = succeed(doctor.args(["doctor", "--format=json"])).stdout;
        let told: Value = serde_json::from_str(&told).unwrap();
        let findings = told["findings"].as_array().unwrap();
        let users = |finding: &&Value| finding["name"] == "users it may be";
        findings.iter().find(users).unwrap().clone()
    };
    let few = doctor("nobody:700000:1\n");
    assert_eq!(few["ok"], false, "{few}");
    let line = "echo nobody:700001:65536 | sudo tee -a /etc/subuid /etc/subgid";
    assert_eq!(few["remedy"], line, "{few}");
    assert_eq!(doctor(RANGES)["ok"], true);
}

/// What the doctor finds of this, whatever it says of all.
fn finding(doctor: &mut Command, name: &str) -> Value {
    let told = doctor.args(["doctor", "--format=json"]).output().unwrap();
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let findings = told["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["name"] == name);
    found.unwrap_or_else(|| panic!("{told}")).clone()
}

#[test]
fn what_a_directory_for_its_own_sake_gives_up_is_told() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    for name in ["network", "overlayfs"] {
        let mut doctor = home.rbuild();
        let told = finding(doctor.env("RBUILD_ISOLATION", "chroot"), name);
        assert_eq!(told["ok"], false, "{told}");
        assert_ne!(told["costs"], "", "{told}");
        assert_eq!(told["remedy"], "leave out --isolation=chroot", "{told}");
    }
}

#[test]
fn what_it_costs_that_no_device_can_be_made_is_told() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let lacking = ["setpriv", "--bounding-set=-mknod", "--inh-caps=-mknod"];
    let told = |isolation| {
        let mut doctor = within(lacking, &home.rbuild());
        finding(doctor.env("RBUILD_ISOLATION", isolation), "devices")
    };
    let apart = told("namespace");
    assert_eq!(apart["ok"], false, "{apart}");
    let costs = apart["costs"].as_str().unwrap();
    assert!(costs.contains("mknod fails in a RUN"), "{apart}");
    let below = told("chroot");
    let costs = below["costs"].as_str().unwrap();
    assert!(
        costs.contains("for root, rbuild opens /dev/null"),
        "{below}"
    );
}

#[test]
fn the_setting_that_allows_no_more_namespaces_is_told() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    // Of the user namespace only.
    let script = "echo 0 > /proc/sys/user/max_mnt_namespaces && exec \"$@\"";
    let mut doctor = within(["unshare", "-r", "sh", "-c", script, "sh"], &home.rbuild());
    let told = finding(&mut doctor, "namespaces");
    assert_eq!(told["ok"], false, "{told}");
    let line = "sudo sysctl user.max_mnt_namespaces=28633";
    assert_eq!(told["remedy"], line, "{told}");
}

#[test]
fn a_container_with_default_rights_is_told_what_it_lacks() {
    let podman = [Feature::Program("podman"), Feature::Program("runc")];
    if !require(&[&NEEDS[..], &podman].concat()) {
        return;
    }
    let home = Home::new();
    let mut run = container(&home, &[]);
    let told = succeed(run.args(["/rbuild", "doctor", "--format=json"])).stdout;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["isolation"], "chroot", "{told}");
    let findings = told["findings"].as_array().unwrap();
    let lacks = [
        ("namespaces", "--cap-add SYS_ADMIN"),
        ("network", "as for namespaces"),
        ("overlayfs", "as for namespaces"),
    ];
    for (name, gain) in lacks {
        let finding = findings.iter().find(|finding| finding["name"] == name);
        let finding = finding.unwrap();
        assert_eq!(finding["ok"], false, "{told}");
        let remedy = finding["remedy"].as_str().unwrap();
        assert!(remedy.contains(gain), "{told}");
    }
}
