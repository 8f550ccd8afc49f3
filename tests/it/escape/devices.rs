//! Devices that a command makes, or finds in an image, a context or a mount. What decides is a list
//! of the kernel's where it can be set, whichever version of control groups has it, and mounts
//! where it cannot.

use std::process::Command;

use super::Attack;
use super::BASE;
use super::Ends::With;
use super::Sent;
use super::able;
use super::withstand;
use crate::support::home::Home;
use crate::support::home::succeed;
use crate::support::modes::within;
use crate::support::skip;

const fn attack(name: &'static str, files: &'static str, dockerfile: &'static str) -> Attack {
    Attack {
        name,
        files,
        dockerfile,
        sent: Sent::Folder,
        ends: With(&[]),
    }
}

/// Each makes the node of a device of this machine, a disk by preference, and succeeds if that cannot
/// be opened.
const DEVICES: &[Attack] = &[
    attack(
        "a disk",
        "",
        "BASE\nRUN set -- $(tail -n +3 /proc/partitions); mknod /d b ${1:-8} ${2:-0} && ! true < /d && ! true > /d",
    ),
    attack(
        "memory, ports and the kernel's log",
        "",
        "BASE\nRUN mknod /m c 1 1 && mknod /p c 1 4 && mknod /k c 1 11 && ! true < /m && ! true < /p && ! true < /k && ! true > /k",
    ),
    attack(
        "the console of the machine",
        "",
        "BASE\nRUN mknod /c c 5 1 && ! true < /c && ! true > /c",
    ),
    attack(
        "a disk by another name in /dev",
        "",
        "BASE\nRUN set -- $(tail -n +3 /proc/partitions); mknod /d b ${1:-8} ${2:-0} && ln /d /e && ! true < /e && mv /d /dev/d && ! true < /dev/d",
    ),
    attack(
        "a disk in /dev and in shared memory",
        "",
        "BASE\nRUN set -- $(tail -n +3 /proc/partitions); mknod /dev/shm/d b ${1:-8} ${2:-0} && ! true < /dev/shm/d && cd /dev && mknod d b ${1:-8} ${2:-0} && ! true < /proc/self/cwd/d",
    ),
    attack(
        "a disk in a cache, now and later",
        "",
        "BASE\nRUN --mount=type=cache,target=/c set -- $(tail -n +3 /proc/partitions); mknod /c/d b ${1:-8} ${2:-0} && ! true < /c/d\nRUN --mount=type=cache,target=/c [ -b /c/d ] && ! true < /c/d",
    ),
    attack(
        "a disk in memory",
        "",
        "BASE\nRUN --mount=type=tmpfs,target=/t set -- $(tail -n +3 /proc/partitions); mknod /t/d b ${1:-8} ${2:-0} && ! true < /t/d",
    ),
    attack(
        "a disk in a writable bind",
        "mkdir d",
        "BASE\nRUN --mount=type=bind,source=d,target=/b,rw set -- $(tail -n +3 /proc/partitions); mknod /b/d b ${1:-8} ${2:-0} && ! true < /b/d",
    ),
    attack(
        "a disk in the context, bound",
        "mkdir n; set -- $(tail -n +3 /proc/partitions); mknod n/d b ${1:-8} ${2:-0}",
        "BASE\nRUN --mount=type=bind,target=/b ! true < /b/n/d",
    ),
    attack(
        "a disk in the context, copied",
        "mkdir n; set -- $(tail -n +3 /proc/partitions); mknod n/d b ${1:-8} ${2:-0}",
        "BASE\nCOPY n /n\nRUN ! true < /n/d || [ ! -b /n/d ]",
    ),
    attack(
        "a disk in an archive",
        "mkdir n; set -- $(tail -n +3 /proc/partitions); mknod n/d b ${1:-8} ${2:-0}; tar -cf a.tar n",
        "BASE\nADD a.tar /\nRUN [ -b /n/d ] && ! true < /n/d",
    ),
    attack(
        "a disk in the base",
        "mkdir n; set -- $(tail -n +3 /proc/partitions); mknod n/d b ${1:-8} ${2:-0}; tar -cf a.tar n",
        "BASE AS a\nADD a.tar /\nFROM a\nRUN ! true < /n/d && chmod 666 /n/d && ! true < /n/d",
    ),
    attack(
        "a disk of another stage, copied and bound",
        "",
        "BASE AS a\nRUN set -- $(tail -n +3 /proc/partitions); mkdir /n; mknod /n/d b ${1:-8} ${2:-0}\nFROM base\nCOPY --from=a /n/d /d\nRUN --mount=type=bind,from=a,target=/a [ -b /d ] && ! true < /d && [ -b /a/n/d ] && ! true < /a/n/d",
    ),
    attack(
        "a disk by a user of no rights",
        "",
        "BASE\nRUN set -- $(tail -n +3 /proc/partitions); mknod -m 666 /d b ${1:-8} ${2:-0}\nUSER 33:33\nRUN [ -b /d ] && ! true < /d",
    ),
];

#[test]
fn no_device_leads_out() {
    withstand(DEVICES);
}

/// What of this machine's control groups rbuild gets to see.
struct View {
    name: &'static str,
    /// Run in a mount namespace of its own before rbuild is.
    script: &'static str,
}

const WHOLE: View = View {
    name: "all",
    script: "true",
};

