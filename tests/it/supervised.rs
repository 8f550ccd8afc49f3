//! Commands that turn on the process that watches over them, where there is no process namespace to
//! do it, and the end of rbuild while they run: nothing goes on, and nothing that was lent stays.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;

use rustix::process::Signal;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::fail_with;
use crate::support::home::succeed;
use crate::support::port::free_port;
use crate::support::processes::rooted_in;
use crate::support::processes::signal;
use crate::support::require;
use crate::support::wait::wait_until;

const SECRET: &str = "bytes that nobody may find again";

fn able() -> bool {
    require(&[Feature::Root, Feature::Program("busybox")])
}

fn home() -> Home {
    Home::with_arguments(&["--isolation=chroot"])
}

/// A build of one command of busybox's shell, with flags of its `RUN`.
fn build(home: &Home, flags: &str, script: &str) -> Command {
    build_of(home, &format!("RUN {flags} {script}\n"))
}

/// A build of these lines, which begin with busybox.
fn build_of(home: &Home, lines: &str) -> Command {
    let context = home.context(&format!(
        "FROM scratch AS base\nCOPY --from=host busybox /bin/busybox\n\
         RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin\n{lines}"
    ));
    let mut build = home.build(&context);
    build.args(["--build-context", "host=/bin"]);
    build
}

/// Starts a build and waits until its command says `begun`.
fn begin(build: &mut Command) -> Child {
    let mut child = build.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let begun = lines.any(|line| line.unwrap().ends_with(" begun"));
    assert!(begun, "the command did not begin");
    // What else it says must not stop it.
    thread::spawn(move || lines.for_each(drop));
    child
}

fn processes(home: &Home) -> Vec<PathBuf> {
    rooted_in(&home.path("root"))
}

/// Whether a file below a folder has these bytes in it.
fn is_in(folder: &Path, bytes: &str) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => is_in(&path, bytes),
            Ok(found) if found.is_file() => {
                let content = fs::read(&path).unwrap_or_default();
                content
                    .windows(bytes.len())
                    .any(|part| part == bytes.as_bytes())
            }
            // It went away, or has no content.
            _ => false,
        }
    })
}

