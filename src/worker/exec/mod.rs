//! `RUN`: a command in a sandbox, with its mounts, its network and what the host lends it.
//!
//! Start reading at [`run`].

mod cache_mount;
mod expected;
mod lent;
mod mount_points;
mod mounts;
mod network;
mod ssh;

pub(super) use self::expected::Expected;
pub use self::lent::network_files;
pub(super) use self::mount_points::MountPoints;
pub(super) use self::mounts::content;
pub use self::network::Networks;

use std::io;
use std::io::PipeReader;
use std::io::Read;
use std::path::PathBuf;
use std::sync::PoisonError;

use crate::graph::ExecOp;
use crate::graph::Network;
use crate::graph::Security;
use crate::progress::Step;
use crate::progress::Stream;
use crate::progress::in_one_line;
use crate::sandbox;
use crate::sandbox::ExitStatus;
use crate::sandbox::Input;
use crate::sandbox::Isolation;
use crate::sandbox::Killer;
use crate::sandbox::Outbound;
use crate::sandbox::Output;
use crate::sandbox::Rootfs;
use crate::sandbox::SpawnOptions;
use crate::sandbox::Spec;
use crate::snapshot::Active;
use crate::snapshot::Stack;
use crate::solver::Cancel;
use crate::solver::Made;
use crate::solver::Task;
use crate::sys;
use crate::worker::Error;
use crate::worker::Worker;
use crate::worker::blocking;
use crate::worker::change_set;

use self::mounts::Prepared;

const BUFFER_BYTES: usize = 64 << 10;

/// Begins to make what a command needs that is about to run.
pub(super) fn expect(worker: &Worker, op: &ExecOp, cancel: &Cancel) {
    // What is refused is told when the command is to run.
    let Ok(isolation) = worker.options.ladder.isolation() else {
        return;
    };
    worker.commands.add();
    worker.template.begin(&isolation);
    if let (Network::Default, Isolation::Namespace) = (chosen(worker, op), &isolation) {
        worker.networks.expect(cancel);
    }
}

