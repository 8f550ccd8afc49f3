//! `COPY` and `ADD`: files from inputs into a root filesystem.

mod direct;
mod draft;

use std::io::Write;
use std::path::Path;

use crate::cache::ContentDigest;
use crate::graph::CopyOp;
use crate::graph::CopySource;
use crate::layer;
use crate::layer::Bounds;
use crate::layer::UnpackOptions;
use crate::progress::Step;
use crate::snapshot::Active;
use crate::snapshot::Snapshotter;
use crate::solver::Made;
use crate::solver::Selection;
use crate::solver::Task;
use crate::sys;
use crate::sys::FileKind;
use crate::sys::Owner;
use crate::sys::Root;
use crate::worker::Error;
use crate::worker::Worker;
use crate::worker::blocking;
use crate::worker::change_set;
use crate::worker::change_set::Tree;
use crate::worker::files;
use crate::worker::files::Manner;
use crate::worker::files::Selected;
use crate::worker::files::Wish;
use crate::worker::stoppable::Stoppable;

/// Digests what the sources of `op` select from one input.
pub(super) fn content(
    worker: &Worker,
    op: &CopyOp,
    selection: &Selection<'_>,
) -> Result<Option<ContentDigest>, Error> {
    let tree = Tree::open(worker, selection.input)?;
    let paths = op.sources.iter().filter_map(|source| match source {
        CopySource::Path { input, path, .. } if *input == selection.position => Some(path),
        _ => None,
    });
    let wishes = paths.map(|path| wish(op, path, &tree));
    tree.digest(worker, wishes).map(Some)
}

fn wish<'a>(op: &'a CopyOp, path: &'a str, tree: &'a Tree) -> Wish<'a> {
    Wish {
        path,
        literal: false,
        excludes: &op.excludes,
        parents: op.parents,
        ignore: tree.ignore.as_ref(),
        store: tree.store.as_ref(),
    }
}

/// Copies what `op` says.
pub(super) async fn run(worker: &Worker, op: CopyOp, task: &Task) -> Result<Made, Error> {
    let (worker, task) = (worker.clone(), task.clone());
    blocking(move || match direct::run(&worker, &op, &task) {
        Ok(Some(made)) => Ok(made),
        // A layer tells a file's size before its content, so nobody may write to it meanwhile: of a
        // log in the context, a copy is made first.
        Ok(None)
        | Err(Error::Layer {
            source: layer::Error::Changed { .. },
        }) => copy(&worker, &op, &task),
        Err(error) => Err(error),
    })
    .await
}

fn copy(worker: &Worker, op: &CopyOp, task: &Task) -> Result<Made, Error> {
    let (inputs, step) = (&task.inputs, &task.step);
    let below = match op.reads_base() {
        true => change_set::whole(worker, inputs[0].chain())?,
        false => Vec::new(),
    };
    let chain = if op.link { &[] } else { below.as_slice() };
    let active = worker.snapshots.prepare(chain)?;
    let target = active.mount()?;
    let chown = find_owner(worker, op, &below, &target, step)?;
    for source in &op.sources {
        match source {
            CopySource::Inline { name, data } => {
                copy_inline(
                    worker,
                    op,
                    (name, data),
                    (chown.unwrap_or(Owner::ROOT), &target),
                )?;
            }
            CopySource::Path {
                input,
                path,
                unpack,
            } => {
                let tree = Tree::open(worker, &inputs[*input])?;
                let manner = manner(op, chown, (&tree, task));
                for selected in files::select(tree.root(), &wish(op, path, &tree))? {
                    let add = Add {
                        source: tree.root(),
                        target: &target,
                        op,
                        manner: &manner,
                        bounds: worker.options.bounds,
                    };
                    if !(*unpack && add.unpack(&selected)?) {
                        files::place(&selected, tree.root(), &target, &op.destination, &manner)?;
                    }
                }
            }
        }
    }
    drop(target);
    commit(&*worker.snapshots, active)
}

