//! What this machine and the container around rbuild allow, what each refusal costs, and what
//! gains it: for `rbuild doctor`.

use std::fs;
use std::path::Path;

use crate::sandbox::apart;
use crate::sandbox::carrier::CARRIERS;
use crate::sandbox::cgroup::DeviceList;
use crate::sandbox::ladder;
use crate::sandbox::program;
use crate::sandbox::ranges;
use crate::sys::file;
use crate::sys::id;
use crate::sys::id::Capabilities;
use crate::sys::overlay;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub is_good: bool,
    /// What was found.
    pub found: String,
    /// What it costs that it is not; empty if it is.
    pub costs: &'static str,
    /// The line that gains it; empty if there is none.
    pub remedy: &'static str,
}

/// Looks at everything that has a say. `root` is the store.
#[must_use]
pub fn examine(root: &Path) -> Vec<Finding> {
    vec![
        kernel(),
        user(),
        namespaces(),
        ranges_of_users(),
        overlays(root),
        devices(),
        device_list(),
        filters(),
        cgroups(),
        network(),
        sharing(root),
        space(root),
    ]
}

fn finding(name: &'static str, result: Result<String, String>) -> Finding {
    let is_good = result.is_ok();
    Finding {
        name,
        is_good,
        found: result.unwrap_or_else(|error| error),
        costs: "",
        remedy: "",
    }
}

impl Finding {
    fn unless_good(mut self, costs: &'static str, remedy: &'static str) -> Finding {
        if !self.is_good {
            (self.costs, self.remedy) = (costs, remedy);
        }
        self
    }
}

fn kernel() -> Finding {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map(|number| number.parse::<u32>());
    let version = (numbers.next(), numbers.next());
    let is_new = matches!(version, (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (5, 12));
    let release = release.trim().to_owned();
    let result = if is_new { Ok(release) } else { Err(release) };
    finding("kernel", result).unless_good("rbuild needs Linux 5.12", "use a newer kernel")
}

fn user() -> Finding {
    let uid = id::effective().uid;
    let result = match (uid, id::is_initial_user_namespace()) {
        (0, true) => Ok("root".to_owned()),
        (0, false) => Ok("root of a user namespace".to_owned()),
        _ => Err(format!("user {uid}, who may make no user namespace")),
    };
    finding("user", result).unless_good(
        "nothing can be run",
        "sysctl user.max_user_namespaces=28633; where they exist also \
         kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0",
    )
}

fn namespaces() -> Finding {
    let tried = apart::try_namespaces().map_err(|error| error.in_one_line());
    finding(
        "namespaces",
        tried.map(|()| "can be made, and mounted in".to_owned()),
    )
    .unless_good(
        "commands have only a root directory of their own: no /proc, no --network=none, no \
         protection of other processes of the container",
        ladder::privileges(),
    )
}

fn ranges_of_users() -> Finding {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    let users: u64 = map.lines().filter_map(count).sum();
    let result = match users {
        0..=1 => Err("one: its own".to_owned()),
        users => Ok(users.to_string()),
    };
    let remedy = match ranges::mapping_programs() {
        Some(_) => "echo $USER:100000:65536 | sudo tee -a /etc/subuid /etc/subgid",
        None => {
            "apt-get install uidmap, then echo $USER:100000:65536 | sudo tee -a /etc/subuid \
             /etc/subgid"
        }
    };
    finding("users it may be", result).unless_good(
        "owners of files are remembered, and commands that change to another user stay root",
        remedy,
    )
}

fn overlays(root: &Path) -> Finding {
    let tried = overlay::try_below(root).map_err(|error| error.in_one_line());
    finding("overlayfs", tried.map(|()| "can be mounted".to_owned())).unless_good(
        "root file systems are copied, once for each chain of RUNs",
        "as for namespaces; and the store (--root) on a volume: docker run -v \
         rbuild:/var/lib/rbuild, Kubernetes: an emptyDir there",
    )
}

fn devices() -> Finding {
    let held = Capabilities::named("MKNOD").is_some_and(Capabilities::are_held);
    let result = match (held, id::is_initial_user_namespace()) {
        (true, true) => Ok("can be made".to_owned()),
        (_, false) => Ok("those of the machine are shown".to_owned()),
        (false, true) => Err("cannot be made: CAP_MKNOD is missing".to_owned()),
    };
    finding("devices", result).unless_good(
        "without mounts, /dev/null and its like are plain files",
        "docker or podman run --cap-add MKNOD; Kubernetes: securityContext: {capabilities: {add: \
         [MKNOD]}}",
    )
}

fn device_list() -> Finding {
    let result = match DeviceList::new() {
        Ok(list) => Ok(format!("kept by {}", list.keeper())),
        Err(error) => Err(format!("cannot be set: {}", error.in_one_line())),
    };
    finding("device list", result).unless_good(
        "in namespaces, mounts forbid the devices that a command makes or an image has, even \
         /dev/null and its like: debootstrap fails",
        "run rbuild as root with /sys/fs/cgroup writable; docker run --privileged; Kubernetes: \
         securityContext: {privileged: true}",
    )
}

fn filters() -> Finding {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status
        .lines()
        .find_map(|line| line.strip_prefix("Seccomp:"));
    let result = match found.map(str::trim) {
        Some("0") => Ok("none around rbuild".to_owned()),
        Some(_) => Ok("one around rbuild, from the container".to_owned()),
        None => Err("the kernel has none".to_owned()),
    };
    finding("system call filter", result).unless_good(
        "commands may make every system call",
        "a kernel with CONFIG_SECCOMP_FILTER",
    )
}

fn cgroups() -> Finding {
    let base = Path::new("/sys/fs/cgroup");
    let result = if let Ok(text) = fs::read_to_string(base.join("cgroup.controllers")) {
        Ok(format!("version 2: {}", text.trim()))
    } else if base.join("memory").is_dir() {
        Ok("version 1".to_owned())
    } else {
        Err("not mounted".to_owned())
    };
    finding("cgroups", result).unless_good(
        "--memory, --cpus and --pids-limit are refused",
        "mount -t cgroup2 none /sys/fs/cgroup",
    )
}

fn network() -> Finding {
    let mut known = CARRIERS.iter().map(|carrier| carrier.name);
    let result = match known.find(|name| program::find_here(name).is_some()) {
        Some(name) => Ok(format!("{name} is there")),
        None => Err("neither pasta nor slirp4netns is there".to_owned()),
    };
    finding("network helper", result).unless_good(
        "commands run on the network of this machine",
        "apt-get install passt",
    )
}

fn sharing(root: &Path) -> Finding {
    let result = match file::shares_blocks(root) {
        Ok(true) => Ok("copies share their blocks".to_owned()),
        Ok(false) => Err("copies take their space again".to_owned()),
        Err(error) => Err(error.in_one_line()),
    };
    finding("reflinks", result).unless_good(
        "copying snapshotter: time and space for each copy",
        "put the store (--root) on btrfs or xfs",
    )
}

fn space(root: &Path) -> Finding {
    const ENOUGH: u64 = 2 << 30;
    let result = match file::space(root) {
        Ok(free) if free >= ENOUGH => Ok(format!("{} GiB free", free >> 30)),
        Ok(free) => Err(format!("{} MiB free", free >> 20)),
        Err(error) => Err(error.in_one_line()),
    };
    finding("disk", result).unless_good(
        "a build may not fit",
        "rbuild prune --all, or another --root",
    )
}
