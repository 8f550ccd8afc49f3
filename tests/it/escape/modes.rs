//! The attempts to get out in the modes that have fewer walls, each with what it leaves in reach.
//!
//! Where commands share the processes and the kernel's settings with the machine, an attempt aims at
//! nothing that the test did not make itself: a bystander, a guarded folder, a socket.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use super::Attack;
use super::able;
use super::context;
use super::copy;
use super::mount;
use super::withstand_on;
use crate::sandbox::escape::ATTEMPTS;
use crate::sandbox::escape::listen_abstractly;
use crate::sandbox::escape::machine;
use crate::sandbox::escape::probe;
use crate::support::Feature;
use crate::support::guard::Guard;
use crate::support::home::Home;
use crate::support::home::succeed;
use crate::support::modes::NOBODY;
use crate::support::modes::RANGES;
use crate::support::modes::as_user;
use crate::support::modes::container;
use crate::support::modes::users_folder;
use crate::support::require;

/// What a mode does not keep from a command that is root in it.
struct Mode {
    name: &'static str,
    /// Attempts that succeed, and do no harm here.
    in_reach: &'static [&'static str],
    /// Attempts that would change something of the machine if they succeeded, and may.
    untried: &'static [&'static str],
}

const NAMESPACE: Mode = Mode {
    name: "namespace",
    in_reach: &[],
    untried: &[],
};

const ROOTLESS: Mode = Mode {
    name: "rootless",
    in_reach: &[],
    untried: &[],
};

const SINGLE: Mode = Mode {
    name: "rootless without ranges",
    in_reach: &[],
    untried: &[],
};

/// Root without a name space of its own: it makes devices, and knows the machine's processes and
/// its network.
const CHROOT: Mode = Mode {
    name: "chroot",
    in_reach: &[
        "a new device",
        "a new device in /dev",
        "a new device in /dev/shm",
        "a new device in a volume",
        "a new device in memory",
        "signal who started it",
        "limits of who started it",
        "socket of the host",
    ],
    untried: &["a new disk"],
};

/// The same within the container, whose own filter of system calls holds.
const CONTAINER: Mode = Mode {
    name: "chroot in a container",
    in_reach: &[
        "keys of the user",
        "a new device",
        "a new device in /dev",
        "a new device in /dev/shm",
        "a new device in a volume",
        "a new device in memory",
        "signal who started it",
        "limits of who started it",
        "socket of the host",
    ],
    untried: &["a new disk", "add a key", "clear kernel log"],
};

/// All that hostile contexts, copies and mounts try.
const BUILDS: [&[Attack]; 6] = [
    context::ARCHIVES,
    context::NAMED,
    copy::SOURCES,
    copy::DESTINATIONS,
    copy::ARCHIVES,
    mount::MOUNTS,
];

/// What is copied in can be changed, to no effect.
const OF_A_COPY: &[&str] = &["read-only bind cannot be made writable"];

/// A process that nobody may touch; it ends with this value.
struct Bystander(Child);

impl Bystander {
    fn new() -> Bystander {
        let sleep = Command::new("sleep")
            .arg("100000")
            .stdin(Stdio::null())
            .spawn();
        Bystander(sleep.unwrap())
    }