const VERSION_2: View = View {
    name: "version 2",
    script: "for place in $(awk '$3 == \"cgroup\" && $4 ~ /(^|,)devices(,|$)/ { print $2 }' /proc/mounts); do \
             umount \"$place\"; done; \
             grep -q ' cgroup2 ' /proc/mounts || mount -t cgroup2 none /sys/fs/cgroup",
};

const NONE: View = View {
    name: "none",
    script: "for place in $(awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/mounts); do umount -l \"$place\"; done",
};

impl View {
    /// rbuild, as it sees things; its arguments are to follow.
    fn rbuild(&self, home: &Home) -> Command {
        let rbuild = home.rbuild();
        let script = format!("{{ {}; }} >&2; exec \"$@\"", self.script);
        within(["unshare", "-m", "sh", "-c", &script, "sh"], &rbuild)
    }

    /// Whether there is a list, by `rbuild doctor`, and what it says of it.
    fn list(&self, home: &Home) -> (bool, String) {
        let told = succeed(self.rbuild(home).args(["doctor", "--format=json"])).stdout;
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let findings = told["findings"].as_array().unwrap();
        let list = findings
            .iter()
            .find(|finding| finding["name"] == "device list");
        let list = list.unwrap();
        (list["ok"] == true, list["found"].to_string())
    }

    /// The nodes of `/dev/null` and `/dev/fuse` that a `RUN` and a run can open, by their paths.
    fn opened(&self, home: &Home) -> [Vec<String>; 2] {
        let dockerfile = format!(
            "{BASE} AS made\nRUN mkdir /made && mknod /made/null c 1 3 && mknod /made/fuse c 10 229\n\
             FROM made\nCOPY --from=made /made /copied\nCOPY --chmod=755 try /try\n\
             RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/memory \
             --mount=type=bind,rw,target=/bound /try\n"
        );
        let context = home.context(&dockerfile);
        home.write("context/try", TRY);
        let mut build = self.rbuild(home);
        build.args(["build", "--progress=plain", "--no-cache", "-t=devices"]);
        build.args(["--build-context=host=/bin", "--network=none"]);
        let built = succeed(build.arg(&context)).stderr;
        let mut run = self.rbuild(home);
        run.args(["run", "--rm", "--network=none", "-v"]);
        run.arg(format!("{}:/bound", context.display()));
        let run = succeed(run.args(["devices", "/try"])).stdout;
        [built, run].map(|said| {
            let words = said.lines().filter_map(|line| line.split_once("opens "));
            words.map(|(_, path)| path.to_owned()).collect()
        })
    }
}

/// Tries nodes of `/dev/null` and `/dev/fuse` everywhere.
const TRY: &str = r#"#!/bin/sh
for place in /made /copied /own /dev /dev/shm /cache /memory /bound; do
    mkdir -p $place
    for node in "null 1 3" "fuse 10 229"; do
        set -- $node
        [ -c $place/$1 ] || mknod $place/$1 c $2 $3 || exit 1
        ! true 2>/dev/null < $place/$1 || echo "opens $place/$1"
    done
done
"#;

#[test]
fn what_is_on_the_list_can_be_opened_and_nothing_else() {
    if !able() {
        return;
    }
    for view in [WHOLE, VERSION_2] {
        let home = Home::new();
        let (is_there, found) = view.list(&home);
        if !is_there {
            skip(&format!("{}: {found}", view.name));
            continue;
        }
        let [built, run] = view.opened(&home);
        let forbidden = mounts_that_forbid(&home);
        let nodes = |places: &[&str]| {
            let places = [
                "/made", "/copied", "/own", "/dev", "/cache", "/memory", "/bound",
            ]
            .iter()
            .filter(|place| !places.contains(place));
            places.map(|place| format!("{place}/null")).collect()
        };
        let (in_build, in_run): (Vec<_>, Vec<_>) = match forbidden {
            true => (nodes(&["/cache", "/bound"]), nodes(&["/bound"])),
            false => (nodes(&[]), nodes(&[])),
        };
        assert_eq!(built, in_build, "{}: {found}", view.name);
        // What is no mount in a run is a directory of its own.
        assert_eq!(run, in_run, "{}: {found}", view.name);
    }
}

/// Whether this machine itself forbids devices where the store is: a view on a part of it does too.
fn mounts_that_forbid(home: &Home) -> bool {
    let mount = rustix::fs::statvfs(home.path("")).unwrap();
    mount.f_flag.contains(rustix::fs::StatVfsMountFlags::NODEV)
}

#[test]
fn without_a_list_only_what_was_in_dev_can_be_opened() {
    if !able() {
        return;
    }
    let home = Home::new();
    let (is_there, found) = NONE.list(&home);
    assert!(!is_there, "{found}");
    for opened in NONE.opened(&home) {
        assert_eq!(opened, ["/dev/null"], "{found}");
    }
}

#[test]
fn a_command_with_all_rights_is_under_no_list() {
    if !able() {
        return;
    }
    for view in [WHOLE, VERSION_2, NONE] {
        let home = Home::new();
        // The kernel's log is there on every machine.
        let disk = "set -- $(tail -n +3 /proc/partitions); mknod /d b ${1:-8} ${2:-0} && ! true < /d && rm /d";
        let dockerfile = format!(
            "{BASE}\nRUN {disk}\nRUN --security=insecure mknod /k c 1 11 && true < /k\nRUN {disk} && true\n"
        );
        let mut build = view.rbuild(&home);
        build.args(["build", "--progress=plain", "--build-context=host=/bin"]);
        build.args(["--allow=security.insecure", "--network=none"]);
        succeed(build.arg(home.context(&dockerfile)));
    }
}