/// Runs the command on its root filesystem and keeps what it changed.
pub(super) async fn run(worker: &Worker, op: ExecOp, task: &Task) -> Result<Made, Error> {
    worker.commands.begin();
    let (worker, task_there) = (worker.clone(), task.clone());
    let (send_killer, killer) = tokio::sync::oneshot::channel();
    let running = blocking(move || {
        run_to_its_end(&worker, &op, &task_there, |killer| {
            // Nobody listens any more once the build was canceled; the sandbox is then killed.
            let _canceled = send_killer.send(killer);
        })
    });
    let cancel = task.cancel.clone();
    let guard = async move {
        if let Ok(killer) = killer.await {
            cancel.canceled().await;
            // It has ended already if it cannot be killed.
            let _ended = killer.kill();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        made = running => made.map_err(|error| match task.cancel.is_canceled() {
            true => Error::Canceled,
            false => error,
        }),
        () = guard => Err(Error::Canceled),
    }
}

/// Makes what the command needs, waits until it has ended, and keeps what it changed.
fn run_to_its_end(
    worker: &Worker,
    op: &ExecOp,
    task: &Task,
    started: impl FnOnce(Killer),
) -> Result<Made, Error> {
    let (inputs, cancel) = (&task.inputs, &task.cancel);
    let chain = change_set::whole(worker, inputs[0].chain())?;
    let active = worker.snapshots.prepare(&chain)?;
    let began = change_set::began(active.stack())?;
    let prepared = mounts::prepare(worker, op, inputs, cancel)?;
    let isolation = worker.options.ladder.isolation()?;
    let network = match (chosen(worker, op), &isolation) {
        (Network::Default, Isolation::Namespace) => {
            let is_wanted = || !cancel.is_canceled();
            worker.networks.take(task.step.sink(), is_wanted)?
        }
        _ => None,
    };
    if cancel.is_canceled() {
        return Err(Error::Canceled);
    }
    let spec = Spec {
        isolation,
        ..spec(worker, op, (&active, &prepared, network.as_ref()))
    };
    let status = execute(worker, &spec, &task.step, started)?;
    drop(prepared);
    if status.code != 0 {
        tell_lost(network.as_ref(), &task.step);
    }
    if let (Some(network), Security::Sandbox) = (network, op.security) {
        worker.networks.give_back(network);
    }
    check(op, status)?;
    mount_points::date(active.stack(), began)?;
    mount_points::leave(active.stack(), began)?;
    change_set::commit(&*worker.snapshots, active, began)
}

/// Says that a network had ended of a command that failed, which does not know why it reached nobody.
fn tell_lost(network: Option<&Outbound>, step: &Step) {
    if let Some(lost) = network.and_then(Outbound::lost) {
        step.sink().warn(in_one_line(&lost));
    }
}

/// Fails if the command did.
fn check(op: &ExecOp, status: ExitStatus) -> Result<(), Error> {
    match status.code {
        0 => Ok(()),
        code => Err(Error::Exit {
            command: command_line(&op.args),
            code,
            signal: status.signal,
            exceeded: status.exceeded,
        }),
    }
}

/// Writes a command for a message: its first line, since the rest is in the Dockerfile.
fn command_line(args: &[String]) -> String {
    let text = args.join(" ");
    match text.trim_end().split_once('\n') {
        Some((first, _)) => format!("{first} …"),
        None => text,
    }
}

/// The network that a command is to have.
fn chosen(worker: &Worker, op: &ExecOp) -> Network {
    match op.network {
        Network::Default => worker.options.network,
        named => named,
    }
}

/// Describes the sandbox of `op`.
fn spec(
    worker: &Worker,
    op: &ExecOp,
    (active, prepared, network): (&Active, &Prepared, Option<&Outbound>),
) -> Spec {
    let root = match active.stack() {
        Stack::Overlay {
            lowers,
            upper,
            work,
        } => Rootfs::Overlay {
            lowers: with_mount_points(worker, lowers),
            upper: upper.clone(),
            work: work.clone(),
        },
        Stack::Directory(path) => Rootfs::Directory(path.clone()),
    };
    let mut spec = Spec::new(root, op.args.clone());
    let pairs = op.env.iter().chain(&op.hidden_env).chain(&prepared.env);
    spec.env = pairs
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    spec.cwd.clone_from(&op.cwd);
    spec.user.clone_from(&op.user);
    spec.hostname.clone_from(&op.hostname);
    spec.network = match (chosen(worker, op), network) {
        (Network::None, _) => sandbox::Network::None,
        (Network::Host | Network::Default, None) => sandbox::Network::Host,
        (Network::Host | Network::Default, Some(own)) => sandbox::Network::Join(own.path()),
    };
    spec.mounts = lent::network_files(&op.hostname, &op.extra_hosts, network);
    spec.mounts.extend(prepared.mounts.iter().cloned());
    if let Some(bundle) = &worker.options.ca_bundle {
        lent::add_certificates(&mut spec, bundle);
    }
    spec.shm_size_bytes = op.shm_size_bytes;
    if op.security == Security::Insecure {
        spec.security = sandbox::Security::Insecure;
    }
    spec.limits.clone_from(&worker.options.limits);
    spec.ulimits = op.ulimits.iter().map(ulimit).collect();
    spec
}

/// Lays the usual mount points below all else; an empty root filesystem stays one directory.
fn with_mount_points(worker: &Worker, lowers: &[PathBuf]) -> Vec<PathBuf> {
    if lowers.is_empty() {
        return Vec::new();
    }
    let lowest = worker.mount_points.directory(&*worker.snapshots);
    lowest.into_iter().chain(lowers).cloned().collect()
}

/// -1 is docker's way to write no limit.
fn ulimit(limit: &crate::graph::Ulimit) -> sandbox::Ulimit {
    sandbox::Ulimit {
        name: limit.name.clone(),
        soft: u64::try_from(limit.soft).unwrap_or(u64::MAX),
        hard: u64::try_from(limit.hard).unwrap_or(u64::MAX),
    }
}

/// Runs a sandbox to its end and passes on what it writes.
fn execute(
    worker: &Worker,
    spec: &Spec,
    step: &Step,
    started: impl FnOnce(Killer),
) -> Result<ExitStatus, Error> {
    let options = SpawnOptions {
        template: worker.template.clone(),
        input: Input::Null,
        output: Output::Pipe,
    };
    let mut running = sandbox::spawn(spec, &options)?;
    for note in std::mem::take(&mut running.notes) {
        let mut noted = worker.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.insert(note.clone()) {
            step.sink().warn(note);
        }
    }
    started(running.killer());
    if worker.commands.has_more() {
        worker.template.expect(spec);
    }
    let pipes = [
        (Stream::Stdout, running.stdout.take()),
        (Stream::Stderr, running.stderr.take()),
    ];
    let pipes = pipes.map(|(stream, pipe)| (stream, pipe.expect("pipes were asked for")));
    forward(pipes.into(), step);
    Ok(running.wait()?)
}

/// Passes on what comes until the last process of the sandbox has closed its ends.
fn forward(mut pipes: Vec<(Stream, PipeReader)>, step: &Step) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while !pipes.is_empty() {
        let ready = sys::file::wait_readable(pipes.iter().map(|(_, pipe)| pipe));
        let mut ready = ready.into_iter();
        pipes.retain_mut(|(stream, pipe)| {
            if ready.next() != Some(true) {
                return true;
            }
            match pipe.read(&mut buffer) {
                Ok(0) => false,
                Ok(count) => {
                    step.output(*stream, &buffer[..count]);
                    true
                }
                Err(error) => error.kind() == io::ErrorKind::Interrupted,
            }
        });
    }
}
