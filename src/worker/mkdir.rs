//! `WORKDIR`: a directory where there is none.

use std::path::Path;

use crate::graph::MkdirOp;
use crate::solver::Made;
use crate::solver::Task;
use crate::sys::MakeDirs;
use crate::sys::Symlinks;
use crate::worker::Error;
use crate::worker::Worker;
use crate::worker::blocking;
use crate::worker::change_set;
use crate::worker::files;

/// Makes the directory and those above it, each owned by the user the image has then.
pub(super) async fn run(worker: &Worker, op: MkdirOp, task: &Task) -> Result<Made, Error> {
    let worker = worker.clone();
    let (input, step) = (task.inputs[0].clone(), task.step.clone());
    blocking(move || {
        let snapshots = &worker.snapshots;
        let chain = change_set::whole(&worker, input.chain())?;
        let active = snapshots.prepare(&chain)?;
        let began = change_set::began(active.stack())?;
        let root = active.mount()?;
        let owner = files::look_up(&root, &op.owner);
        if owner.unknown {
            files::warn_unknown(&step, &op.owner);
        }
        let options = MakeDirs {
            mode: 0o755,
            owner: Some(owner.owner),
            modified: None,
            symlinks: Symlinks::Follow,
        };
        files::make_dirs(&root, Path::new(&op.path), &options)?;
        drop(root);
        change_set::commit(&**snapshots, active, began)
    })
    .await
}
