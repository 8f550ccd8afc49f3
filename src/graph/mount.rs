//! What a command finds mounted: `RUN --mount`.

/// Something mounted in a command's root filesystem, for the time of the command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mount {
    /// Where; absolute. Empty for a secret that is only an environment variable.
    pub target: String,
    /// What.
    pub kind: MountKind,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MountKind {
    /// A path of an input.
    Bind {
        /// Which input of the vertex.
        input: usize,
        /// The path below the input's root.
        source: String,
        /// Whether writes are possible; they are discarded.
        writable: bool,
    },
    /// A directory that stays from build to build and is in no layer.
    Cache(CacheMount),
    /// An empty file system in memory.
    Tmpfs {
        /// How large it may grow, in bytes; none for the kernel's default.
        size_bytes: Option<u64>,
    },
    /// A secret of the user's, as a file or an environment variable.
    Secret(SecretMount),
    /// A socket to the user's ssh agent.
    Ssh {
        /// Which agent: `default` or the id given to `--ssh`.
        id: String,
        /// Whether the build fails without it.
        required: bool,
        /// The socket's permission bits.
        mode: u32,
        /// The socket's owner.
        uid: u32,
        /// The socket's group.
        gid: u32,
    },
    /// A read-only file given in the Dockerfile: a heredoc that starts with `#!`.
    Script {
        /// What it holds.
        data: String,
    },
}

/// A directory that stays from build to build.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheMount {
    /// Which directory; equal ids share one.
    pub id: String,
    /// Who may use it at a time.
    pub sharing: Sharing,
    /// The input whose `source` it starts with; empty if none.
    pub input: Option<usize>,
    /// The path below the root of `input`.
    pub source: String,
    /// Whether it cannot be written.
    pub readonly: bool,
    /// The directory's permission bits when it is made.
    pub mode: u32,
    /// The directory's owner when it is made.
    pub uid: u32,
    /// The directory's group when it is made.
    pub gid: u32,
}

/// Who may use a cache mount at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Everyone at once.
    #[default]
    Shared,
    /// One; another gets a directory of its own.
    Private,
    /// One; others wait.
    Locked,
}

/// A secret of the user's. Its value is in no key, record, layer or log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretMount {
    /// Which: the id given to `--secret`.
    pub id: String,
    /// The environment variable that holds the value; it is a file too if the mount has a target.
    pub env: Option<String>,
    /// Whether the build fails without it.
    pub required: bool,
    /// The file's permission bits.
    pub mode: u32,
    /// The file's owner.
    pub uid: u32,
    /// The file's group.
    pub gid: u32,
}