/// Gives what a copy says of the files of one of its inputs.
fn manner(op: &CopyOp, chown: Option<Owner>, (tree, task): (&Tree, &Task)) -> Manner {
    Manner {
        cancel: task.cancel.clone(),
        owner: chown.or(tree.owner),
        parent_owner: chown.unwrap_or(Owner::ROOT),
        mode: op.mode.clone(),
        keeps_paths: op.parents,
        capabilities: tree.context.is_none(),
        replaces: false,
    }
}

/// Says whether a selected file is an archive, by its content.
fn is_archive(source: &Root, selected: &Selected) -> Result<bool, Error> {
    if selected.node.stat.kind != FileKind::File {
        return Ok(false);
    }
    Ok(layer::is_archive(source.open_file(&selected.path)?))
}

/// Finds out whose the copies become. A copy by `--link` is made on an empty root, but its names
/// are those of the root it will lie on.
fn find_owner(
    worker: &Worker,
    op: &CopyOp,
    below: &[crate::snapshot::SnapshotId],
    target: &Root,
    step: &Step,
) -> Result<Option<Owner>, Error> {
    let Some(text) = &op.owner else {
        return Ok(None);
    };
    let lookup = if op.link && !below.is_empty() {
        files::look_up(worker.snapshots.view(below)?.root(), text)
    } else {
        files::look_up(target, text)
    };
    if lookup.unknown {
        files::warn_unknown(step, text);
    }
    Ok(Some(lookup.owner))
}

/// Makes a change set a snapshot of a new name.
fn commit(snapshots: &dyn Snapshotter, active: Active) -> Result<Made, Error> {
    let id = snapshots.commit(active, None)?;
    Ok(Made {
        change_set: id,
        content: None,
        times: None,
        facts: Vec::new(),
        layer: None,
    })
}

/// Writes a heredoc to a file of its own and copies that.
fn copy_inline(
    worker: &Worker,
    op: &CopyOp,
    (name, data): (&str, &str),
    (chown, target): (Owner, &Root),
) -> Result<(), Error> {
    let scratch = worker.snapshots.prepare(&[])?;
    let source = scratch.mount()?;
    let mut file = source.dir().create_file(name, 0o644)?;
    let written = file.write_all(data.as_bytes());
    written.map_err(|source| sys::Error::new(format!("write({name:?})"), source))?;
    sys::file::set_mode(&file, 0o644)?;
    let manner = Manner {
        mode: op.mode.clone(),
        ..Manner::plain(Some(chown))
    };
    for selected in files::select(&source, &Wish::exactly(name))? {
        files::place(&selected, &source, target, &op.destination, &manner)?;
    }
    Ok(())
}

/// A source of an `ADD` that unpacks archives.
struct Add<'a> {
    source: &'a Root,
    target: &'a Root,
    op: &'a CopyOp,
    manner: &'a Manner,
    bounds: Bounds,
}

impl Add<'_> {
    /// Unpacks a file that is an archive, by its content, into the destination, which is then a
    /// directory; says whether it was one.
    fn unpack(&self, selected: &Selected) -> Result<bool, Error> {
        if !is_archive(self.source, selected)? {
            return Ok(false);
        }
        let destination = Path::new(&self.op.destination);
        let parents = self.manner.of_archive().parents();
        let made = files::make_dirs(self.target, destination, &parents)?;
        let owner = self.op.owner.as_ref().and(self.manner.owner);
        let archive = Stoppable {
            inner: self.source.open_file(&selected.path)?,
            cancel: &self.manner.cancel,
        };
        let options = UnpackOptions::archive(owner).within(self.bounds);
        let unpacked = layer::unpack(archive, &Root::new(made.dir), &options);
        unpacked.map_err(|source| Error::Unpack {
            path: selected.path.clone(),
            source: Box::new(source),
        })?;
        Ok(true)
    }
}
