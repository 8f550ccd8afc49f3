//! Which way of keeping a sandbox apart this machine allows, and which is taken.
//!
//! What is allowed is found out by trying, since rights, seccomp filters and security modules all
//! have a say; once a process, and only when there is something to run.

use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::sandbox::Error;
use crate::sandbox::Isolation;
use crate::sandbox::apart;
use crate::sandbox::rootless::unmapped;
use crate::sys;
use crate::sys::alone;
use crate::sys::file;
use crate::sys::id;
use crate::sys::id::Capabilities;
use crate::sys::namespace;
use crate::sys::overlay;

/// How commands are to be kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsolationWish {
    /// As strongly as this machine allows.
    Auto,
    /// In namespaces, as root.
    Namespace,
    /// In namespaces below a user namespace, as any user.
    Rootless,
    /// By their root directory alone.
    Chroot,
}

/// How root file systems are to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotterWish {
    /// By overlayfs where it can be mounted.
    Auto,
    /// By overlayfs.
    Overlay,
    /// By copying.
    Copy,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// How commands are kept apart.
    pub isolation: IsolationWish,
    /// How root file systems are made.
    pub snapshotter: SnapshotterWish,
}

/// A way of keeping commands apart, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Namespaces, as root.
    Namespace,
    /// Namespaces below a user namespace.
    Rootless,
    /// A root directory.
    Chroot,
}

/// What is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// How commands are kept apart.
    pub level: Level,
    /// Whether root file systems are mounted; else they are copied.
    pub mounts: bool,
    /// Why it is not the strongest way; nothing if it is.
    pub because: Option<String>,
}

/// What was asked for, and what is taken once somebody needs to know.
#[derive(Debug)]
pub struct Ladder {
    wishes: Wishes,
    /// The store, below which everything is rbuild's.
    root: PathBuf,
    choice: OnceLock<Result<Choice, Refusal>>,
}

/// Whether commands can only be kept apart by root of a user namespace, which this process is not.
fn needs_root(wishes: Wishes) -> bool {
    id::effective().uid != 0 && wishes.isolation != IsolationWish::Chroot
}

/// What was asked for and cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    what: &'static str,
    because: String,
    remedy: &'static str,
}

/// Says what a container needs to give for namespaces.
pub(super) fn privileges() -> &'static str {
    match id::is_initial_user_namespace() {
        true => {
            "docker run --privileged, or --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt \
             seccomp=unconfined --security-opt apparmor=unconfined; Kubernetes: securityContext: \
             {privileged: true}"
        }
        // The kernel mounts no new /proc where a container hides parts of the one that is there.
        false => {
            "docker run --security-opt systempaths=unconfined --security-opt apparmor=unconfined; \
             Kubernetes: securityContext: {procMount: Unmasked}; on Ubuntu: sysctl \
             kernel.apparmor_restrict_unprivileged_userns=0"
        }
    }
}

/// Says what lets namespaces be made where they cannot.
fn gain(error: &sys::Error) -> &'static str {
    match error.errno() {
        namespace::USED_UP => "`rbuild doctor` says how there may be more of them",
        _ => privileges(),
    }
}

/// What is needed to run commands at all.
const LEAST: &str = "run rbuild as root with docker's default capabilities (docker run --user 0; \
                     Kubernetes: securityContext: {runAsUser: 0}); `rbuild doctor` says what is \
                     missing";

impl Wishes {
    /// Nothing in particular.
    pub const NONE: Wishes = Wishes {
        isolation: IsolationWish::Auto,
        snapshotter: SnapshotterWish::Auto,
    };
}

impl Ladder {
    /// Notes what is asked for. Nothing is tried yet.
    #[must_use]
    pub fn new(wishes: Wishes, root: &Path) -> Ladder {
        Ladder {
            wishes,
            root: root.to_owned(),
            choice: OnceLock::new(),
        }
    }

    /// Finds out what is taken.
    ///
    /// # Errors
    /// [`Error::Refused`] if this machine does not allow what was asked for; [`Error::NeedsRoot`]
    /// if [`enter`](crate::sandbox::enter) has to come before.
    pub fn choose(&self) -> Result<&Choice, Error> {
        if needs_root(self.wishes) {
            return Err(Error::NeedsRoot);
        }
        let choice = self.choice.get_or_init(|| choose(self.wishes, &self.root));
        choice.as_ref().map_err(|refusal| Error::Refused {
            what: refusal.what,
            because: refusal.because.clone(),
            remedy: refusal.remedy,
        })
    }

    /// Gives what a sandbox is kept apart by.
    ///
    /// # Errors
    /// As [`choose`](Self::choose).
    pub fn isolation(&self) -> Result<Isolation, Error> {
        Ok(match self.choose()?.level {
            Level::Namespace | Level::Rootless => Isolation::Namespace,
            Level::Chroot => Isolation::Chroot {
                own: self.root.clone(),
            },
        })
    }
}

