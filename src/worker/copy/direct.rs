//! A copy whose files nobody reads: its layer, straight from the source.

use std::sync::Arc;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crate::graph::CopyOp;
use crate::graph::CopySource;
use crate::layer;
use crate::oci::Layer;
use crate::snapshot::SnapshotId;
use crate::solver::Made;
use crate::solver::Task;
use crate::sys::Root;
use crate::sys::Timestamp;
use crate::worker::Error;
use crate::worker::Worker;
use crate::worker::change_set;
use crate::worker::change_set::Tree;
use crate::worker::copy;
use crate::worker::copy::draft::Draft;
use crate::worker::files;

/// Packs the layer of a copy without making its files; none if they have to be made to know it.
pub(super) fn run(worker: &Worker, op: &CopyOp, task: &Task) -> Result<Option<Made>, Error> {
    let chain = task.inputs[0].chain();
    // What lies below a linked copy is not what it is made upon.
    if task.is_needed || !task.is_exported || (op.link && !chain.is_empty()) {
        return Ok(None);
    }
    let below = change_set::whole(worker, chain)?;
    let view = worker.snapshots.view(&below)?;
    let writer = worker.store.writer()?;
    let now = timestamp(writer.begun()?);
    let ground = (!below.is_empty()).then(|| view.root());
    let Some(mut draft) = Draft::new(ground, now) else {
        return Ok(None);
    };
    // The sources stay open until they were read.
    let Some(_sources) = draw_up(worker, (op, task), (&below, view.root()), &mut draft)? else {
        return Ok(None);
    };
    let (layer, _) = change_set::write(
        worker,
        (&task.step, &task.cancel),
        writer,
        |options, out| layer::pack_files(draft.files(), options, out),
    )?;
    Ok(Some(Made {
        change_set: keep(worker, &layer)?,
        content: None,
        times: None,
        facts: Vec::new(),
        layer: Some(layer),
    }))
}

/// Adds all sources of a copy to a draft; gives them, or none if the draft gave up.
fn draw_up(
    worker: &Worker,
    (op, task): (&CopyOp, &Task),
    (below, target): (&[SnapshotId], &Root),
    draft: &mut Draft<'_>,
) -> Result<Option<Vec<Tree>>, Error> {
    let chown = copy::find_owner(worker, op, below, target, &task.step)?;
    let mut sources = Vec::new();
    for source in &op.sources {
        let CopySource::Path {
            input,
            path,
            unpack,
        } = source
        else {
            return Ok(None);
        };
        let tree = Tree::open(worker, &task.inputs[*input])?;
        let root = Arc::new(Root::new(tree.root().dir().try_clone()?));
        let manner = copy::manner(op, chown, (&tree, task));
        for selected in files::select(tree.root(), &copy::wish(op, path, &tree))? {
            let placed = if *unpack && copy::is_archive(tree.root(), &selected)? {
                let archive = Arc::new(tree.root().open_file(&selected.path)?);
                let owner = op.owner.as_ref().and(manner.owner);
                layer::list_archive(&archive)
                    .and_then(|all| draft.extract(all, &op.destination, (&manner, owner)))
            } else {
                draft.place(&selected, &root, &op.destination, &manner)
            };
            if placed.is_none() {
                return Ok(None);
            }
        }
        sources.push(tree);
    }
    Ok(Some(sources))
}

/// Keeps a change set as its layer alone.
fn keep(worker: &Worker, layer: &Layer) -> Result<SnapshotId, Error> {
    let text = serde_json::to_vec(layer).expect("strings and numbers are JSON");
    Ok(worker.snapshots.keep_layer(&text)?)
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: since.subsec_nanos(),
    }
}
