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
use crate::build::plan::BuildPlan;
use crate::build::push;
use crate::export;
use crate::export::ArchiveFormat;
use crate::export::Destination;
use crate::export::Folders;
use crate::export::Target;
use crate::oci::Descriptor;
use crate::oci::ImageSet;
use crate::progress::Step;
use crate::remote;
use crate::solver::Solved;
use crate::solver::Worker as _;
use crate::worker;
use crate::worker::Tree;
use crate::worker::Worker;

/// How much of an archive is written at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// What was built.
type Built<'a> = (&'a BuildPlan, &'a [Solved], &'a ImageSet);

/// Refuses outputs that cannot be of what is asked for.
pub(super) fn check(request: &Request) -> Result<(), Error> {
    let is_for_docker = |target: &Target| matches!(target, Target::Archive { format, .. } if *format == ArchiveFormat::Docker);
    match request.has_index && request.outputs.iter().any(is_for_docker) {
        true => Err(Error::ArchiveForDocker),
        false => Ok(()),
    }
}

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
        unpack_bases(local, worker, (plan, step))?;
    }
    if request.outputs.iter().any(Target::holds_blobs) {
        fetch_missing(local, plan, step)?;
    }
    local.check()?;
    store(request, local, image)?;
    if !request.outputs.is_empty() {
        local.settle()?;
    }
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
            Target::Local { directory, folders } => {
                let trees = trees(worker, built, wants_folders(request, *folders))?;
                worker::copy_trees(&trees, directory).map_err(|source| Error::Tree { source })?;
            }
            Target::Tar {
                destination,
                folders,
            } => {
                let trees = trees(worker, built, wants_folders(request, *folders))?;
                to_destination(destination, |out| {
                    worker::write_trees(&trees, out).map_err(|source| Error::Tree { source })
                })?;
            }
            Target::Registry => push::push(request, local, (plan, image), step)?,
        }
    }
    Ok(Outcome {
        image: image.root().clone(),
        config: image.single().map(|image| image.config_descriptor.clone()),
        platforms: match image.single() {
            Some(_) => Vec::new(),
            None => listed(image),
        },
        names: request.tags.clone(),
    })
}

/// Gives what the index lists.
fn listed(set: &ImageSet) -> Vec<Descriptor> {
    let images = set.images().iter();
    let entries = images.map(|(platform, image)| Descriptor {
        platform: Some(platform.clone()),
        ..image.descriptor.clone()
    });
    entries.collect()
}

/// Unpacks the layers of the bases that no instruction needed.
fn unpack_bases(
    local: &Local,
    worker: &Worker,
    (plan, step): (&BuildPlan, &Step),
) -> Result<(), Error> {
    for base in plan.bases() {
        let unpacked = worker.unpack(base.clone(), step.clone(), local.cancel.clone());
        let unpacked = local.wait(unpacked)?;
        unpacked.map_err(|source| Error::Tree { source })?;
    }
    Ok(())
}

/// Fetches the layers of the bases that no instruction needed. Where none is written, they stay
/// where they are until someone needs them.
fn fetch_missing(local: &Local, plan: &BuildPlan, step: &Step) -> Result<(), Error> {
    let mut fetches = Vec::new();
    for base in plan.bases() {
        let Some(source) = &base.source else {
            continue;
        };
        let blobs = base.layers.iter().map(|layer| &layer.blob);
        let missing = blobs.filter(|blob| !local.store.contains(blob));
        fetches.extend(missing.map(|blob| remote::fetch_blob(&local.client, source, blob, step)));
    }
    if fetches.is_empty() {
        return Ok(());
    }
    let fetched = local.wait(futures_util::future::try_join_all(fetches))?;
    fetched.map(drop).map_err(|source| Error::Fetch { source })
}

fn store(request: &Request, local: &Local, set: &ImageSet) -> Result<(), Error> {
    let store = &local.store;
    let stored = || {
        for (media_type, bytes) in set.documents() {
            store.put(media_type, bytes)?;
        }
        if request.tags.is_empty() {
            store.keep(set.root())?;
        }
        request
            .tags
            .iter()
            .try_for_each(|name| store.tag(name, set.root()))
    };
    stored().map_err(|source| Error::Store { source })
}

fn wants_folders(request: &Request, folders: Folders) -> bool {
    match folders {
        Folders::ForIndex => request.has_index,
        Folders::Always => true,
        Folders::Never => false,
    }
}

/// Opens the root filesystems, each with its folder: `linux_arm_v7`.
fn trees(
    worker: &Worker,
    (_, solved, set): Built<'_>,
    have_folders: bool,
) -> Result<Vec<Tree>, Error> {
    let images = set.images().iter().zip(solved);
    let trees = images.map(|((platform, _), solved)| {
        Ok(Tree {
            folder: match have_folders {
                true => platform.to_string().replace('/', "_"),
                false => String::new(),
            },
            view: worker.view(&solved.output)?,
        })
    });
    trees
        .collect::<Result<_, worker::Error>>()
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
