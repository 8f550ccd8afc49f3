//! What a sandbox may take of the machine as a whole.

use std::fs;
use std::path::PathBuf;

use rbuild::sandbox::CpuTime;
use rbuild::sandbox::Exceeded;
use rbuild::sandbox::Limits;
use rbuild::sandbox::Processes;
use rbuild::sys::limit;

use super::Case;
use super::able;
use super::finish;
use super::shell;
use super::text;

/// What this has no control groups for is skipped.
fn limited(script: &str, limits: Limits) -> Option<Case> {
    if !able() {
        return None;
    }
    let mut case = shell("cat /proc/self/cgroup");
    case.spec.limits = limits;
    let grouped = match case.start() {
        Ok(running) if !running.notes.is_empty() => Err("there are no control groups".to_owned()),
        Ok(running) => Ok(finish(running).stdout.contains("/rbuild/")),
        Err(error) => Err(text(&error)),
    };
    if grouped != Ok(true) {
        crate::support::skip(&format!("{grouped:?}"));
        return None;
    }
    case.spec.args[2] = script.to_owned();
    Some(case)
}

#[test]
fn too_much_memory_is_told() {
    let limits = Limits {
        memory_bytes: Some(32 << 20),
        ..Limits::default()
    };
    // A shell that keeps ever more of a text.
    let script = "x=0123456789abcdef; while :; do x=$x$x; done";
    let Some(case) = limited(script, limits) else {
        return;
    };
    let done = case.run();
    assert_ne!(done.status.code, 0);
    assert_eq!(done.status.exceeded, Some(Exceeded::Memory(32 << 20)));
    // What needs less is left alone.
    let mut case = case;
    case.spec.args[2] = "echo little".to_owned();
    assert_eq!(case.output(), "little");
    assert_eq!(case.run().status.exceeded, None);
}

#[test]
fn too_many_processes_are_told() {
    let limits = Limits {
        processes: Processes::AtMost(20),
        ..Limits::default()
    };
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do \
        sleep 1000 & done";
    let Some(case) = limited(script, limits) else {
        return;
    };
    let done = case.run();
    assert_ne!(done.status.code, 0, "{}", done.stderr);
    assert_eq!(done.status.exceeded, Some(Exceeded::Processes(20)));
}

#[test]
fn processors_are_limited() {
    let cpu = limit::processors()[0];
    let limits = Limits {
        cpu_time: Some(CpuTime {
            quota_us: 20_000,
            period_us: 100_000,
        }),
        cpu_shares: Some(512),
        cpus: Some(cpu.to_string()),
        ..Limits::default()
    };
    let script = "cat /proc/self/status; cat /proc/self/cgroup";
    let Some(case) = limited(script, limits) else {
        return;
    };
    let said = case.output();
    let list = format!("Cpus_allowed_list:\t{cpu}\n");
    assert!(said.contains(&list), "{said}");
    assert!(said.contains("/rbuild/"), "{said}");
}

#[test]
fn what_no_machine_has_is_refused() {
    if !able() {
        return;
    }
    let mut case = shell("exit 0");
    case.spec.limits.cpus = Some("4000".to_owned());
    let error = text(&case.fails());
    assert!(
        error.contains("there is no processor 4000 here ("),
        "{error}"
    );
}

#[test]
fn no_group_is_left() {
    let limits = Limits {
        memory_bytes: Some(64 << 20),
        processes: Processes::AtMost(100),
        ..Limits::default()
    };
    let Some(case) = limited("cat /proc/self/cgroup", limits) else {
        return;
    };
    let said = case.output();
    let names = said.lines().filter_map(|line| line.rsplit_once("/rbuild/"));
    let names: Vec<&str> = names.map(|(_, name)| name).collect();
    assert!(!names.is_empty(), "{said}");
    for name in names {
        assert_eq!(groups(name), Vec::<PathBuf>::new());
    }
}

/// Finds groups of this name.
fn groups(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
        {
            if path.ends_with(name) {
                found.push(path.clone());
            }
            folders.push(path);
        }
    }
    found
}
