//! The story of one run: an image becomes a process on a writable layer that is thrown away.
//!
//! [`prepare`] and [`Ready::run`] tell it from top to bottom. Nothing here knows how an image is
//! unpacked or what a sandbox is made of.

mod command;
mod container;
mod error;
mod keeper;
mod log;
mod name;
mod port;
mod request;
mod signal;
mod terminal;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Runtime;

use crate::oci::Layer;
use crate::remote;
use crate::remote::Client;
use crate::remote::Retry;
use crate::run::name::Claim;
use crate::run::port::Listener;
use crate::run::signal::Signals;
use crate::sandbox;
use crate::sandbox::ExitStatus;
use crate::sandbox::Input;
use crate::sandbox::Isolation;
use crate::sandbox::Ladder;
use crate::sandbox::Mount;
use crate::sandbox::Outbound;
use crate::sandbox::Output;
use crate::sandbox::Rootfs;
use crate::sandbox::Running;
use crate::sandbox::SandboxNetwork;
use crate::sandbox::SpawnOptions;
use crate::sandbox::Spec;
use crate::sandbox::Template;
use crate::snapshot::Active;
use crate::snapshot::Stack;
use crate::store::Store;
use crate::worker;
use crate::worker::Networks;
use crate::worker::Worker;

pub use command::command_of;
pub use container::Container;
pub use container::Kept;
pub use container::find;
pub use container::list;
pub use container::log_of;
pub use error::Error;
pub use keeper::Stopping;
pub use log::LogReader;
pub use log::open_log;
pub use request::Port;
pub use request::Request;
pub use request::RunNetwork;
pub use request::Streams;
pub use request::Volume;

/// A process that can be started: everything it needs is there, and held.
#[derive(Debug)]
pub struct Ready {
    spec: Spec,
    options: SpawnOptions,
    streams: Streams,
    /// The signal by which the process is asked to end.
    ends: i32,
    log: Option<PathBuf>,
    listeners: Vec<Listener>,
    runtime: Runtime,
    /// What leads the process's network outside.
    network: Option<Outbound>,
    /// The writable layer; removed when dropped.
    _active: Active,
    /// Keeps what the process runs on from being pruned until it runs: then its snapshots are held.
    store: Store,
    _name: Option<Claim>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// By itself, or by a signal.
    pub status: ExitStatus,
    /// Why its network did not lead outside any more, if so.
    pub lost: Option<sandbox::Error>,
}

/// Makes ready what `request` asks for: pulls and unpacks what is missing, takes names and ports.
///
/// # Errors
/// [`Error`]; [`Error::exit_code`] is docker's for it.
pub fn prepare(request: &Request) -> Result<Ready, Error> {
    let args = command::args(request)?;
    let volumes = request::mounts(&request.volumes)?;
    let name = name::claim(request)?;
    let store = Store::open(&request.root).map_err(|source| Error::Store { source })?;
    store.share().map_err(|source| Error::Store { source })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })?;
    let listeners = runtime.block_on(port::listen(&request.ports))?;
    let ladder = Arc::new(Ladder::new(request.wishes, &request.root));
    let active = runtime.block_on(image(request, &store, &ladder))?;
    let isolation = ladder.isolation()?;
    let network = outside(request, &isolation)?;
    let mut spec = spec(request, Spec::new(rootfs(&active), args));
    spec.isolation = isolation;
    spec.network = network_of(request, network.as_ref());
    spec.mounts = mounts(request, volumes, network.as_ref());
    Ok(Ready {
        spec,
        options: options(request),
        streams: request.streams,
        log: request.log.clone(),
        ends: signal::that_ends(&request.image.config.config.stop_signal),
        listeners,
        runtime,
        network,
        _active: active,
        store,
        _name: name,
    })
}

impl Ready {
    /// Runs the process and tells how it ended. Of what it wrote to its root filesystem nothing is
    /// left. `started` is told when it runs, and of what the user should know of it.
    ///
    /// # Errors
    /// [`Error`] if the process could not be started, or nobody knows how it ended.
    pub fn run(
        mut self,
        started: impl FnOnce(Vec<String>) -> Result<(), Error>,
    ) -> Result<Ended, Error> {
        if self.streams.has_terminal() {
            self.spec.terminal = Some(terminal::size());
        }
        let listeners = std::mem::take(&mut self.listeners);
        let status = self.runtime.block_on(async {
            // One that comes as soon as the process runs is the process's already.
            let signals = signal::catch()?;
            let mut running = sandbox::spawn(&self.spec, &self.options)?;
            let log = self.log.as_deref();
            let kept = log.map_or(Ok(None), |log| keep(&mut running, log))?;
            drop(self.store);
            started(std::mem::take(&mut running.notes))?;
            if !listeners.is_empty() {
                let network = SandboxNetwork::joined_by(&running, self.network.as_ref())?;
                if let Some(network) = network {
                    port::forward(listeners, &Arc::new(network));
                }
            }
            let status = attend(running, (signals, self.ends), self.streams).await;
            if let Some(thread) = kept {
                // A panic in it has been reported where it happened.
                let _ = thread.join();
            }
            status
        });
        // What still carries a connection would be waited for without end.
        self.runtime.shutdown_background();
        Ok(Ended {
            status: status?,
            lost: self.network.as_ref().and_then(Outbound::lost),
        })
    }
}