#[test]
fn a_build_whose_command_stops_its_parent_can_be_canceled() {
    if !able() {
        return;
    }
    let home = home();
    let script = "sleep 100000 & kill -STOP $PPID; echo begun; sleep 100000";
    let mut child = begin(&mut build(&home, "", script));
    assert_ne!(processes(&home), Vec::<PathBuf>::new());
    signal(child.id(), Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(processes(&home), Vec::<PathBuf>::new());
}

#[test]
fn a_command_that_stops_its_parent_can_end() {
    if !able() {
        return;
    }
    let home = home();
    succeed(&mut build(&home, "", "sleep 100000 & kill -STOP $PPID"));
    assert_eq!(processes(&home), Vec::<PathBuf>::new());
}

#[test]
fn a_command_that_kills_its_parent_leaves_nothing_behind() {
    if !able() {
        return;
    }
    let home = home();
    // What is left has the command's output open, and another user.
    let script = "echo 'u:x:33:33::/:/bin/sh' > /etc/passwd; sleep 100000 & su u -c 'sleep 100000' & \
                  setsid sleep 100000 & kill -KILL $PPID; sleep 100000";
    let script = format!("mkdir /etc; {script}");
    let said = fail_with(1, &mut build(&home, "", &script)).stderr;
    assert!(said.contains("137"), "{said}");
    assert_eq!(processes(&home), Vec::<PathBuf>::new());
}

#[test]
fn a_killed_build_takes_back_what_it_lent() {
    if !able() {
        return;
    }
    let home = home();
    let secret = home.write("secret", SECRET);
    let flags = "--mount=type=secret,id=word,target=/deep/er/word --mount=type=cache,target=/cache";
    let mut first = build(
        &home,
        flags,
        "cat /deep/er/word > /dev/null; echo kept > /cache/file",
    );
    let argument = format!("--secret=id=word,src={}", secret.display());
    succeed(first.arg(&argument));
    let script = "echo more > /cache/more; sleep 100000 & echo begun; sleep 100000";
    let mut child = begin(build(&home, flags, script).arg(&argument));
    let root = home.path("root");
    assert!(is_in(&root, SECRET), "it is lent as a file");
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("nothing runs", || processes(&home).is_empty());
    wait_until("the secret is gone", || !is_in(&root, SECRET));
    let is_home = |name: &str| {
        let mut families = fs::read_dir(root.join("mounts")).unwrap();
        families.any(|family| family.unwrap().path().join("0/data").join(name).exists())
    };
    wait_until("the cache is home", || is_home("file") && is_home("more"));
    // And serves the next command.
    succeed(build(&home, flags, "cat /cache/file /cache/more").arg(&argument));
}

/// The process that watches over a command: the parent of its first process.
fn supervisor(home: &Home) -> String {
    let all = processes(home);
    let parents = all.iter().filter_map(|process| {
        let stat = fs::read_to_string(process.join("stat")).ok()?;
        let (_, after) = stat.rsplit_once(')')?;
        after.split_whitespace().nth(1).map(str::to_owned)
    });
    let is_outside = |pid: &String| !all.contains(&Path::new("/proc").join(pid));
    parents.into_iter().find(is_outside).unwrap()
}

fn send(signal: &str, pid: &str) {
    let sent = Command::new("kill").args([signal, pid]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_cache_comes_home_if_nobody_was_left_to_bring_it() {
    if !able() {
        return;
    }
    let home = home();
    let secret = home.write("secret", SECRET);
    let flags = "--mount=type=secret,id=word --mount=type=cache,target=/cache";
    let argument = format!("--secret=id=word,src={}", secret.display());
    let script = "echo > /cache/file; echo begun; sleep 100000";
    let mut child = begin(build(&home, flags, script).arg(&argument));
    let (rbuild, supervisor) = (child.id().to_string(), supervisor(&home));
    // It would see to what the other leaves.
    send("-STOP", &rbuild);
    send("-KILL", &supervisor);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("nothing runs", || processes(&home).is_empty());
    let flags = "--mount=type=cache,target=/cache";
    succeed(&mut build(&home, flags, "test -e /cache/file"));
    assert!(!is_in(&home.path("root"), SECRET));
}

#[test]
fn a_command_that_kills_its_parent_keeps_its_caches() {
    if !able() {
        return;
    }
    let home = home();
    let flags = "--mount=type=cache,target=/cache";
    let script = "echo > /cache/file; kill -KILL $PPID; sleep 100000";
    fail_with(1, &mut build(&home, flags, script));
    succeed(&mut build(&home, flags, "test -e /cache/file"));
}

#[test]
fn what_was_lent_can_be_neither_moved_nor_linked() {
    if !able() {
        return;
    }
    let home = home();
    let secret = home.write("secret", SECRET);
    let flags = "--mount=type=secret,id=word,target=/word --mount=type=cache,target=/cache";
    let argument = format!("--secret=id=word,src={}", secret.display());
    let scripts = [
        ("mv /word /kept", "/word"),
        ("ln /word /kept", "/word"),
        ("echo > /cache/file; mv /cache /kept", "/cache"),
    ];
    for (script, place) in scripts {
        let said = fail_with(1, build(&home, flags, script).arg(&argument)).stderr;
        let expected = format!("what was mounted at {place} cannot be moved or linked");
        assert!(said.contains(&expected), "{script}: {said}");
        assert!(!is_in(&home.path("root"), SECRET), "{script}");
    }
    succeed(build(&home, flags, "test -e /cache/file").arg(&argument));
}

#[test]
fn a_script_can_be_executed() {
    if !able() {
        return;
    }
    let lines = "RUN <<EOF\n#!/bin/sh\ntest -e \"$0\"\nEOF\n";
    succeed(&mut build_of(&home(), lines));
}

#[test]
fn a_context_may_be_a_bare_name() {
    if !able() {
        return;
    }
    let home = home();
    home.context(
        "FROM scratch\nCOPY --from=host busybox /bin/busybox\n\
         RUN --mount=type=bind,target=/src [\"/bin/busybox\", \"test\", \"-e\", \"/src/Dockerfile\"]\n",
    );
    let mut build = home.rbuild();
    build.args(["build", "--build-context=host=/bin", "context"]);
    succeed(build.current_dir(home.path("")));
}

#[test]
fn what_only_a_mount_gives_is_refused() {
    if !able() {
        return;
    }
    let home = home();
    let flags = "--mount=type=tmpfs,target=/x,size=1m";
    let said = fail_with(3, &mut build(&home, flags, "true")).stderr;
    assert!(said.contains("a size of the memory at /x"), "{said}");
    // The second is what it is elsewhere if nothing is said.
    for size in ["--shm-size=32m", "--shm-size=64m"] {
        let said = fail_with(3, build(&home, "", "true").arg(size)).stderr;
        assert!(said.contains("a size of /dev/shm"), "{said}");
    }
    succeed(build(&home, "", "true").args(["-t", "box", "--shm-size=0"]));
    let mut run = home.rbuild();
    let folder = format!("{}:/x", home.path("").display());
    run.args([
        "run",
        "--rm",
        "--network=host",
        "-v",
        &folder,
        "box",
        "true",
    ]);
    let said = fail_with(125, &mut run).stderr;
    assert!(
        said.contains("a volume that can be written, at /x,"),
        "{said}"
    );
    let mut run = home.rbuild();
    let publish = format!("127.0.0.1:{}:80", free_port());
    run.args(["run", "--rm", "-p", &publish, "box", "true"]);
    let said = fail_with(125, &mut run).stderr;
    assert!(said.contains("leave -p out"), "{said}");
}

#[test]
fn a_shared_cache_is_one_commands_at_a_time() {
    if !able() {
        return;
    }
    let home = home();
    let stage = |name: &str| {
        format!(
            "FROM base AS {name}\nRUN --mount=type=cache,target=/cache \
             set -e; mkdir /cache/alone; sleep 0.2; rmdir /cache/alone; echo > /cache/{name}\n"
        )
    };
    let lines = format!(
        "{}{}FROM base\nCOPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b\n\
         RUN --mount=type=cache,target=/cache test -e /cache/a && test -e /cache/b\n",
        stage("a"),
        stage("b")
    );
    succeed(build_of(&home, &lines).args(["--jobs", "2"]));
}

#[test]
fn a_cache_at_two_places_is_refused_and_kept() {
    if !able() {
        return;
    }
    let home = home();
    let one = "--mount=type=cache,id=x,target=/one";
    succeed(&mut build(&home, one, "echo > /one/file"));
    let two = format!("{one} --mount=type=cache,id=x,target=/two");
    let said = fail_with(3, &mut build(&home, &two, "true")).stderr;
    assert!(said.contains("/one and /two"), "{said}");
    succeed(&mut build(&home, one, "test -e /one/file"));
}

#[test]
fn a_cache_that_became_a_link_leads_nobody_out() {
    if !able() {
        return;
    }
    let home = home();
    let outside = home.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("canary"), "").unwrap();
    let flags = "--mount=type=cache,target=/cache";
    let script = format!("rmdir /cache; ln -s {} /cache", outside.display());
    succeed(&mut build(&home, flags, &script));
    let script = "test ! -e /cache/canary; echo > /cache/file";
    succeed(&mut build(&home, flags, script));
    let names = fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["canary"]);
}
