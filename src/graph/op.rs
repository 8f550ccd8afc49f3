//! The units of work.

use crate::graph::Mount;
use crate::oci::Digest;
use crate::oci::Layer;
use crate::oci::Reference;

/// A unit of work. Its inputs are edges of the graph, named here by their position.
///
/// [`Op::Exec`], [`Op::Copy`] and [`Op::Mkdir`] change the root filesystem that is their input 0;
/// the other ops make something of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// An empty root filesystem; no inputs.
    Scratch,
    /// The root filesystem of an image; no inputs.
    Image(ImageOp),
    /// A directory of the user's; no inputs.
    Context(ContextOp),
    /// A file from a web server; no inputs.
    Http(HttpOp),
    /// A checkout of a git repository; no inputs.
    Git(GitOp),
    /// A command; input 0 is its root filesystem, the others are what its mounts name.
    Exec(ExecOp),
    /// Files copied into input 0, from the other inputs or from the op itself.
    Copy(CopyOp),
    /// A directory made in input 0.
    Mkdir(MkdirOp),
}

impl Op {
    /// Says whether the op adds a change set to the root filesystem of its input 0.
    #[must_use]
    pub fn changes_root(&self) -> bool {
        matches!(self, Self::Exec(_) | Self::Copy(_) | Self::Mkdir(_))
    }
}

/// The root filesystem of an image whose name has been resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageOp {
    /// What the user wrote, for messages: `debian:bookworm`.
    pub name: String,
    /// Where missing blobs are fetched from; none if the store has them all.
    pub source: Option<Reference>,
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
}

/// A directory of the user's, seen through its ignore patterns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContextOp {
    /// The name of the context; empty for the build context itself.
    pub name: String,
    /// The lines of its ignore file, cleaned, in order, `!` kept.
    pub ignore: Vec<String>,
}

/// A file from a web server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpOp {
    /// Where it is.
    pub url: String,
    /// What it is called in the directory that the op makes.
    pub file_name: String,
    /// The digest it must have.
    pub checksum: Option<Digest>,
}

/// A checkout of a git repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GitOp {
    /// The repository, as `git clone` takes it.
    pub remote: String,
    /// Branch, tag, commit or full ref; none for the default branch.
    pub reference: Option<String>,
    /// The directory of the checkout that is wanted; none for all of it.
    pub subdir: Option<String>,
    /// Whether `.git` stays.
    pub keep_git_dir: bool,
    /// Whether submodules are fetched.
    pub submodules: bool,
    /// The beginning of the commit id that is expected.
    pub checksum: Option<String>,
    /// Whether files get the commit's time instead of that of the checkout.
    pub commit_mtime: bool,
}

/// A command in a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExecOp {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `NAME=value` pairs, in order, without repetition.
    pub env: Vec<(String, String)>,
    /// Environment that is no part of the key: proxy settings that no `ARG` declared.
    pub hidden_env: Vec<(String, String)>,
    /// Where it starts; absolute.
    pub cwd: String,
    /// `user[:group]`, names or numbers; empty for root.
    pub user: String,
    /// The sandbox's host name.
    pub hostname: String,
    /// Which network it has.
    pub network: Network,
    /// How much it may do.
    pub security: Security,
    /// What is mounted, in order.
    pub mounts: Vec<Mount>,
    /// Names in `/etc/hosts` with their addresses; the addresses are no part of the key.
    pub extra_hosts: Vec<(String, String)>,
    /// The size of `/dev/shm` in bytes; none for 64 MiB.
    pub shm_size_bytes: Option<u64>,
    /// Resource limits.
    pub ulimits: Vec<Ulimit>,
}

/// Which network a command has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// What rbuild's `--network` or its default says.
    #[default]
    Default,
    /// The host's.
    Host,
    /// Loopback only.
    None,
}

/// How much a command may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Security {
    /// Docker's default rights.
    #[default]
    Sandbox,
    /// All rights.
    Insecure,
}

/// A resource limit, as `--ulimit name=soft:hard` gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ulimit {
    /// `nofile`, `nproc`, …
    pub name: String,
    /// What the process has; -1 is unlimited.
    pub soft: i64,
    /// Up to what it may raise it; -1 is unlimited.
    pub hard: i64,
}

/// Files copied into a root filesystem: `COPY` and `ADD`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CopyOp {
    /// What is copied, in order.
    pub sources: Vec<CopySource>,
    /// Where to: absolute; a trailing `/` (kept) says that it is a directory.
    pub destination: String,
    /// `--chown`: `user[:group]`; names are looked up in input 0. None for 0:0.
    pub owner: Option<String>,
    /// `--chmod`.
    pub mode: Option<FileMode>,
    /// `--exclude`: patterns like those of an ignore file, relative to each source.
    pub excludes: Vec<String>,
    /// `--parents`: keep the source's path.
    pub parents: bool,
    /// `--link`: make the change set on an empty root, whatever input 0 holds.
    pub link: bool,
}

impl CopyOp {
    /// Says whether what is made depends on input 0: one by `--link` only looks up names there.
    #[must_use]
    pub fn reads_base(&self) -> bool {
        !self.link || self.owner.as_deref().is_some_and(names_owner)
    }
}

/// One source of a [`CopyOp`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CopySource {
    /// A path or a Go `filepath.Match` pattern below the root of an input.
    Path {
        /// Which input of the vertex.
        input: usize,
        /// The path; leading `/` and `..` stay inside the input.
        path: String,
        /// Whether a file that is a tar archive, compressed or not, is unpacked (`ADD`).
        unpack: bool,
    },
    /// A file given in the Dockerfile itself, by a heredoc; mode 0644.
    Inline {
        /// What it is called.
        name: String,
        /// What it holds.
        data: String,
    },
}

/// The mode of copied files: `--chmod`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FileMode {
    /// Permission bits, up to 0o7777.
    Octal(u32),
    /// Clauses such as `u=rwX,go=rX`, checked.
    Symbolic(String),
}

/// A directory made where there is none: `WORKDIR`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MkdirOp {
    /// Which; absolute. Missing parents are made too.
    pub path: String,
    /// `user[:group]` of what is made; names are looked up in input 0. Empty for 0:0.
    pub owner: String,
}

/// Gives the number that a user or group is, if it needs no looking up: digits, or `root`.
#[must_use]
pub fn owner_number(text: &str) -> Option<u32> {
    match text {
        "root" | "" => Some(0),
        // To the kernel this is no owner but the wish to leave 0 as it is.
        "-1" => Some(0),
        text => text.parse::<i32>().ok().map(i32::cast_unsigned),
    }
}

/// Says whether `user[:group]` has a name that must be looked up.
#[must_use]
pub fn names_owner(text: &str) -> bool {
    let mut parts = text.splitn(2, ':');
    parts.any(|part| owner_number(part).is_none())
}

#[cfg(test)]
mod tests {
    use super::names_owner;

    #[test]
    fn numbers_and_root_are_no_names() {
        for text in ["", "0", "1000:1000", "root", "root:root", "7:", ":7"] {
            assert!(!names_owner(text), "{text}");
        }
        for text in ["app", "0:app", "app:0", ":staff", "2147483648", "1:2:3"] {
            assert!(names_owner(text), "{text}");
        }
    }
}
