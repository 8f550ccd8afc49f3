//! The keepers of containers: who they are, and what is left of them.

use std::fs;
use std::io::Read;
use std::process::Command;
use std::process::Stdio;

use super::Home;
use crate::support::Feature;
use crate::support::require;
use crate::support::wait::wait_until;

const WAY: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What runs a shell command among processes of its own, whose numbers are others.
const APART: [&str; 6] = ["-p", "-f", "--mount-proc", "sh", "-c", "\"$@\" && cat"];

fn listed(home: &Home) -> String {
    String::from_utf8(home.rbuild(&["ps"]).stdout).unwrap()
}

#[test]
fn a_container_among_other_processes_is_ended_only_by_who_sees_it() {
    let Some(home) = Home::new() else { return };
    if !require(&[Feature::Program("unshare")]) {
        return;
    }
    let rbuild = env!("CARGO_BIN_EXE_rbuild");
    let apart = |args: &[&str]| {
        let mut command = home.started_by("unshare", &APART);
        command.args(["sh", rbuild]).args(args).env("PATH", WAY);
        command
    };
    // From outside every process is seen, by other numbers.
    let run = ["run", "-d", "--name", "far", "box", "sleep", "100000"];
    let mut far = apart(&run);
    let mut far = far
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut id = [0; 13];
    far.stdout.as_mut().unwrap().read_exact(&mut id).unwrap();
    assert!(listed(&home).contains("far"));
    let stopped = home.rbuild(&["stop", "-t", "0", "far"]);
    assert_eq!(stopped.stdout, b"far\n", "{stopped:?}");
    assert_eq!(listed(&home).lines().count(), 1);
    drop(far.stdin.take());
    assert!(far.wait().unwrap().success());
    // From inside nothing is seen of it, and whoever has its number is left alone.
    let started = home.rbuild(&["run", "-d", "--name", "near", "box", "sleep", "100000"]);
    assert!(started.status.success(), "{started:?}");
    for args in [&["stop", "near"][..], &["rm", "-f", "near"]] {
        let refused = apart(args).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success(), "{args:?}: {refused:?}");
        assert!(said.contains("not in sight"), "{args:?}: {said}");
        assert!(listed(&home).contains("near"), "{args:?}");
    }
    let pid = |mut command: Command| {
        let listed = command.output().unwrap().stdout;
        serde_json::from_slice::<serde_json::Value>(&listed).unwrap()["pid"].take()
    };
    let ps = ["ps", "--format", "json"];
    let keeper = pid(home.command(&ps)).as_u64().unwrap();
    let args = fs::read_to_string(format!("/proc/{keeper}/cmdline")).unwrap();
    assert!(args.contains("near"), "{args}");
    assert!(pid(apart(&ps)).is_null());
    assert!(home.rbuild(&["rm", "-f", "near"]).status.success());
}

#[test]
fn who_is_not_there_keeps_nobody_from_being_stopped_and_forgotten() {
    let Some(home) = Home::new() else { return };
    for name in ["one", "two"] {
        let started = home.rbuild(&["run", "-d", "--name", name, "box", "sleep", "100000"]);
        assert!(started.status.success(), "{started:?}");
    }
    for (what, flag) in [("stop", "-t0"), ("rm", "-f")] {
        let done = home.rbuild(&[what, flag, "one", "nosuch", "two", "none"]);
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        assert_eq!(done.stdout, b"one\ntwo\n", "{done:?}");
        let said = String::from_utf8(done.stderr).unwrap();
        for name in ["nosuch", "none"] {
            assert!(said.contains(&format!("no container {name}")), "{said}");
        }
        assert_eq!(listed(&home).lines().count(), 1, "{what}");
        // Who heeds no signal is killed, and yet nothing of it is left.
        home.is_clean();
    }
    assert_eq!(home.rbuild(&["logs", "one"]).status.code(), Some(1));
}

#[test]
fn none_waits_for_another_to_be_stopped() {
    let Some(home) = Home::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let volume = format!("-v={}:/v", folder.path().display());
    let traps = [
        ("one", "until test -e /v/asked; do sleep 0.05; done"),
        ("two", "touch /v/asked"),
    ];
    for (name, trap) in traps {
        let script =
            format!("trap '{trap}; exit 5' TERM; touch /v/{name}; while :; do sleep 0.05; done");
        let flags = ["run", "-d", "--name", name, &volume];
        let started = home.rbuild(&[&flags[..], &["box", "sh", "-c", &script]].concat());
        assert!(started.status.success(), "{started:?}");
        wait_until("it can be asked", || folder.path().join(name).exists());
    }
    // The same one is not asked more than once, which would have it killed.
    let again = ["stop", "-t=100", "one", "one", "one", "two"];
    let stopped = home.rbuild(&again);
    assert_eq!(stopped.stdout, b"one\none\none\ntwo\n", "{stopped:?}");
    let listed = String::from_utf8(home.rbuild(&["ps", "-a"]).stdout).unwrap();
    assert_eq!(listed.matches("exited (5)").count(), 2, "{listed}");
    assert!(home.rbuild(&["rm", "one", "two"]).status.success());
}

#[test]
fn the_command_of_the_image_is_listed_where_no_other_was_given() {
    let Some(home) = Home::new() else { return };
    for (args, command) in [
        (&["box"][..], "cat /etc/passwd"),
        (&["--entrypoint", "echo", "box"], "echo"),
        (&["box", "echo", "hi"], "echo hi"),
    ] {
        let started = home.rbuild(&[&["run", "-d", "--name", "web"], args].concat());
        assert!(started.status.success(), "{started:?}");
        let listed = home.rbuild(&["ps", "-a", "--format", "json"]).stdout;
        let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(listed["command"], serde_json::json!(words));
        assert!(home.rbuild(&["rm", "-f", "web"]).status.success());
    }
}

#[test]
fn what_is_not_started_yet_is_listed_as_created() {
    let Some(home) = Home::new() else { return };
    // Without that nobody begins a root file system.
    let lock = fs::File::open(home.path().join("root/snapshots/.lock")).unwrap();
    lock.lock().unwrap();
    let run = ["run", "-d", "--name", "web", "box", "sleep", "100000"];
    let mut starting = home.command(&run).stdout(Stdio::null()).spawn().unwrap();
    wait_until("it is listed", || listed(&home).contains("web"));
    assert!(listed(&home).contains(" created "), "{}", listed(&home));
    let refused = home.rbuild(&["rm", "web"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    // Who ends it then leaves nobody waiting for it.
    let run = ["run", "-d", "--name", "early", "box", "sleep", "100000"];
    let early = home.command(&run).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it is listed", || listed(&home).contains("early"));
    assert!(home.rbuild(&["stop", "early"]).status.success());
    let early = early.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&early.stderr).into_owned();
    assert_eq!(early.status.code(), Some(125), "{said}");
    assert!(said.contains("early was ended before"), "{said}");
    assert!(!listed(&home).contains("early"), "{}", listed(&home));
    lock.unlock().unwrap();
    assert!(starting.wait().unwrap().success());
    assert!(listed(&home).contains(" running "), "{}", listed(&home));
    // Whoever wants to read what it wrote is told what is in the way.
    let id = listed(&home).lines().nth(1).unwrap()[..12].to_owned();
    fs::remove_file(home.path().join("root/containers").join(id).join("log")).unwrap();
    let refused = home.rbuild(&["logs", "web"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    let why = "error: cannot read the log of the container web\n";
    assert!(said.starts_with(why), "{said}");
    assert!(home.rbuild(&["rm", "-f", "web"]).status.success());
}
