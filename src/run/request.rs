//! What a run depends on, as plain values.

use std::path::Path;
use std::path::PathBuf;

use crate::oci::Reference;
use crate::progress::Sink;
use crate::remote::Patience;
use crate::remote::Registries;
use crate::run::Error;
use crate::sandbox::Access;
use crate::sandbox::Limits;
use crate::sandbox::Mount;
use crate::sandbox::MountSource;
use crate::sandbox::Ulimit;
use crate::sandbox::Wishes;
use crate::store::StoredImage;
use crate::worker::Bounds;

/// All that a run depends on: nothing below reads arguments, environment or clock again.
#[derive(Clone, Debug)]
pub struct Request {
    /// The image's documents; layers that are not in the store are fetched.
    pub image: StoredImage,
    /// What the image is called, and where its layers are fetched from.
    pub name_of_image: Reference,
    /// Arguments in the place of the image's command.
    pub args: Vec<String>,
    /// `--entrypoint`: in the place of the image's; an empty one means none.
    pub entrypoint: Option<Vec<String>>,
    /// `--env`, with values.
    pub env: Vec<(String, String)>,
    /// `--volume`.
    pub volumes: Vec<Volume>,
    /// `--workdir`.
    pub cwd: Option<String>,
    /// `--user`.
    pub user: Option<String>,
    /// The host name that the process sees.
    pub hostname: String,
    /// `--name`: no other run on the same store may have it at the same time.
    pub name: Option<String>,
    /// Which network the process is on.
    pub network: RunNetwork,
    /// `--publish`.
    pub ports: Vec<Port>,
    /// `--add-host`: name and address.
    pub extra_hosts: Vec<(String, String)>,
    /// Whether the root filesystem can be written.
    pub root_access: Access,
    /// Whether no program may give the process more rights than it has.
    pub no_new_privileges: bool,
    /// What of the user's terminal the process has.
    pub streams: Streams,
    /// Where what it writes is kept; it is passed on if not said.
    pub log: Option<PathBuf>,
    /// Where the local store and the snapshots are.
    pub root: PathBuf,
    /// How registries are reached that are not reached in the usual way.
    pub registries: Registries,
    /// Where credentials for registries are looked up.
    pub credential_files: Vec<PathBuf>,
    /// What is asked for of the sandbox.
    pub wishes: Wishes,
    /// What the process may take of the machine.
    pub limits: Limits,
    /// What a layer of the image may come to.
    pub bounds: Bounds,
    /// How much of a registry is borne.
    pub patience: Patience,
    /// The size of `/dev/shm` in bytes.
    pub shm_size_bytes: Option<u64>,
    /// Limits of each of its processes.
    pub ulimits: Vec<Ulimit>,
    /// The program that becomes the sandbox's init: rbuild itself.
    pub binary: PathBuf,
    /// Where progress goes while the image is made ready.
    pub sink: Sink,
}

/// A directory or file of the host that the process sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its path on the host.
    pub source: PathBuf,
    /// Where the process sees it: an absolute path.
    pub target: String,
    /// Whether the process may write it.
    pub access: Access,
}

/// Which network a process is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunNetwork {
    /// One of its own that leads outside; where none can be made, the host's, or with ports one
    /// with loopback only.
    Default,
    /// The host's.
    Host,
    /// One of its own, with loopback only.
    Own,
}

/// A port of the host whose connections are carried to a port of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The address to listen on.
    pub address: std::net::IpAddr,
    /// The host's port.
    pub host: u16,
    /// The process's port.
    pub inside: u16,
}

/// What of the user's terminal a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// It writes to standard output and error, and reads nothing.
    Output,
    /// It also reads standard input (`-i`).
    Input,
    /// It writes to a terminal of its own (`-t`).
    Terminal,
    /// It writes to a terminal of its own and reads from it (`-it`).
    Interactive,
}

impl Streams {
    /// Says whether it reads what the user types.
    pub(super) fn has_input(self) -> bool {
        matches!(self, Self::Input | Self::Interactive)
    }

    /// Says whether it has a terminal of its own.
    pub(super) fn has_terminal(self) -> bool {
        matches!(self, Self::Terminal | Self::Interactive)
    }
}

/// Makes mounts of an image's `VOLUME`s: directories of the process's own, with what the image has
/// there. Docker too leaves out what something else is mounted over.
pub(super) fn own_mounts<'a>(
    of_image: impl Iterator<Item = &'a String>,
    others: &[Mount],
) -> Vec<Mount> {
    let is_covered = |path: &Path| {
        let mut targets = others.iter().map(|mount| Path::new(&mount.target));
        targets.any(|target| path.starts_with(target))
    };
    let wanted = of_image.filter(|path| {
        let path = Path::new(path.as_str());
        path.is_absolute() && path.parent().is_some() && !is_covered(path)
    });
    let mount = |path: &String| Mount {
        target: path.clone(),
        source: MountSource::Own,
    };
    wanted.map(mount).collect()
}

/// Makes mounts of volumes; what is not there cannot be mounted.
pub(super) fn mounts(volumes: &[Volume]) -> Result<Vec<Mount>, Error> {
    let mount = |volume: &Volume| {
        let path = volume
            .source
            .canonicalize()
            .map_err(|source| Error::Volume {
                path: volume.source.clone(),
                source,
            })?;
        Ok(Mount {
            target: volume.target.clone(),
            source: MountSource::Bind {
                path,
                access: volume.access,
            },
        })
    };
    volumes.iter().map(mount).collect()
}
