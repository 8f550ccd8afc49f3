//! The files of a result, opened for reading.

use std::path::Path;
use std::path::PathBuf;

use crate::cache::ContentDigest;
use crate::cache::ContentHasher;
use crate::graph::ContextOp;
use crate::graph::Patterns;
use crate::layer::UnpackOptions;
use crate::oci::Layer;
use crate::snapshot;
use crate::snapshot::SnapshotId;
use crate::snapshot::View;
use crate::solver::Body;
use crate::solver::ChangeSet;
use crate::solver::Output;
use crate::sys::Owner;
use crate::sys::Root;
use crate::worker::Error;
use crate::worker::Worker;
use crate::worker::files;
use crate::worker::files::Wish;

/// The files of an input, open for reading.
pub(in crate::worker) struct Tree {
    files: Files,
    /// What its ignore file leaves out; none if it has none.
    pub(in crate::worker) ignore: Option<Patterns>,
    /// What of that is rbuild's own store, if it is in there.
    pub(in crate::worker) store: Option<Patterns>,
    /// Whose its files count as; none for their own owners.
    pub(in crate::worker) owner: Option<Owner>,
    /// The name of the context it is, if it is one.
    pub(in crate::worker) context: Option<String>,
}

enum Files {
    View(View),
    Directory(Root),
}

impl Tree {
    /// Opens the files of `output`.
    pub(in crate::worker) fn open(worker: &Worker, output: &Output) -> Result<Self, Error> {
        match &output.body {
            Body::Context(op) => Self::open_context(worker, op),
            Body::Root(chain) => {
                let view = worker.snapshots.view(&whole(worker, chain)?)?;
                Ok(Self {
                    files: Files::View(view),
                    ignore: None,
                    store: None,
                    owner: None,
                    context: None,
                })
            }
        }
    }

    fn open_context(worker: &Worker, op: &ContextOp) -> Result<Self, Error> {
        let folder = context_path(worker, op);
        // A store in its own context would be copied into the image, which grows by itself then.
        let store = pattern_inside(folder, &worker.options.root);
        let patterns = Patterns::new(op.ignore.iter().chain(&store))?;
        Ok(Self {
            files: Files::Directory(Root::open(folder)?),
            ignore: Some(patterns).filter(|patterns| !patterns.is_empty()),
            store: store.map(|store| Patterns::new([store])).transpose()?,
            owner: Some(Owner::ROOT),
            context: Some(op.name.clone()),
        })
    }

    /// Digests what is asked for of it.
    pub(in crate::worker) fn digest<'a>(
        &'a self,
        worker: &Worker,
        wishes: impl Iterator<Item = Wish<'a>>,
    ) -> Result<ContentDigest, Error> {
        let context = self.context.as_deref();
        let index = context.and_then(|context| worker.index(context));
        let mut hasher = ContentHasher::new();
        for wish in wishes {
            let selected = files::select(self.root(), &wish)?;
            let digest = files::digest(self.root(), &selected, self.owner, index.as_deref())?;
            hasher.update(digest.as_bytes());
        }
        Ok(hasher.finish())
    }

    /// Gives the directory in which every path of the input is looked up.
    pub(in crate::worker) fn root(&self) -> &Root {
        match &self.files {
            Files::View(view) => view.root(),
            Files::Directory(root) => root,
        }
    }
}

/// Gives the directory of a context.
pub(in crate::worker) fn context_path<'a>(worker: &'a Worker, op: &ContextOp) -> &'a PathBuf {
    let path = worker.options.contexts.get(&op.name);
    path.expect("every context of the plan was opened before it was lowered")
}

/// Gives the pattern that means `path` alone, if it is somewhere below `folder`.
fn pattern_inside(folder: &Path, path: &Path) -> Option<String> {
    let (folder, path) = (folder.canonicalize().ok()?, path.canonicalize().ok()?);
    let below = path.strip_prefix(folder).ok()?;
    let mut pattern = String::new();
    for c in below.to_string_lossy().chars() {
        match c {
            // Spaces around a pattern do not count, escaped or not.
            c if c.is_whitespace() => pattern.extend(['[', c, ']']),
            '*' | '?' | '[' | '\\' | '!' => pattern.extend(['\\', c]),
            c => pattern.push(c),
        }
    }
    Some(pattern)
}

/// Gives the snapshots of a root filesystem, lowest first. A change set of which there is only a
/// layer is unpacked.
pub(in crate::worker) fn whole(
    worker: &Worker,
    chain: &[ChangeSet],
) -> Result<Vec<SnapshotId>, Error> {
    let mut ids = Vec::with_capacity(chain.len());
    for change_set in chain {
        ids.push(match change_set {
            ChangeSet::Layer(diff_id) => layer_id(diff_id)?,
            ChangeSet::Made(id) => {
                if let Some(layer) = layer_alone(worker, id)? {
                    unpack(worker, id, &layer)?;
                }
                id.clone()
            }
        });
    }
    Ok(ids)
}

/// Says whether a change set is there, as a tree or as a layer to make it from.
pub(in crate::worker) fn is_whole(worker: &Worker, id: &SnapshotId) -> bool {
    match layer_alone(worker, id) {
        Ok(None) => true,
        Ok(Some(layer)) => worker.store.contains(&layer.blob),
        Err(_) => false,
    }
}

/// Gives the layer of a change set that has no tree.
fn layer_alone(worker: &Worker, id: &SnapshotId) -> Result<Option<Layer>, Error> {
    let Some(text) = worker.snapshots.layer_alone(id)? else {
        return Ok(None);
    };
    // What cannot be read is as good as gone.
    let layer = serde_json::from_slice(&text);
    let missing = |_| snapshot::Error::Missing { id: id.clone() };
    Ok(Some(layer.map_err(missing)?))
}

fn unpack(worker: &Worker, id: &SnapshotId, layer: &Layer) -> Result<(), Error> {
    let active = worker.snapshots.prepare(&[])?;
    let blob = worker.store.open_blob(&layer.blob)?;
    let options = UnpackOptions::layer(Some(layer.diff_id));
    active.unpack(blob, &options.within(worker.options.bounds))?;
    worker.snapshots.commit(active, Some(id.clone()))?;
    Ok(())
}

/// Gives the snapshot of an image's layer.
pub(in crate::worker) fn layer_id(diff_id: &crate::oci::DiffId) -> Result<SnapshotId, Error> {
    Ok(SnapshotId::new(diff_id.0.hex())?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::pattern_inside;
    use crate::graph::Patterns;

    #[test]
    fn the_pattern_of_a_path_means_no_other() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".rbuild", "a/b", "*", "[x]", "!a", " a ", "\\", "\u{e4}?"] {
            let path = folder.path().join(name);
            fs::create_dir_all(&path).unwrap();
            let pattern = pattern_inside(folder.path(), &path).unwrap();
            let patterns = Patterns::new([&pattern]).unwrap();
            assert!(patterns.matches(name), "{name}");
            assert!(patterns.matches(&format!("{name}/below")), "{name}");
            for other in ["x", "a", "\u{e4}b", "sub/.rbuild"] {
                assert!(!patterns.matches(other), "{name}: {other}");
            }
        }
        assert_eq!(pattern_inside(folder.path(), Path::new("/")), None);
    }
}
