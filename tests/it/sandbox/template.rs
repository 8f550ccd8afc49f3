//! What sandboxes are copied from.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use rbuild::sandbox::Error;
use rbuild::sandbox::Input;
use rbuild::sandbox::Network;
use rbuild::sandbox::SpawnOptions;
use rbuild::sandbox::Template;
use rbuild::sandbox::spawn;

use crate::support::Feature;
use crate::support::program;
use crate::support::require;

use super::able;
use super::case;
use super::finish;
use super::options;
use super::shell;
use super::text;

#[test]
fn all_sandboxes_of_one_are_apart() {
    if !able() {
        return;
    }
    let options = options();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let options = &options;
            scope.spawn(move || {
                for round in 0..4 {
                    let script = format!("echo {number} {round} $$; ls /proc | grep -c '^[0-9]'");
                    let case = shell(&script);
                    let running = spawn(&case.spec, options);
                    let done = finish(running.unwrap_or_else(|error| panic!("{}", text(&error))));
                    let (first, processes) = done.stdout.split_once('\n').unwrap();
                    assert_eq!(first, format!("{number} {round} 1"), "{}", done.stderr);
                    assert!(processes.trim().parse::<u8>().unwrap() <= 4, "{processes}");
                }
            });
        }
    });
}

#[test]
fn a_sandbox_needs_nothing_of_whoever_made_the_template() {
    if !able() {
        return;
    }
    let case = case(&["cat"]);
    let begun = SpawnOptions {
        input: Input::Pipe,
        ..options()
    };
    let mut running = spawn(&case.spec, &begun).unwrap();
    drop(begun);
    drop(running.stdin.take());
    assert_eq!(finish(running).status.code, 0);
}

#[test]
fn a_sandbox_is_the_same_whether_its_kind_was_expected_or_not() {
    if !able() {
        return;
    }
    let options = options();
    let look = "echo $$; busybox grep -v ^overlay /proc/mounts; ls /proc/self/fd /dev; id -u; \
                busybox grep -e Cap -e Seccomp: -e NoNew /proc/self/status; busybox hostname";
    let see = || {
        let running = spawn(&shell(look).spec, &options);
        finish(running.unwrap_or_else(|error| panic!("{}", text(&error)))).stdout
    };
    let unexpected = see();
    assert!(unexpected.starts_with("1\n"), "{unexpected}");
    let mut alone = shell("true").spec;
    alone.network = Network::None;
    for expected in [&shell(look).spec, &alone] {
        options.template.expect(expected);
        options.template.expect(expected);
        assert_eq!(see(), unexpected);
    }
    // Whoever expected too much has nothing to clear away.
    options.template.expect(&alone);
    drop(options);
}

#[test]
fn one_that_ends_or_is_missing_is_told() {
    if !able() {
        return;
    }
    let case = case(&["cat"]);
    let folder = tempfile::tempdir().unwrap();
    let ends = SpawnOptions {
        template: beginning_with(folder.path(), "exit 1"),
        ..options()
    };
    // It is tried again each time.
    for _ in 0..2 {
        let error = spawn(&case.spec, &ends).unwrap_err();
        assert!(matches!(error, Error::Template), "{}", text(&error));
    }
    let missing = SpawnOptions {
        template: Template::new("/nowhere/rbuild"),
        ..options()
    };
    let error = spawn(&case.spec, &missing).unwrap_err();
    assert!(text(&error).contains("No such file"), "{}", text(&error));
    assert_eq!(error.exit_code(), 125);
    assert!(case.changes().is_empty());
}

/// A template that does this before its work; its anchor does not.
fn beginning_with(folder: &Path, lines: &str) -> Template {
    scripted(folder, lines, "")
}

/// A template that does this before its work, and is started with these arguments.
fn scripted(folder: &Path, lines: &str, arguments: &str) -> Template {
    let program = env!("CARGO_BIN_EXE_rbuild");
    let script = format!(
        "#!/bin/bash\n[ \"$1\" != anchor ] || exec -a 'rbuild: anchor' '{program}'\n\
         {lines}\nexec -a 'rbuild: sandbox' '{program}' {arguments}\n"
    );
    let path = folder.join("template");
    program::write(&path, &script);
    Template::new(path)
}

/// A template that is killed as often as said before it does its work.
fn killed(folder: &Path, times: usize) -> Template {
    let lives = folder.join("lives");
    for number in 0..times {
        fs::create_dir_all(lives.join(number.to_string())).unwrap();
    }
    let lines = format!(
        "for life in '{}'/*; do rmdir \"$life\" && kill -9 $$; done",
        lives.display()
    );
    beginning_with(folder, &lines)
}

#[test]
fn one_that_cannot_prepare_says_why() {
    if !able() {
        return;
    }
    let case = case(&["cat"]);
    let folder = tempfile::tempdir().unwrap();
    // Whoever leads a session cannot begin another.
    let leads = "[ \"$LEADS\" ] || LEADS=1 exec setsid \"$0\"";
    let options = SpawnOptions {
        template: beginning_with(folder.path(), leads),
        ..options()
    };
    for _ in 0..2 {
        let error = spawn(&case.spec, &options).unwrap_err();
        assert!(text(&error).contains("setsid"), "{}", text(&error));
    }
}

#[test]
fn one_that_is_killed_is_followed_by_another() {
    if !able() {
        return;
    }
    let case = case(&["cat"]);
    let folder = tempfile::tempdir().unwrap();
    let with = |times| SpawnOptions {
        template: killed(folder.path(), times),
        ..options()
    };
    let once = with(1);
    let running = spawn(&case.spec, &once).unwrap_or_else(|error| panic!("{}", text(&error)));
    assert_eq!(finish(running).status.code, 0);
    let twice = with(2);
    let error = spawn(&case.spec, &twice).unwrap_err();
    assert!(matches!(error, Error::Template), "{}", text(&error));
    let running = spawn(&case.spec, &twice).unwrap_or_else(|error| panic!("{}", text(&error)));
    assert_eq!(finish(running).status.code, 0);
}

#[test]
fn one_that_did_not_go_under_the_list_of_devices_lets_mounts_forbid_them() {
    if !able() {
        return;
    }
    let script = "busybox mknod /null c 1 3; echo > /dev/null && echo well > /null";
    let case = shell(script);
    // Not told of a way in, and told of one through which there is no going in.
    for arguments in ["", "\"$@\" 4</dev/null"] {
        let folder = tempfile::tempdir().unwrap();
        let options = SpawnOptions {
            template: scripted(folder.path(), "", arguments),
            ..options()
        };
        let running = spawn(&case.spec, &options);
        let done = finish(running.unwrap_or_else(|error| panic!("{}", super::text(&error))));
        assert!(
            done.stderr.contains("/null: Permission denied"),
            "{arguments}: {}",
            done.stderr
        );
    }
}

#[test]
fn what_none_outlives_ends_when_nobody_holds_it() {
    if !require(&[Feature::Program("bash")]) {
        return;
    }
    // As it is started, but by a process that it did not ask to die with.
    let script = "exec 3<&0 < /dev/null; exec -a 'rbuild: anchor' \"$0\" anchor";
    let mut bash = Command::new("bash");
    bash.args(["-c", script, env!("CARGO_BIN_EXE_rbuild")]);
    let mut anchor = bash.stdin(Stdio::piped()).spawn().unwrap();
    assert_eq!(anchor.try_wait().unwrap(), None);
    // Closes the other end first.
    assert_eq!(anchor.wait().unwrap().code(), Some(0));
}