/// Fills in what the request alone says.
fn spec(request: &Request, plain: Spec) -> Spec {
    Spec {
        env: command::env(request),
        cwd: command::cwd(request),
        user: command::user(request),
        hostname: request.hostname.clone(),
        root_access: request.root_access,
        no_new_privileges: request.no_new_privileges,
        limits: request.limits.clone(),
        ulimits: request.ulimits.clone(),
        shm_size_bytes: request.shm_size_bytes,
        ..plain
    }
}

fn options(request: &Request) -> SpawnOptions {
    SpawnOptions {
        template: Template::new(&request.binary),
        input: match request.streams.has_input() {
            true => Input::Inherit,
            false => Input::Null,
        },
        output: match request.log {
            Some(_) => Output::Together,
            None => Output::Inherit,
        },
    }
}

/// Makes a network of the process's own that leads outside, where that can be.
fn outside(request: &Request, isolation: &Isolation) -> Result<Option<Outbound>, Error> {
    match (request.network, isolation) {
        (RunNetwork::Default, Isolation::Namespace) => {
            Ok(Networks::default().take(&request.sink, || true)?)
        }
        (RunNetwork::Default, Isolation::Chroot { .. }) if !request.ports.is_empty() => {
            Err(Error::PortsNeedNamespaces)
        }
        _ => Ok(None),
    }
}

/// The network of the process, where `outside` is one that leads there. Ports are forwarded to one of
/// its own only.
fn network_of(request: &Request, outside: Option<&Outbound>) -> sandbox::Network {
    match (request.network, outside) {
        (RunNetwork::Default, Some(network)) => sandbox::Network::Join(network.path()),
        (RunNetwork::Default, None) if request.ports.is_empty() => sandbox::Network::Host,
        (RunNetwork::Host, _) => sandbox::Network::Host,
        (RunNetwork::Default | RunNetwork::Own, _) => sandbox::Network::None,
    }
}

/// Puts the mounts in order: what is laid over what comes later.
fn mounts(request: &Request, volumes: Vec<Mount>, network: Option<&Outbound>) -> Vec<Mount> {
    let of_image = request.image.config.config.volumes.keys();
    let (hostname, hosts) = (&request.hostname, &request.extra_hosts);
    let mut others = worker::network_files(hostname, hosts, network);
    others.extend(volumes);
    let mut mounts = request::own_mounts(of_image, &others);
    mounts.extend(others);
    mounts
}

/// Has the layers of the image unpacked and begins a change set on them.
async fn image(request: &Request, store: &Store, ladder: &Arc<Ladder>) -> Result<Active, Error> {
    let snapshots = worker::snapshots(store, ladder);
    let snapshots = snapshots.map_err(|source| Error::Snapshots { source })?;
    let client = Client::new(remote::Options {
        store: store.clone(),
        registries: request.registries.clone(),
        credential_files: request.credential_files.clone(),
        certificate_folders: remote::usual_certificate_folders(),
        retry: Retry::usual().within(request.patience),
        manifest_bytes: request.patience.manifest_bytes,
        sink: request.sink.clone(),
    });
    let (root, binary) = (request.root.clone(), request.binary.clone());
    let options = worker::Options {
        bounds: request.bounds,
        ..worker::Options::plain(root, Arc::clone(ladder), binary)
    };
    let worker = Worker::new(options, store.clone(), snapshots, client);
    worker.begin(&request.sink)?;
    let layers = Layer::pair(&request.image.config, &request.image.manifest)
        .map_err(|source| Error::Image { source })?;
    let name = &request.name_of_image;
    let step = request.sink.step(&format!("unpack {}", name.familiar()));
    Ok(worker.prepare(name, layers, &step).await?)
}

/// Writes to a log what the process writes.
fn keep(running: &mut Running, path: &Path) -> Result<Option<JoinHandle<()>>, Error> {
    let written = running.stdout.take();
    let kept = written.map(|written| log::keep(path, written)).transpose();
    kept.map_err(|source| Error::Container {
        path: path.to_owned(),
        source,
    })
}

fn rootfs(active: &Active) -> Rootfs {
    match active.stack() {
        Stack::Overlay {
            lowers,
            upper,
            work,
        } => Rootfs::Overlay {
            lowers: lowers.clone(),
            upper: upper.clone(),
            work: work.clone(),
        },
        Stack::Directory(path) => Rootfs::Directory(path.clone()),
    }
}

/// Passes on what is typed, shown and signalled until the process ends.
async fn attend(
    mut running: Running,
    (signals, ends): (Signals, i32),
    streams: Streams,
) -> Result<ExitStatus, Error> {
    let session = match running.terminal.take() {
        Some(controller) => Some(terminal::connect(controller, streams, signals.hang_up())?),
        None => None,
    };
    let signals = signal::forward(signals, ends, running.killer(), session.as_ref())?;
    let waited = tokio::task::spawn_blocking(move || running.wait());
    let status = match waited.await {
        Ok(status) => status.map_err(Error::from),
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    };
    signals.abort();
    if let Some(session) = session {
        session.finish();
    }
    status
}
