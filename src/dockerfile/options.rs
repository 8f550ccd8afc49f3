//! What a Dockerfile's meaning depends on besides its text: [`Options`] and [`Bases`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::dockerfile::Span;
use crate::graph::Network;
use crate::graph::Ulimit;
use crate::oci::Digest;
use crate::oci::ImageConfig;
use crate::oci::Layer;
use crate::oci::Platform;
use crate::oci::Reference;

/// What `PATH` is where nothing sets it.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the user asked for besides the Dockerfile.
#[derive(Debug, Clone)]
pub struct Options {
    /// The stage to build, by name or number; none for the last one.
    pub target: Option<String>,
    /// `--build-arg`, with values.
    pub build_args: BTreeMap<String, String>,
    /// The platform asked for, which the image's config will say; none to take bases for `host`,
    /// unless their `FROM` says otherwise, and leave the config to them.
    pub platform: Option<Platform>,
    /// Whether progress names the platform of each step, since the build is for several.
    pub names_platforms: bool,
    /// The platform that commands run on.
    pub host: Platform,
    /// `--label`, put on the target.
    pub labels: BTreeMap<String, String>,
    /// The lines of the build context's ignore file, cleaned, in order, `!` kept.
    pub ignore: Vec<String>,
    /// `--build-context`, by name.
    pub named_contexts: BTreeMap<String, NamedContext>,
    /// Whether the cache is not asked at all.
    pub no_cache: bool,
    /// Stages for which the cache is not asked.
    pub no_cache_filter: Vec<String>,
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
    /// `SOURCE_DATE_EPOCH` in seconds, if it is not among the build arguments.
    pub epoch: Option<i64>,
}

impl Options {
    /// Makes the options of a plain build for one platform.
    #[must_use]
    pub fn plain(host: Platform) -> Self {
        Self {
            target: None,
            build_args: BTreeMap::new(),
            platform: None,
            names_platforms: false,
            host,
            labels: BTreeMap::new(),
            ignore: Vec::new(),
            named_contexts: BTreeMap::new(),
            no_cache: false,
            no_cache_filter: Vec::new(),
            network: Network::Default,
            is_insecure_allowed: false,
            is_host_network_allowed: false,
            extra_hosts: Vec::new(),
            shm_size_bytes: None,
            ulimits: Vec::new(),
            epoch: None,
        }
    }

    /// Gives the platform the image is for.
    #[must_use]
    pub fn target_platform(&self) -> &Platform {
        self.platform.as_ref().unwrap_or(&self.host)
    }

    /// Gives the named context that stands for `name` on `platform`, with the key it has.
    ///
    /// Names are compared as image names: `docker.io/library/alpine:latest` is `alpine`. A context
    /// whose name ends in `::platform` goes before one that fits every platform.
    pub(super) fn named_context(
        &self,
        name: &str,
        platform: &Platform,
    ) -> Option<(&str, &NamedContext)> {
        if self.named_contexts.is_empty() {
            return None;
        }
        let wanted = plain_name(name);
        let find = |on: Option<&Platform>| {
            let mut contexts = self.named_contexts.iter();
            contexts.find(|(key, _)| match key.split_once("::") {
                Some((key, text)) => {
                    on.is_some_and(|on| text.parse().is_ok_and(|parsed: Platform| parsed == *on))
                        && plain_name(key) == wanted
                }
                None => on.is_none() && plain_name(key) == wanted,
            })
        };
        let found = find(Some(platform)).or_else(|| find(None));
        found.map(|(key, context)| (key.as_str(), context))
    }
}

/// The name without what docker adds to it.
fn plain_name(name: &str) -> String {
    let familiar = name
        .parse::<Reference>()
        .map_or_else(|_| name.to_owned(), |reference| reference.familiar());
    familiar
        .strip_suffix(":latest")
        .map_or(familiar.clone(), str::to_owned)
}

/// What a named context stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// A directory, seen through its own ignore file.
    Directory {
        /// The lines of the ignore file, cleaned, in order, `!` kept.
        ignore: Vec<String>,
    },
    /// `docker-image://reference`.
    Image(Reference),
    /// `docker-image://scratch`.
    Scratch,
    /// `oci-layout://path[:tag][@digest]`.
    Layout(LayoutImage),
    /// A git repository or the URL of a file.
    Url(String),
}

/// An image in an OCI layout on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayoutImage {
    /// The layout's directory.
    pub path: PathBuf,
    /// Which image, by its `org.opencontainers.image.ref.name`.
    pub tag: Option<String>,
    /// Which image, by digest.
    pub digest: Option<Digest>,
}

/// Where an image comes from that a build starts from or copies from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BaseSource {
    /// A registry or the local store.
    Reference(Reference),
    /// A layout on disk.
    Layout(LayoutImage),
}

/// An image that the target needs and nobody has resolved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What the user wrote, variables expanded.
    pub name: String,
    /// Where it comes from.
    pub source: BaseSource,
    /// For which platform.
    pub platform: Platform,
    /// The instruction that names it.
    pub span: Span,
}

/// A resolved image.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    /// How progress shows it: the full name with its digest.
    pub name: String,
    /// Where missing blobs are fetched from; none if the store has them all.
    pub source: Option<Reference>,
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
    /// The config.
    pub config: ImageConfig,
}

impl Base {
    /// Makes what an image counts as that is not at hand: one that sets nothing but `PATH`.
    pub(super) fn unknown(wanted: &Wanted) -> Self {
        let mut config = ImageConfig::scratch(&wanted.platform);
        config.config.set_env("PATH", PATH);
        Self {
            name: wanted.name.clone(),
            source: None,
            layers: Vec::new(),
            config,
        }
    }
}

/// The images that have been resolved.
#[derive(Debug, Clone, Default)]
pub struct Bases {
    known: BTreeMap<(BaseSource, Platform), Base>,
}

impl Bases {
    /// Makes an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says what an image that was wanted is.
    pub fn insert(&mut self, wanted: &Wanted, base: Base) {
        let key = (wanted.source.clone(), wanted.platform.clone());
        self.known.insert(key, base);
    }

    /// Gives an image, if it has been resolved.
    #[must_use]
    pub fn get(&self, source: &BaseSource, platform: &Platform) -> Option<&Base> {
        self.known.get(&(source.clone(), platform.clone()))
    }
}
