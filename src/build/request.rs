//! What a build is asked for, and what it gives.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::export::Target;
use crate::graph::Network;
use crate::graph::Ulimit;
use crate::layer::Bounds;
use crate::oci::Descriptor;
use crate::oci::Digest;
use crate::oci::Platform;
use crate::oci::Reference;
use crate::progress::Sink;
use crate::remote::Patience;
use crate::remote::Registries;
use crate::sandbox::Limits;
use crate::sandbox::Wishes;

/// All that a build depends on, as plain values: nothing below reads arguments, environment or
/// clock again.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where the files that `COPY` reads come from.
    pub context: ContextSource,
    /// Where the Dockerfile comes from.
    pub dockerfile: DockerfileSource,
    /// Names the image gets in the local store and, with [`Target::Registry`], in registries.
    pub tags: Vec<Reference>,
    /// The stage to build, by name or number; none for the last one.
    pub target: Option<String>,
    /// `--build-arg`, with values.
    pub build_args: Vec<(String, String)>,
    /// `--label`.
    pub labels: Vec<(String, String)>,
    /// For which platforms, each once; none for this machine's.
    pub platforms: Vec<Platform>,
    /// Whether the image has an index even for one platform; for several it has one.
    pub has_index: bool,
    /// `--build-context name=value`.
    pub named_contexts: Vec<(String, NamedContext)>,
    /// Whether the cache is not asked at all.
    pub no_cache: bool,
    /// Stages for which the cache is not asked.
    pub no_cache_filter: Vec<String>,
    /// When a tag is looked up in the registry.
    pub pull: PullPolicy,
    /// The network of a `RUN` that names none.
    pub network: Network,
    /// Whether a `RUN` may have all rights: `--allow security.insecure`.
    pub is_insecure_allowed: bool,
    /// Whether a `RUN` may ask for the host's network: `--allow network.host`.
    pub is_host_network_allowed: bool,
    /// `--add-host`: name and address.
    pub extra_hosts: Vec<(String, String)>,
    /// The size of `/dev/shm` in bytes.
    pub shm_size_bytes: Option<u64>,
    /// `--ulimit`.
    pub ulimits: Vec<Ulimit>,
    /// What each `RUN` may take of the machine.
    pub limits: Limits,
    /// What a layer or archive may come to.
    pub bounds: Bounds,
    /// How much of a registry or web server is borne.
    pub patience: Patience,
    /// `--secret`.
    pub secrets: Vec<Secret>,
    /// `--ssh`: id and the agent's socket, or the key files of an agent to start.
    pub ssh: Vec<(String, Vec<PathBuf>)>,
    /// A certificate file that `RUN` trusts besides its own; it is in no layer.
    pub ca_bundle: Option<PathBuf>,
    /// What is made of the image besides an entry in the local store.
    pub outputs: Vec<Target>,
    /// How many vertices may run at a time; none for as many as there are processors, and four at
    /// least.
    pub jobs: Option<NonZeroUsize>,
    /// Where the local store, the snapshots and the records are.
    pub root: PathBuf,
    /// How registries are reached that are not reached in the usual way.
    pub registries: Registries,
    /// Docker's `config.json` and its like, in the order to look for credentials.
    pub credential_files: Vec<PathBuf>,
    /// `SOURCE_DATE_EPOCH`, in seconds.
    pub epoch: Option<i64>,
    /// The time of the build, in nanoseconds since 1970.
    pub now_ns: i128,
    /// What is asked for of sandboxes.
    pub wishes: Wishes,
    /// The program that becomes a sandbox's init: rbuild itself.
    pub binary: PathBuf,
    /// Where progress goes.
    pub sink: Sink,
}

impl Request {
    /// Gives the secrets by id.
    pub(super) fn secrets(&self) -> BTreeMap<String, Vec<u8>> {
        let secrets = self.secrets.iter();
        secrets
            .map(|secret| (secret.id.clone(), secret.value.clone()))
            .collect()
    }
}

/// Where the files that `COPY` reads come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextSource {
    /// A directory.
    Directory(PathBuf),
    /// A tar archive, compressed or not, or a single Dockerfile, on standard input.
    Stdin,
    /// A git repository or the URL of a tar archive or a Dockerfile.
    Url(String),
}

/// Where the Dockerfile comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DockerfileSource {
    /// `Dockerfile` or else `dockerfile` in the context.
    Default,
    /// A file: as given if it exists there, else within the context.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// A URL.
    Url(String),
}

/// The value of `--build-context name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedContext {
    /// A directory.
    Directory(PathBuf),
    /// `docker-image://reference`.
    Image(Reference),
    /// `oci-layout://path[:tag][@digest]`.
    Layout {
        /// The layout's directory.
        path: PathBuf,
        /// Which image, by its `org.opencontainers.image.ref.name`.
        tag: Option<String>,
        /// Which image, by digest.
        digest: Option<Digest>,
    },
    /// A git repository or the URL of a tar archive.
    Url(String),
}

/// When the name of a base image is looked up in the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// When the local store does not have it.
    #[default]
    Missing,
    /// Always; a registry that does not answer is an error.
    Always,
    /// Never; an image that the local store does not have is an error.
    Never,
}

/// A secret that `RUN --mount=type=secret` may ask for.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// What it is asked for by.
    pub id: String,
    /// Its value.
    pub value: Vec<u8>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Secret")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What a build made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The manifest, or the index of several; its digest is the image's.
    pub image: Descriptor,
    /// The config; its digest is what docker calls the image id. None where there is an index.
    pub config: Option<Descriptor>,
    /// The manifests that an index lists, with their platforms.
    pub platforms: Vec<Descriptor>,
    /// What the image is called now.
    pub names: Vec<Reference>,
}
