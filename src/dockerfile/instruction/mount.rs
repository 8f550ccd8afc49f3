//! The value of `RUN --mount`.

/// What a `RUN --mount` says, after expansion. `None` and the empty string mean not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOptions {
    /// `type`; `bind` when not given.
    pub kind: MountKind,
    /// `from`: a stage, an image or a named context.
    pub from: String,
    /// `source` or `src`.
    pub source: String,
    /// `target`, `dst` or `destination`.
    pub target: String,
    /// `readonly`, `ro`, or the opposite of `rw`; the default of the type when not given.
    pub readonly: bool,
    /// `size` of a tmpfs, in bytes; 0 when not given.
    pub size_bytes: i64,
    /// `id`.
    pub id: String,
    /// `sharing` of a cache.
    pub sharing: Option<Sharing>,
    /// `required` of a secret or an ssh agent.
    pub required: bool,
    /// `env` of a secret: the variable that receives its value.
    pub env: Option<String>,
    /// `mode`.
    pub mode: Option<u32>,
    /// `uid`.
    pub uid: Option<u32>,
    /// `gid`.
    pub gid: Option<u32>,
}

/// The `type` of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the Dockerfile's")]
pub enum MountKind {
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

/// How a cache mount is shared between instructions that run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the Dockerfile's")]
pub enum Sharing {
    Shared,
    Private,
    Locked,
}
