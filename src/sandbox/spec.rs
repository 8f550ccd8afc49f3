//! What a sandbox is to be, as plain values.

use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::sandbox::limits::Limits;

/// One process and all that surrounds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// What keeps it apart from the rest of the machine.
    pub isolation: Isolation,
    /// What it sees as `/`.
    pub root: Rootfs,
    /// The program and its arguments; a program without `/` is looked up in the `PATH` of `env`.
    pub args: Vec<String>,
    /// Its environment, as `KEY=value`. `HOME` is added from `/etc/passwd` if it is missing.
    pub env: Vec<String>,
    /// Its working directory; made, owned by the user, if it does not exist.
    pub cwd: String,
    /// `user`, `user:group`, names or numbers, as in a Dockerfile's `USER`; empty means root.
    pub user: String,
    /// The host name it sees.
    pub hostname: String,
    /// Which network it is on.
    pub network: Network,
    /// What is mounted besides `/proc`, `/sys` and `/dev`, in this order.
    pub mounts: Vec<Mount>,
    /// Whether `/` itself, mounts aside, can be written.
    pub root_access: Access,
    /// The size of `/dev/shm`; none or 0 for Docker's 64 MiB.
    pub shm_size_bytes: Option<u64>,
    /// What it may take of the machine as a whole.
    pub limits: Limits,
    /// Resource limits; those not named stay as they are.
    pub ulimits: Vec<Ulimit>,
    /// The names of the capabilities that root has in it: [`DEFAULT_CAPABILITIES`] as a rule.
    pub capabilities: Vec<String>,
    /// How much of the machine is kept from it.
    pub security: Security,
    /// Whether no program may give the process more rights than it has, as set-uid programs do.
    pub no_new_privileges: bool,
    /// The size of the terminal it gets; no terminal if not said.
    pub terminal: Option<TerminalSize>,
}

/// What keeps a sandbox apart from the rest of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// Namespaces of its own.
    Namespace,
    /// Another root directory and nothing else: what is left in a container that may neither
    /// unshare nor mount. The root is a [`Rootfs::Directory`] with a directory around it that is
    /// rbuild's; what is to be mounted is copied there, or moved if it lies below `own`.
    Chroot {
        /// The directory below which everything belongs to rbuild.
        own: PathBuf,
    },
}

/// What a sandbox sees as `/`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Rootfs {
    /// Directories laid over each other.
    Overlay {
        /// The layers below, the bottom one first; with none, `upper` alone is the root.
        lowers: Vec<PathBuf>,
        /// Where changes go.
        upper: PathBuf,
        /// An empty directory beside `upper`, for the kernel.
        work: PathBuf,
    },
    /// A directory as it is; changes go into it.
    Directory(PathBuf),
}

/// Which network a sandbox is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Network {
    /// The host's.
    Host,
    /// One of its own, with nothing on it but a loopback interface.
    None,
    /// One that exists, by the path of its namespace: `/proc/1/ns/net`, `/run/netns/x`.
    Join(PathBuf),
}

/// Something mounted in a sandbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    /// Where: an absolute path inside. Symbolic links on it are followed inside; what is missing
    /// is made for the time the sandbox runs.
    pub target: String,
    /// What.
    pub source: MountSource,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MountSource {
    /// A file or directory of the host, with the mounts below it.
    Bind {
        /// Its path on the host.
        path: PathBuf,
        /// Whether it can be written.
        access: Access,
    },
    /// A path inside directories laid over each other.
    Layered {
        /// The directories, the bottom one first.
        lowers: Vec<PathBuf>,
        /// Where changes go and the kernel's empty directory beside it; read-only if not said.
        changes: Option<(PathBuf, PathBuf)>,
        /// The path inside; symbolic links on it are followed inside.
        path: PathBuf,
    },
    /// The directory that the root file system itself has there, made if it has none: it can be
    /// written even if the rest cannot. What another mount shows there already stays as it is.
    Own,
    /// An empty directory in memory.
    Tmpfs {
        /// How much fits in; half of the machine's memory if not said.
        size_bytes: Option<u64>,
        /// Its permission bits.
        mode: u32,
    },
    /// A file that exists only in memory and only in this sandbox.
    File {
        /// What is in it.
        content: Vec<u8>,
        /// Its permission bits.
        mode: u32,
        /// Its user's number.
        uid: u32,
        /// Its group's number.
        gid: u32,
        /// Whether it can be written.
        access: Access,
    },
}

/// Whether something can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// It can.
    ReadWrite,
    /// It cannot, by nobody.
    ReadOnly,
}

/// A limit on one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Which, as `docker run --ulimit` names it: `nofile`, `nproc`, ….
    pub name: String,
    /// What holds; `u64::MAX` for no limit.
    pub soft: u64,
    /// How far the process may raise it.
    pub hard: u64,
}

/// How much of the machine is kept from a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Security {
    /// What Docker keeps from a container.
    Sandbox,
    /// Little: all capabilities, nothing masked, `/sys` writable (`RUN --security=insecure`).
    Insecure,
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// What root may do in a sandbox unless more is asked for: Docker's list.
pub const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

impl Spec {
    /// A sandbox with Docker's defaults: root in `/`, on the host's network.
    pub fn new(root: Rootfs, args: Vec<String>) -> Spec {
        Spec {
            isolation: Isolation::Namespace,
            root,
            args,
            env: Vec::new(),
            cwd: "/".to_owned(),
            user: String::new(),
            hostname: "buildkitsandbox".to_owned(),
            network: Network::Host,
            mounts: Vec::new(),
            root_access: Access::ReadWrite,
            shm_size_bytes: None,
            limits: Limits::default(),
            ulimits: Vec::new(),
            capabilities: DEFAULT_CAPABILITIES.map(str::to_owned).to_vec(),
            security: Security::Sandbox,
            no_new_privileges: false,
            terminal: None,
        }
    }

    /// The size of `/dev/shm` if it is not to be the usual one. To a tmpfs, 0 would be no limit.
    pub(super) fn asked_shm_bytes(&self) -> Option<u64> {
        self.shm_size_bytes.filter(|size| *size > 0)
    }

    /// The value of an environment variable; the last one counts.
    pub(super) fn variable(&self, key: &str) -> Option<&str> {
        let values = self.env.iter().rev();
        values
            .filter_map(|entry| entry.split_once('='))
            .find(|(name, _)| *name == key)
            .map(|p| p.1)
    }
}
