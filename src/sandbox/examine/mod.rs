//! What this machine and the container around rbuild allow, what each refusal costs, and what
//! gains it: for `rbuild doctor`. What a sandbox needs is tried, not looked up.

mod firewall;
mod groups;
mod network;
mod users;

use std::path::Path;

use crate::sandbox::Error;
use crate::sandbox::IsolationWish;
use crate::sandbox::apart;
use crate::sandbox::cgroup::Parents;
use crate::sandbox::ladder;
use crate::sys;
use crate::sys::alone;
use crate::sys::file;
use crate::sys::id;
use crate::sys::id::Capabilities;
use crate::sys::kernel;
use crate::sys::namespace;
use crate::sys::overlay;
use crate::sys::process;

/// What it costs where there is neither a build nor a run.
const NOTHING: &str = "nothing can be built or run";

/// What it costs that nothing is mounted by overlayfs.
const COPIED: &str = "root file systems are copied, once for each chain of RUNs";

/// The name of the finding without which there is neither.
const STORE: &str = "store";

/// The name of the finding of whose its files are, which is another one.
const SNAPSHOTS: &str = "snapshots";

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
    pub costs: String,
    /// The line that gains it; empty if there is none.
    pub remedy: String,
}

/// Looks at everything that has a say on what is wished for. `root` is the store; `refused` is why this
/// process could not [become root of a user namespace](crate::sandbox::enter), if it tried.
#[must_use]
pub fn examine(root: &Path, wish: IsolationWish, refused: Option<&Error>) -> Vec<Finding> {
    // What is tried with groups leaves none.
    let _parents = Parents::keep();
    let store = store(root);
    let mut findings = vec![kernel(), filters(), users::user(refused)];
    // Nobody else can do any of this.
    if id::effective().uid == 0 {
        let namespaces = namespaces();
        let is_given_up = namespaces.is_good && wish == IsolationWish::Chroot;
        let is_apart = namespaces.is_good && !is_given_up;
        findings.extend([
            namespaces,
            users::capabilities(),
            users::ranges(),
            devices(is_apart),
        ]);
        // Where there are no namespaces, a command can open every device that it can make.
        findings.extend(is_apart.then(groups::device_list));
        findings.push(groups::limits(is_apart));
        if is_given_up {
            findings.extend([
                given_up("network", network::MACHINES),
                given_up("overlayfs", COPIED),
            ]);
        } else {
            findings.push(network::way_out(is_apart));
            findings.extend(store.is_good.then(|| overlays(root, is_apart)));
        }
    }
    if store.is_good {
        findings.extend([sharing(root), space(root)]);
    }
    findings.push(store);
    findings
}

fn finding(name: &'static str, result: Result<String, String>) -> Finding {
    let is_good = result.is_ok();
    Finding {
        name,
        is_good,
        found: result.unwrap_or_else(|error| error),
        costs: String::new(),
        remedy: String::new(),
    }
}

impl Finding {
    /// What a store says of this process, which this room does not read: why it cannot use the
    /// snapshots there are, if so, and what to do.
    #[must_use]
    pub fn of_snapshots(unusable: Option<(String, String)>) -> Finding {
        let (result, remedy) = match unusable {
            None => (Ok("of users that rbuild may be".to_owned()), String::new()),
            Some((why, remedy)) => (Err(why), remedy),
        };
        finding(SNAPSHOTS, result).unless_good(NOTHING, remedy)
    }

    /// Whether nothing can be built or run, whatever else was found.
    #[must_use]
    pub fn forbids_all(&self) -> bool {
        [STORE, SNAPSHOTS].contains(&self.name) && !self.is_good
    }

    fn unless_good(mut self, costs: impl Into<String>, remedy: impl Into<String>) -> Finding {
        if !self.is_good {
            (self.costs, self.remedy) = (costs.into(), remedy.into());
        }
        self
    }
}

/// What nobody is to use, whether it is possible or not.
fn given_up(name: &'static str, costs: &str) -> Finding {
    let found = "not used: --isolation=chroot".to_owned();
    finding(name, Err(found)).unless_good(costs, "leave out --isolation=chroot")
}

fn kernel() -> Finding {
    let result = match kernel::is_at_least(5, 12) {
        true => Ok(kernel::release()),
        false => Err(kernel::release()),
    };
    finding("kernel", result).unless_good("rbuild needs Linux 5.12", "use a newer kernel")
}

fn namespaces() -> Finding {
    let costs = match alone::is_alone() {
        true => "nothing can be run",
        false => {
            "commands have only a root directory of their own: a part of /proc for root alone, no \
             --network=none, no protection of other processes of the container"
        }
    };
    let tried = apart::try_namespaces();
    let remedy = match &tried {
        Err(error) if error.errno() == namespace::USED_UP => users::raise_quotas(),
        _ => ladder::privileges().to_owned(),
    };
    let result = tried.map(|()| "can be made, and mounted in".to_owned());
    finding("namespaces", result.map_err(|error| error.in_one_line())).unless_good(costs, remedy)
}

fn overlays(root: &Path, is_apart: bool) -> Finding {
    let tried = overlay::try_below(root).map_err(|error| error.in_one_line());
    let remedy = match is_apart {
        true => {
            "put the store (--root) on a volume: docker run -v rbuild:/var/lib/rbuild, Kubernetes: \
             an emptyDir there; elsewhere on ext4, xfs or btrfs"
        }
        false => "as for namespaces; in a container, also have the store (--root) on a volume",
    };
    finding("overlayfs", tried.map(|()| "can be mounted".to_owned())).unless_good(COPIED, remedy)
}

fn devices(is_apart: bool) -> Finding {
    let held = Capabilities::named("MKNOD").is_some_and(Capabilities::are_held);
    let result = match (held, id::is_initial_user_namespace(), is_apart) {
        (true, true, _) => Ok("can be made".to_owned()),
        (_, false, true) => Ok("those of the machine are shown".to_owned()),
        (_, false, false) => Err("cannot be made by root of a user namespace".to_owned()),
        (false, true, _) => Err("cannot be made: CAP_MKNOD is missing".to_owned()),
    };
    let costs = match is_apart {
        true => "mknod fails in a RUN, and the devices of an image are empty files there",
        false => {
            "for root, rbuild opens /dev/null, /dev/urandom and their like (from Linux 5.14 on); for \
             other users /dev/null is a plain file, and the others cannot be opened"
        }
    };
    finding("devices", result).unless_good(
        costs,
        "docker or podman run --cap-add MKNOD; Kubernetes: securityContext: {capabilities: {add: \
         [MKNOD]}}; in a user namespace, what gains namespaces",
    )
}

fn filters() -> Finding {
    let result = match process::status("Seccomp").as_deref() {
        Some("0") => Ok("none around rbuild".to_owned()),
        Some(_) => Ok("one around rbuild, from the container".to_owned()),
        None => Err("the kernel has none".to_owned()),
    };
    finding("system call filter", result).unless_good(
        "commands may make every system call",
        "a kernel with CONFIG_SECCOMP_FILTER",
    )
}

fn store(root: &Path) -> Finding {
    let tried = file::make_private_dir(root)
        .map_err(|source| sys::Error::new(format!("mkdir({root:?})"), source))
        .and_then(|()| file::try_to_make(root));
    let tried = tried.map_err(|error| error.in_one_line());
    finding(STORE, tried.map(|()| root.display().to_string())).unless_good(
        NOTHING,
        "name a folder that this user may write with --root or RBUILD_ROOT; docker run -v \
         rbuild:/var/lib/rbuild; Kubernetes: an emptyDir there",
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
