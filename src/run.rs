//! The story of one run: an image becomes a process on a writable layer that is thrown away.
//!
//! [`run`] tells it from top to bottom. Nothing here knows how an image is unpacked or what a
//! sandbox is made of.

mod command;
mod error;
mod name;
mod port;
mod request;
mod signal;
mod terminal;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::graph::ImageOp;
use crate::graph::Network;
use crate::layer::Compression;
use crate::oci::Layer;
use crate::remote::Client;
use crate::remote::Retry;
use crate::sandbox;
use crate::sandbox::ExitStatus;
use crate::sandbox::Input;
use crate::sandbox::Output;
use crate::sandbox::Rootfs;
use crate::sandbox::Running;
use crate::sandbox::SandboxNetwork;
use crate::sandbox::SpawnOptions;
use crate::sandbox::Spec;
use crate::snapshot::Active;
use crate::snapshot::Overlay;
use crate::snapshot::Stack;
use crate::store::Store;
use crate::worker;
use crate::worker::Worker;

pub use error::Error;
pub use request::Port;
pub use request::Request;
pub use request::RunNetwork;
pub use request::Streams;
pub use request::Volume;

/// Runs what `request` asks for and gives the exit code of its process: 128 and the signal's number
/// if a signal killed it.
///
/// # Errors
/// [`Error`] if the process could not be started; [`Error::exit_code`] is docker's for it.
pub fn run(request: &Request) -> Result<i32, Error> {
    let _name = name::claim(request)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })?;
    let status = runtime.block_on(story(request));
    // What still reads from the terminal would be waited for without end.
    runtime.shutdown_background();
    status.map(|status| status.code)
}

async fn story(request: &Request) -> Result<ExitStatus, Error> {
    let args = command::args(request)?;
    let volumes = request::mounts(&request.volumes)?;
    let store = Store::open(&request.root).map_err(|source| Error::Store { source })?;
    // Held as long as the process runs, so that nothing is pruned under its feet.
    let _shared = store.share().map_err(|source| Error::Store { source })?;
    let listeners = port::listen(&request.ports).await?;
    let active = prepare(request, &store).await?;
    let mut spec = Spec::new(rootfs(&active), args);
    spec.env = command::env(request);
    spec.cwd = command::cwd(request);
    spec.user = command::user(request);
    spec.hostname.clone_from(&request.hostname);
    spec.network = match request.network {
        RunNetwork::Host => sandbox::Network::Host,
        RunNetwork::Own => sandbox::Network::None,
    };
    spec.mounts = worker::network_files(&request.hostname, &request.extra_hosts);
    spec.mounts.extend(volumes);
    spec.root_access = request.root_access;
    let streams = request.streams;
    if streams.has_terminal() {
        spec.terminal = Some(terminal::size());
    }
    let options = SpawnOptions {
        program: request.binary.clone(),
        input: match streams.has_input() {
            true => Input::Inherit,
            false => Input::Null,
        },
        output: Output::Inherit,
    };
    let running = sandbox::spawn(&spec, &options)?;
    if !listeners.is_empty() {
        let network = Arc::new(SandboxNetwork::of(running.pid())?);
        port::forward(listeners, &network);
    }
    attend(running, streams).await
}

/// Has the layers of the image unpacked and begins a change set on them; dropped, it is removed.
async fn prepare(request: &Request, store: &Store) -> Result<Active, Error> {
    let folder = request.root.join("snapshots");
    let snapshots = Overlay::open(&folder).map_err(|source| Error::Snapshots { source })?;
    let client = Client::new(crate::remote::Options {
        store: store.clone(),
        registries: request.registries.clone(),
        credential_files: request.credential_files.clone(),
        certificate_folders: crate::remote::usual_certificate_folders(),
        retry: Retry::usual(),
        sink: request.sink.clone(),
    });
    let options = worker::Options {
        root: request.root.clone(),
        contexts: BTreeMap::new(),
        secrets: BTreeMap::new(),
        ssh: BTreeMap::new(),
        ca_bundle: None,
        network: Network::Host,
        epoch: None,
        compression: Compression::Gzip { level: 6 },
        binary: request.binary.clone(),
    };
    let worker = Worker::new(options, store.clone(), Arc::new(snapshots), client);
    let layers = Layer::pair(&request.image.config, &request.image.manifest)
        .map_err(|source| Error::Image { source })?;
    let image = ImageOp {
        name: request.name_of_image.familiar(),
        source: Some(request.name_of_image.clone()),
        layers,
    };
    let step = request.sink.step(&format!("prepare {}", image.name));
    Ok(worker.prepare(image, &step).await?)
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
async fn attend(mut running: Running, streams: Streams) -> Result<ExitStatus, Error> {
    let session = match running.terminal.take() {
        Some(controller) => Some(terminal::connect(controller, streams)?),
        None => None,
    };
    let signals = signal::forward(running.killer(), session.as_ref())?;
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