impl Choice {
    /// Says in a line what is weaker than it could be, and why; nothing where nothing is.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let because = self.because.as_deref()?;
        let how = match (self.level, self.mounts) {
            (Level::Chroot, _) => "commands have a root directory of their own and nothing else",
            (_, false) => "root file systems are copied",
            (Level::Rootless, true) => "commands cannot be other users",
            (Level::Namespace, true) => return None,
        };
        Some(format!("{how}, since {because} (see `rbuild doctor`)"))
    }
}

fn choose(wishes: Wishes, root: &Path) -> Result<Choice, Refusal> {
    let (level, weak) = choose_level(wishes.isolation)?;
    let copies = wishes.snapshotter == SnapshotterWish::Copy;
    if level == Level::Chroot {
        return match wishes.snapshotter {
            SnapshotterWish::Overlay => Err(Refusal {
                what: "--snapshotter=overlay",
                because: "commands run in a directory (--isolation=chroot)".to_owned(),
                remedy: "leave it out, or use --snapshotter=copy",
            }),
            _ => Ok(Choice {
                level,
                mounts: false,
                because: weak,
            }),
        };
    }
    if copies {
        return Ok(Choice {
            level,
            mounts: false,
            because: None,
        });
    }
    match (overlay::try_below(root), wishes.snapshotter) {
        (Ok(()), _) => Ok(Choice {
            level,
            mounts: true,
            because: weak.or_else(unmapped::why_in_vain),
        }),
        (Err(error), SnapshotterWish::Overlay) => Err(Refusal {
            what: "--snapshotter=overlay",
            because: error.in_one_line(),
            remedy: "put the store (--root) on ext4, xfs or btrfs, or use --snapshotter=copy",
        }),
        (Err(error), _) => {
            let because = match file::try_to_make(root) {
                Ok(()) => format!("overlayfs cannot be mounted ({})", error.in_one_line()),
                Err(error) => format!("the store cannot be written ({})", error.in_one_line()),
            };
            Ok(Choice {
                level,
                mounts: false,
                because: Some(because),
            })
        }
    }
}

/// Chooses the strongest way that is allowed, and says why it is no stronger.
fn choose_level(wish: IsolationWish) -> Result<(Level, Option<String>), Refusal> {
    let namespaces = apart::try_namespaces();
    let inside = match id::is_initial_user_namespace() {
        true => Level::Namespace,
        false => Level::Rootless,
    };
    match (wish, namespaces) {
        (IsolationWish::Auto, Ok(())) => Ok((inside, None)),
        (IsolationWish::Namespace, Ok(())) if inside == Level::Namespace => Ok((inside, None)),
        (IsolationWish::Rootless, Ok(())) if inside == Level::Rootless => Ok((inside, None)),
        (IsolationWish::Namespace, Ok(())) => Err(Refusal {
            what: "--isolation=namespace",
            because: "this process is root of a user namespace only".to_owned(),
            remedy: "run rbuild as root of the machine, or take --isolation=rootless",
        }),
        (IsolationWish::Namespace, Err(error)) => Err(Refusal {
            what: "--isolation=namespace",
            because: error.in_one_line(),
            remedy: gain(&error),
        }),
        (IsolationWish::Auto, Err(error)) if may_chroot() => {
            let because = format!("namespaces cannot be made ({})", error.in_one_line());
            Ok((Level::Chroot, Some(because)))
        }
        (IsolationWish::Chroot, _) if may_chroot() => Ok((Level::Chroot, None)),
        (IsolationWish::Chroot, _) => Err(Refusal {
            what: "--isolation=chroot",
            because: "this process is not root with the capabilities for it".to_owned(),
            remedy: LEAST,
        }),
        (IsolationWish::Rootless, _) => Err(Refusal {
            what: "--isolation=rootless",
            because: "this process is in no user namespace of its own".to_owned(),
            remedy: "run rbuild as a user who may make user namespaces",
        }),
        (IsolationWish::Auto, Err(error)) => Err(Refusal {
            what: "a sandbox",
            because: error.in_one_line(),
            remedy: match alone::is_alone() {
                true => gain(&error),
                false => LEAST,
            },
        }),
    }
}

/// What root needs to run commands in another root directory, as other users and with fewer rights
/// than its own, without the `CAP_` of their names.
const NEEDED_FOR_CHROOT: [&str; 7] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Gives those of the capabilities that are needed which this process has not.
pub(super) fn missing_for_chroot() -> impl Iterator<Item = &'static str> {
    let is_held = |name: &str| Capabilities::named(name).is_some_and(Capabilities::are_held);
    NEEDED_FOR_CHROOT
        .into_iter()
        .filter(move |name| !is_held(name))
}

fn may_chroot() -> bool {
    // A namespace of one user lets nobody change groups.
    !alone::is_alone() && missing_for_chroot().next().is_none()
}
