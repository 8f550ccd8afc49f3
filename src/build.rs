//! The story of one build: a Dockerfile and its context become an image.
//!
//! [`build`] tells it from top to bottom; each of its steps is a file of this room. Nothing here
//! knows what an instruction means or how an operation is carried out.

mod agents;
mod bases;
mod call;
mod context;
mod error;
mod image;
mod local;
mod output;
mod plan;
mod push;
mod request;
mod said;
mod source;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::build::agents::Agents;
use crate::build::context::Context;
use crate::build::local::Local;
use crate::build::plan::BuildPlan;
use crate::build::source::Text;

use crate::dockerfile;
use crate::oci::Layer;
use crate::oci::Platform;
use crate::progress::Step;
use crate::progress::in_one_line;
use crate::solver;
use crate::solver::Cancel;
use crate::solver::Job;
use crate::solver::Marked;
use crate::solver::Solved;
use crate::worker;
use crate::worker::Worker;

pub use crate::worker::Bounds;
pub use call::Answer;
pub use call::Found;
pub use call::Question;
pub use call::ask;
pub use error::Error;
pub use error::Kind;
pub use error::Place;
pub use request::ContextSource;
pub use request::DockerfileSource;
pub use request::NamedContext;
pub use request::Outcome;
pub use request::PullPolicy;
pub use request::Request;
pub use request::Secret;
pub use source::open_dockerfile;

/// Builds what `request` asks for.
///
/// `cancel` stops the build; what was begun is waited for.
///
/// # Errors
/// [`Error`], with its [`Kind`] and, where the Dockerfile is to blame, its [`Place`]. The store is
/// whole whatever happens.
pub fn build(request: &Request, cancel: &Cancel) -> Result<Outcome, Error> {
    output::check(request)?;
    let local = Local::open(request, cancel)?;
    let agents = Agents::open(request, &local)?;
    let context = Context::open(request, &local, &agents)?;
    let text = source::read(request, &local, &context)?;
    let place = |source: dockerfile::Error| text.error(source);
    let dockerfile = dockerfile::parse(&text.text).map_err(place)?;
    let options = lower_options(request, &context, &text.ignore);
    let bases = bases::resolve(&dockerfile, &options, (request, &local, &text))?;
    let plan = plan::lower(request, (&dockerfile, &text), &bases, &options)?;
    let export = request.sink.step("exporting to image");
    let (layers, ready) = mpsc::unbounded_channel();
    let worker = worker(request, &local, (&context, &agents, &plan)).telling_layers(layers);
    let worker = Arc::new(worker);
    let send = || send_ahead(request, &local, (&plan, ready, &export));
    let solved = solve(request, &local, (&text, &plan, &worker), send);
    worker.end();
    // What was read of the context is remembered also if the build failed. What cannot be
    // remembered is read again the next time, and costs no build.
    if let Err(error) = worker.save_indexes() {
        request.sink.warn(in_one_line(&error));
    }
    let solved = solved?;
    let image = image::assemble(request, &local, (&plan, &solved))?;
    let built = (&plan, solved.as_slice(), &image);
    output::write(request, &local, &worker, (built, &export))
}

/// Gives what the Dockerfile is lowered with, for each platform.
fn lower_options(
    request: &Request,
    context: &Context,
    ignore: &[String],
) -> Vec<dockerfile::Options> {
    let plain = plain_options(request, context, ignore);
    // Nothing else asked for, an image is for the platform that its FROM names.
    if request.platforms.is_empty() {
        return vec![plain];
    }
    let asked = request.platforms.iter();
    let options = asked.map(|platform| dockerfile::Options {
        platform: Some(platform.clone()),
        ..plain.clone()
    });
    options.collect()
}

fn plain_options(request: &Request, context: &Context, ignore: &[String]) -> dockerfile::Options {
    dockerfile::Options {
        target: request.target.clone(),
        build_args: request.build_args.iter().cloned().collect(),
        platform: None,
        names_platforms: request.has_index,
        host: Platform::host(),
        labels: request.labels.iter().cloned().collect(),
        ignore: ignore.to_vec(),
        named_contexts: context.named.clone(),
        no_cache: request.no_cache,
        no_cache_filter: request.no_cache_filter.clone(),
        network: request.network,
        is_insecure_allowed: request.is_insecure_allowed,
        is_host_network_allowed: request.is_host_network_allowed,
        extra_hosts: request.extra_hosts.clone(),
        shm_size_bytes: request.shm_size_bytes,
        ulimits: request.ulimits.clone(),
        epoch: request.epoch,
    }
}

fn worker(
    request: &Request,
    local: &Local,
    (context, agents, plan): (&Context, &Agents, &BuildPlan),
) -> Worker {
    let options = worker::Options {
        root: request.root.clone(),
        contexts: context.folders.clone(),
        secrets: request.secrets(),
        ssh: agents.sockets.clone(),
        ca_bundle: request.ca_bundle.clone(),
        network: request.network,
        limits: request.limits.clone(),
        bounds: request.bounds,
        epoch: plan.epoch,
        compression: local::COMPRESSION,
        ladder: Arc::clone(&local.ladder),
        binary: request.binary.clone(),
    };
    Worker::new(
        options,
        local.store.clone(),
        Arc::clone(&local.snapshots),
        local.client.clone(),
    )
}

/// Sends layers to where the image is pushed, from now on.
fn send_ahead(
    request: &Request,
    local: &Local,
    (plan, ready, step): (&BuildPlan, UnboundedReceiver<Layer>, &Step),
) -> Result<(), Error> {
    if push::is_wanted(request) {
        let to = push::destinations(request, plan);
        let sending = push::send_ahead(local.client.clone(), to, ready, step.clone());
        // It ends with the runtime, and with it all that a build that failed would still send.
        local.runtime()?.spawn(sending);
    }
    Ok(())
}

/// Finds what is known, and does the rest, having begun to `send` what comes.
fn solve(
    request: &Request,
    local: &Local,
    (text, plan, worker): (&Text, &BuildPlan, &Arc<Worker>),
    send: impl FnOnce() -> Result<(), Error>,
) -> Result<Vec<Solved>, Error> {
    let failed = |source| text.solve_error(source, &plan.graph);
    let options = solver::Options {
        jobs: request.jobs,
        packing: Some(worker.packing()),
        cancel: local.cancel.clone(),
        sink: request.sink.clone(),
    };
    let job = Job {
        graph: &plan.graph,
        targets: plan.targets(),
        cache: &local.cache,
        worker,
        options: &options,
    };
    match solver::mark(&job).map_err(failed)? {
        Marked::Solved(solved) => Ok(solved),
        // It stops by itself, and waits for what was begun.
        Marked::Work(work) => {
            send()?;
            let begun = worker.begin(&request.sink);
            begun.map_err(|source| Error::Begin { source })?;
            worker.expect(work.ops(&plan.graph), &local.cancel);
            let done = local.runtime()?.block_on(solver::schedule(&job, work));
            done.map_err(failed)
        }
    }
}
