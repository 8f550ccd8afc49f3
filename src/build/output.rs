//! Where the image goes: the local store, files, registries.

use std::fs;
use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;

use crate::build::Error;
use crate::build::Outcome;
use crate::build::Request;
use crate::build::local::Local;
use crate::build::push;
use crate::export;
use crate::export::Destination;
use crate::export::Target;
use crate::graph::Op;
use crate::graph::Plan;
use crate::oci::Image;
use crate::oci::Reference;
use crate::oci::media_type;
use crate::progress::Step;
use crate::remote;
use crate::snapshot::View;
use crate::solver::Solved;
use crate::solver::Worker as _;
use crate::worker;
use crate::worker::Worker;

/// How much of an archive is written at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// What was built.
type Built<'a> = (&'a Plan, &'a Solved, &'a Image);

/// Stores the image under its names and writes every output.
pub(super) fn write(
    request: &Request,
    local: &Local,
    worker: &Worker,
    (built, step): (Built<'_>, &Step),
) -> Result<Outcome, Error> {
    step.started();
    let written = write_all(request, local, worker, (built, step));
    match &written {
        Ok(_) => step.done(),
        Err(Error::Canceled) => step.canceled(),
        Err(error) => step.failed(error.to_string()),
    }
    written
}

fn write_all(
    request: &Request,
    local: &Local,
    worker: &Worker,
    (built, step): (Built<'_>, &Step),
) -> Result<Outcome, Error> {
    let (plan, _, image) = built;
    if request.outputs.iter().any(Target::has_files) {
        unpack_base(local, worker, (plan, step))?;
    }
    if request.outputs.iter().any(Target::holds_blobs) {
        fetch_missing(local, (plan, image), step)?;
    }
    local.check()?;
    store(request, local, image)?;
    for target in &request.outputs {
        local.check()?;
        match target {
            Target::Archive {
                format,
                destination,
            } => {
                let write = |out: &mut dyn Write| {
                    export::write_archive(&local.store, image, &request.tags, *format, out)
                        .map_err(|source| Error::Export { source })
                };
                to_destination(destination, write)?;
            }
            Target::Layout { directory } => {
                export::write_layout(&local.store, image, &request.tags, directory)
                    .map_err(|source| Error::Export { source })?;
            }
            Target::Local { directory } => {
                tree(worker, built, |tree| worker::copy_tree(tree, directory))?;
            }
            Target::Tar { destination } => to_destination(destination, |out| {
                tree(worker, built, |tree| worker::write_tree(tree, out))
            })?,
            Target::Registry => push::push(request, local, (plan, image), step)?,
        }
    }
    Ok(Outcome {
        image: image.descriptor.clone(),
        config: image.config_descriptor.clone(),
        names: request.tags.clone(),
    })
}

/// Gives the name that the base's layers come from.
pub(super) fn base_source(plan: &Plan) -> Option<&Reference> {
    let base = plan.graph.chain(plan.target)[0];
    match &plan.graph.vertex(base).op {
        Op::Image(image) => image.source.as_ref(),
        _ => None,
    }
}

/// Unpacks the layers of the base that no instruction needed.
fn unpack_base(local: &Local, worker: &Worker, (plan, step): (&Plan, &Step)) -> Result<(), Error> {
    let base = plan.graph.chain(plan.target)[0];
    let Op::Image(image) = &plan.graph.vertex(base).op else {
        return Ok(());
    };
    let unpacked = worker.unpack(image.clone(), step.clone(), local.cancel.clone());
    local
        .wait(unpacked)?
        .map_err(|source| Error::Tree { source })
}

/// Fetches the layers of the base that no instruction needed. Where none is written, they stay
/// where they are until someone needs them.
fn fetch_missing(local: &Local, (plan, image): (&Plan, &Image), step: &Step) -> Result<(), Error> {
    let blobs = image.layers.iter().map(|layer| &layer.blob);
    let missing: Vec<_> = blobs.filter(|blob| !local.store.contains(blob)).collect();
    let Some(source) = base_source(plan).filter(|_| !missing.is_empty()) else {
        return Ok(());
    };
    let fetches = missing
        .iter()
        .map(|blob| remote::fetch_blob(&local.client, source, blob, step));
    let fetched = local.wait(futures_util::future::try_join_all(fetches))?;
    fetched.map(drop).map_err(|source| Error::Fetch { source })
}

fn store(request: &Request, local: &Local, image: &Image) -> Result<(), Error> {
    let store = &local.store;
    let stored = || {
        store.put(media_type::CONFIG, &image.config)?;
        store.put(media_type::MANIFEST, &image.manifest)?;
        if request.tags.is_empty() {
            store.keep(&image.descriptor)?;
        }
        request
            .tags
            .iter()
            .try_for_each(|name| store.tag(name, &image.descriptor))
    };
    stored().map_err(|source| Error::Store { source })
}

/// Opens the root filesystem for `write`.
fn tree(
    worker: &Worker,
    (_, solved, _): Built<'_>,
    write: impl FnOnce(&View) -> Result<(), worker::Error>,
) -> Result<(), Error> {
    let opened = worker.view(&solved.output);
    opened
        .and_then(|tree| write(&tree))
        .map_err(|source| Error::Tree { source })
}

/// Writes to standard output, or to a file that is replaced when it is whole.
fn to_destination(
    destination: &Destination,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    match destination {
        Destination::Stdout => write(&mut BufWriter::with_capacity(
            BUFFER_BYTES,
            io::stdout().lock(),
        )),
        Destination::File(path) => to_file(path, write),
    }
}

fn to_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    let error = |source| Error::Output {
        path: path.to_owned(),
        source,
    };
    // Something that is no file, like a pipe or /dev/null, is written as it is.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let mut out = File::options().write(true).open(path).map_err(error)?;
        return write(&mut out);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let file = File::create(&temporary).map_err(error)?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
    let written = write(&mut out)
        .and_then(|()| out.flush().map_err(error))
        .and_then(|()| fs::rename(&temporary, path).map_err(error));
    if written.is_err() {
        // The failure to report is the first one.
        let _left = fs::remove_file(&temporary);
    }
    written
}