    #[track_caller]
    fn assert_alive(&mut self, mode: &Mode) {
        let ended = self.0.try_wait().unwrap();
        assert!(
            ended.is_none(),
            "{}: a bystander ended: {ended:?}",
            mode.name
        );
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Mode {
    /// Writes a context whose build tries everything; `outside` is a file that no command sees.
    fn context(&self, folder: &Path, outside: &str) {
        fs::copy(probe(), folder.join("probe")).unwrap();
        let names = ATTEMPTS.iter().map(|attempt| attempt.0);
        let names = names.filter(|name| !self.untried.contains(name));
        let quoted: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
        // Where there are namespaces, one without a way out.
        let network = match self.name.starts_with("chroot") {
            true => "",
            false => "--network=none ",
        };
        let text = format!(
            "FROM scratch\nCOPY --from=host busybox /bin/busybox\nCOPY --chmod=755 probe /probe\n\
             SHELL [\"/bin/busybox\", \"sh\", \"-c\"]\nRUN /bin/busybox mkdir -p /root\nARG STRANGER\n\
             RUN --mount=type=cache,target=/mnt --mount=type=tmpfs,target=/tmp {network}\
             /probe {outside} $STRANGER {}\n",
            quoted.join(" ")
        );
        fs::write(folder.join("Dockerfile"), text).unwrap();
    }

    /// Runs rbuild with what every mode is told.
    fn build(&self, rbuild: &mut Command, context: &Path, stranger: &str) -> String {
        rbuild
            .args(["build", "--progress=plain", "--build-context=host=/bin"])
            .arg(format!("--build-arg=STRANGER={stranger}"))
            .arg(context);
        succeed(rbuild).stderr
    }

    /// Compares what the probe said with what is in reach.
    #[track_caller]
    fn assert_held(&self, said: &str) {
        let mut wrong = Vec::new();
        for (name, _) in ATTEMPTS {
            let prefix = format!("{name}: ");
            // As in "#5 0.123 mount: EPERM".
            let words = said.lines().filter_map(|line| line.splitn(3, ' ').nth(2));
            let answer = words.filter_map(|words| words.strip_prefix(&prefix)).next();
            let held = match answer {
                None => self.untried.contains(name),
                Some("done") => self.in_reach.contains(name),
                Some(answer) => answer.starts_with('E'),
            };
            if !held {
                wrong.push(format!("{}: {name}: {answer:?}", self.name));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

fn can_try(needs: &[Feature]) -> bool {
    able() && require(&[Feature::Program("cc")]) && require(needs)
}

/// Has root's rbuild try everything, as this mode or with what it leaves in reach.
fn try_as_root(mode: &Mode, isolation: &str) {
    if !can_try(&[]) {
        return;
    }
    let (home, guard, mut bystander) = (Home::new(), Guard::new(), Bystander::new());
    let outside = guard.path().join("canary").display().to_string();
    let _listener = listen_abstractly(&outside);
    let before = machine();
    fs::create_dir(home.path("context")).unwrap();
    mode.context(&home.path("context"), &outside);
    let mut rbuild = home.rbuild();
    rbuild.args(["--isolation", isolation]);
    let stranger = bystander.0.id().to_string();
    let said = mode.build(&mut rbuild, &home.path("context"), &stranger);
    mode.assert_held(&said);
    bystander.assert_alive(mode);
    assert_eq!(machine(), before, "something of the machine was changed");
    guard.assert_untouched(mode.name);
}

#[test]
fn no_attempt_gets_out_of_a_build_of_roots() {
    try_as_root(&NAMESPACE, "namespace");
}

#[test]
fn what_a_root_directory_alone_leaves_in_reach_is_known() {
    try_as_root(&CHROOT, "chroot");
}

#[test]
fn no_attempt_gets_out_of_a_users_build() {
    if !can_try(&[Feature::UserNamespaces, Feature::Program("newuidmap")]) {
        return;
    }
    for (mode, ranges) in [(&ROOTLESS, RANGES), (&SINGLE, "")] {
        let (folder, guard, mut bystander) =
            (users_folder(), Guard::of_user(NOBODY), Bystander::new());
        let outside = guard.path().join("canary").display().to_string();
        let _listener = listen_abstractly(&outside);
        let before = machine();
        mode.context(&folder.path().join("context"), &outside);
        let mut rbuild = as_user(folder.path(), ranges);
        let stranger = bystander.0.id().to_string();
        let said = mode.build(&mut rbuild, &folder.path().join("context"), &stranger);
        mode.assert_held(&said);
        bystander.assert_alive(mode);
        assert_eq!(machine(), before, "something of the machine was changed");
        guard.assert_untouched(mode.name);
    }
}

#[test]
fn what_a_container_leaves_in_reach_is_known() {
    if !can_try(&[Feature::Program("podman"), Feature::Program("runc")]) {
        return;
    }
    let mode = &CONTAINER;
    let (home, guard, mut bystander) = (Home::new(), Guard::new(), Bystander::new());
    let outside = guard.path().join("canary").display().to_string();
    let _listener = listen_abstractly(&outside);
    let before = machine();
    fs::create_dir(home.path("context")).unwrap();
    mode.context(&home.path("context"), &outside);
    let mut run = container(&home, &[format!("-v={0}:{0}", guard.text())]);
    // The stranger that it may aim at is one within the container.
    let script =
        "sleep 100000 & stranger=$!; /rbuild \"$@\" --build-arg STRANGER=$stranger || exit 1
                  kill -0 $stranger && echo it lives; kill $stranger";
    run.args(["/bin/sh", "-c", script, "sh"]);
    run.args([
        "build",
        "--progress=plain",
        "--build-context=host=/bin",
        "/home/context",
    ]);
    let done = succeed(&mut run);
    mode.assert_held(&done.stderr);
    assert_eq!(done.stdout.trim_end(), "it lives");
    bystander.assert_alive(mode);
    assert_eq!(machine(), before, "something of the machine was changed");
    guard.assert_untouched(mode.name);
}

#[test]
fn no_build_leads_out_where_there_is_a_root_directory_alone() {
    if able() {
        let home = Home::with_arguments(&["--isolation=chroot"]);
        let mut bystander = Bystander::new();
        for attacks in BUILDS {
            withstand_on(&home, (Guard::new, OF_A_COPY), attacks);
        }
        bystander.assert_alive(&CHROOT);
    }
}

#[test]
fn no_build_of_a_user_leads_out() {
    if !can_try(&[Feature::UserNamespaces, Feature::Program("newuidmap")]) {
        return;
    }
    let home = Home::of_nobody(RANGES);
    for attacks in BUILDS {
        withstand_on(&home, (|| Guard::of_user(NOBODY), &[]), attacks);
    }
    let home = Home::of_nobody("");
    withstand_on(&home, (|| Guard::of_user(NOBODY), &[]), mount::MOUNTS);
}

#[test]
fn what_a_user_gives_away_is_nothing_of_the_outside() {
    if !can_try(&[Feature::UserNamespaces]) {
        return;
    }
    let (home, guard) = (Home::of_nobody(""), Guard::of_user(NOBODY));
    let text = "FROM scratch\nCOPY --from=host busybox /bin/busybox\n\
                RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin\n";
    let context = home.context(text);
    let mut build = home.rbuild();
    build.args(["build", "-q", "-t", "box", "--build-context=host=/bin"]);
    succeed(build.arg("--network=none").arg(context));
    // It succeeds, as for all that seems to be root, and changes nothing.
    let script = "set -e; chown 33:33 /out/canary; ln -s /out/canary /l; chown 33 /l; cd /out; \
                  chown -R 33 .; chown 33 ../out/dir/canary; chown 33 dir/../../out/empty; \
                  mkdir /in; echo > /in/x; chown 33:34 /in/x; chown 33 /dev/null /proc/self/cwd";
    let mut run = home.rbuild();
    run.args(["run", "--network=none", "-v"])
        .arg(format!("{}:/out", guard.text()))
        .args(["box", "sh", "-c", script]);
    succeed(&mut run);
    guard.assert_untouched("what a user gives away");
}
