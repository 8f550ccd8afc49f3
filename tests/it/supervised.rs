//! Commands that turn on the process that watches over them, where there is no process namespace to
//! do it: nothing goes on.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::fail_with;
use crate::support::home::succeed;
use crate::support::require;

fn able() -> bool {
    require(&[Feature::Root, Feature::Program("busybox")])
}

fn home() -> Home {
    Home::with_arguments(&["--isolation=chroot"])
}

/// A build of one command of busybox's shell, with flags of its `RUN`.
fn build(home: &Home, flags: &str, script: &str) -> Command {
    let context = home.context(&format!(
        "FROM scratch\nCOPY --from=host busybox /bin/busybox\n\
         RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin\n\
         RUN {flags} {script}\n"
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

/// The processes whose root directory is below the store.
fn processes(home: &Home) -> Vec<PathBuf> {
    let root = fs::canonicalize(home.path("root")).unwrap();
    let all = fs::read_dir("/proc").unwrap().flatten();
    let all = all.map(|entry| entry.path());
    let lives_there = |path: &PathBuf| {
        let its = fs::read_link(path.join("root"));
        its.is_ok_and(|its| its.starts_with(&root))
    };
    all.filter(lives_there).collect()
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
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.unwrap().success());
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
