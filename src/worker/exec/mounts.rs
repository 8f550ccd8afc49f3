//! `RUN --mount`: what a command finds mounted.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cache::ContentDigest;
use crate::graph::CacheMount;
use crate::graph::ExecOp;
use crate::graph::MountKind;
use crate::graph::SecretMount;
use crate::graph::Sharing;
use crate::sandbox::Access;
use crate::sandbox::Isolation;
use crate::sandbox::Mount;
use crate::sandbox::MountSource;
use crate::snapshot::Active;
use crate::snapshot::SnapshotId;
use crate::snapshot::Stack;
use crate::solver::Body;
use crate::solver::Cancel;
use crate::solver::Output;
use crate::solver::Selection;
use crate::sys::Owner;
use crate::sys::Root;
use crate::worker::Error;
use crate::worker::Worker;
use crate::worker::change_set;
use crate::worker::change_set::Tree;
use crate::worker::exec::cache_mount;
use crate::worker::exec::cache_mount::Held;
use crate::worker::exec::ssh;
use crate::worker::exec::ssh::Forward;
use crate::worker::files;
use crate::worker::files::Manner;
use crate::worker::files::Wish;

/// Mounts ready for a sandbox, and what must live as long as it does.
#[derive(Default)]
pub(super) struct Prepared {
    /// What is mounted, in order.
    pub(super) mounts: Vec<Mount>,
    /// Environment that comes with them: secrets.
    pub(super) env: Vec<(String, String)>,
    held: BTreeMap<PathBuf, Held>,
    /// Before the folders that their sockets are in.
    forwards: Vec<Forward>,
    scratch: Vec<Active>,
}

/// Digests what the bind mounts of `op` show of one input.
pub(in crate::worker) fn content(
    worker: &Worker,
    op: &ExecOp,
    selection: &Selection<'_>,
) -> Result<Option<ContentDigest>, Error> {
    let tree = Tree::open(worker, selection.input)?;
    let paths = op.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Bind { input, source, .. } if *input == selection.position => Some(source),
        MountKind::Cache(cache) if cache.input == Some(selection.position) => Some(&cache.source),
        _ => None,
    });
    let wishes = paths.map(|path| wish(path, &tree));
    tree.digest(worker, wishes).map(Some)
}

fn wish<'a>(path: &'a str, tree: &'a Tree) -> Wish<'a> {
    Wish {
        ignore: tree.ignore.as_ref(),
        store: tree.store.as_ref(),
        ..Wish::exactly(path)
    }
}

/// Prepares the mounts of `op`. May wait for cache mounts that others have locked, until `cancel`.
pub(super) fn prepare(
    worker: &Worker,
    op: &ExecOp,
    inputs: &[Arc<Output>],
    cancel: &Cancel,
) -> Result<Prepared, Error> {
    let mut prepared = Prepared {
        held: acquire_caches(worker, op, inputs, cancel)?,
        ..Prepared::default()
    };
    for mount in &op.mounts {
        let source = match &mount.kind {
            MountKind::Bind {
                input,
                source,
                writable,
            } => {
                let bind = Bind {
                    worker,
                    source,
                    writable: *writable,
                };
                Some(bind.prepare(&inputs[*input], &mut prepared)?)
            }
            MountKind::Cache(cache) => {
                let held = &prepared.held[&cache_family(worker, cache, inputs)];
                Some(MountSource::Bind {
                    path: held.path.clone(),
                    access: match cache.readonly {
                        true => Access::ReadOnly,
                        false => Access::ReadWrite,
                    },
                })
            }
            MountKind::Tmpfs { size_bytes } => Some(MountSource::Tmpfs {
                size_bytes: *size_bytes,
                mode: 0o1777,
            }),
            MountKind::Secret(secret) => {
                prepare_secret(worker, secret, &mount.target, &mut prepared)?
            }
            MountKind::Ssh { .. } => prepare_ssh(worker, &mount.kind, &mut prepared)?,
            MountKind::Script { data } => Some(MountSource::File {
                content: data.clone().into_bytes(),
                mode: 0o755,
                uid: 0,
                gid: 0,
                access: Access::ReadOnly,
            }),
        };
        if let Some(source) = source {
            prepared.mounts.push(Mount {
                target: mount.target.clone(),
                source,
            });
        }
    }
    Ok(prepared)
}

/// A bind mount to prepare.
struct Bind<'a> {
    worker: &'a Worker,
    source: &'a str,
    writable: bool,
}

impl Bind<'_> {
    fn prepare(&self, input: &Output, prepared: &mut Prepared) -> Result<MountSource, Error> {
        match &input.body {
            Body::Root(chain) => self.of_chain(&change_set::whole(self.worker, chain)?, prepared),
            Body::Context(op) => {
                let tree = Tree::open(self.worker, input)?;
                match tree.ignore.is_none() && !self.writable {
                    true => self.of_directory(change_set::context_path(self.worker, op)),
                    false => self.of_copy(&tree, prepared),
                }
            }
        }
    }

    /// A path of another root filesystem; what is written to it is forgotten.
    fn of_chain(
        &self,
        chain: &[SnapshotId],
        prepared: &mut Prepared,
    ) -> Result<MountSource, Error> {
        let view = self.worker.snapshots.view(chain)?;
        view.root()
            .stat(Path::new(self.source))
            .map_err(|_| self.missing())?;
        drop(view);
        let active = self.worker.snapshots.prepare(chain)?;
        let source = match active.stack() {
            Stack::Overlay {
                lowers,
                upper,
                work,
            } if !lowers.is_empty() => MountSource::Layered {
                lowers: lowers.clone(),
                changes: self.writable.then(|| (upper.clone(), work.clone())),
                path: PathBuf::from(self.source),
            },
            Stack::Overlay { upper: path, .. } | Stack::Directory(path) => {
                self.of_directory(path)?
            }
        };
        prepared.scratch.push(active);
        Ok(source)
    }

    /// A path inside a directory of the host, which it cannot leave.
    fn of_directory(&self, folder: &Path) -> Result<MountSource, Error> {
        let real = Root::open(folder)?.real_path(Path::new(self.source))?;
        if real.found.is_none() {
            return Err(self.missing());
        }
        Ok(MountSource::Bind {
            path: folder.join(real.path),
            access: self.access(),
        })
    }

    /// A copy of a path of a context: of what its ignore file leaves, to be written at will.
    fn of_copy(&self, tree: &Tree, prepared: &mut Prepared) -> Result<MountSource, Error> {
        let active = self.worker.snapshots.prepare(&[])?;
        let (Stack::Overlay { upper, .. } | Stack::Directory(upper)) = active.stack();
        copy_to(tree, self.source, (&Root::open(upper)?, "/mount"))?;
        let path = upper.join("mount");
        prepared.scratch.push(active);
        Ok(MountSource::Bind {
            path,
            access: self.access(),
        })
    }

    fn access(&self) -> Access {
        if self.writable {
            Access::ReadWrite
        } else {
            Access::ReadOnly
        }
    }

    fn missing(&self) -> Error {
        Error::SourceMissing {
            path: PathBuf::from(self.source),
        }
    }
}

/// Copies a path of `tree` as it is.
fn copy_to(tree: &Tree, source: &str, (target, name): (&Root, &str)) -> Result<(), Error> {
    let manner = Manner::plain(tree.owner);
    for selected in files::select(tree.root(), &wish(source, tree))? {
        files::place(&selected, tree.root(), target, name, &manner)?;
    }
    Ok(())
}

/// Takes all cache mounts of `op`, by their families: each once, however often it is mounted, for a
/// command that waited for itself would wait for ever. A directory that cannot be mounted is moved to
/// where a command is to find it, and so is one command's at a time.
fn acquire_caches(
    worker: &Worker,
    op: &ExecOp,
    inputs: &[Arc<Output>],
    cancel: &Cancel,
) -> Result<BTreeMap<PathBuf, Held>, Error> {
    let mut wanted = BTreeMap::new();
    let is_moved = worker.options.ladder.isolation()? != Isolation::Namespace;
    for mount in &op.mounts {
        if let MountKind::Cache(cache) = &mount.kind {
            let family = cache_family(worker, cache, inputs);
            wanted.entry(family).or_insert(cache);
        }
    }
    let held = wanted.into_iter().map(|(family, cache)| {
        let fill = |folder: &Path| match cache.input {
            Some(input) => {
                let tree = Tree::open(worker, &inputs[input])?;
                copy_to(&tree, &cache.source, (&Root::open(folder)?, "/"))
            }
            None => Ok(()),
        };
        let sharing = match cache.sharing {
            Sharing::Shared if is_moved => Sharing::Locked,
            sharing => sharing,
        };
        let held = cache_mount::acquire(&family, (cache, sharing), cancel, fill)?;
        Ok((family, held))
    });
    held.collect()
}

fn cache_family(worker: &Worker, mount: &CacheMount, inputs: &[Arc<Output>]) -> PathBuf {
    let start = mount.input.map(|input| inputs[input].key.hex());
    cache_mount::family(&worker.options.root, mount, &start.unwrap_or_default())
}

fn prepare_secret(
    worker: &Worker,
    mount: &SecretMount,
    target: &str,
    prepared: &mut Prepared,
) -> Result<Option<MountSource>, Error> {
    let Some(value) = worker.options.secrets.get(&mount.id) else {
        return match mount.required {
            true => Err(Error::SecretMissing {
                id: mount.id.clone(),
            }),
            false => Ok(None),
        };
    };
    if let Some(name) = &mount.env {
        let text = String::from_utf8_lossy(value).into_owned();
        prepared.env.push((name.clone(), text));
    }
    let file = MountSource::File {
        content: value.clone(),
        mode: mount.mode,
        uid: mount.uid,
        gid: mount.gid,
        access: Access::ReadOnly,
    };
    Ok(Some(file).filter(|_| !target.is_empty()))
}

/// A socket that leads to the agent; the plan's environment says where the command finds it.
fn prepare_ssh(
    worker: &Worker,
    mount: &MountKind,
    prepared: &mut Prepared,
) -> Result<Option<MountSource>, Error> {
    let MountKind::Ssh {
        id,
        required,
        mode,
        uid,
        gid,
    } = mount
    else {
        unreachable!("only ssh mounts come here")
    };
    let Some(agent) = worker.options.ssh.get(id) else {
        return match required {
            true => Err(Error::SshMissing { id: id.clone() }),
            false => Ok(None),
        };
    };
    let scratch = worker.snapshots.prepare(&[])?;
    let (Stack::Overlay { upper, .. } | Stack::Directory(upper)) = scratch.stack();
    let owner = Owner {
        uid: *uid,
        gid: *gid,
    };
    let forward = Forward::start(agent, (upper, "agent"), ssh::Access { owner, mode: *mode })?;
    let path = forward.path().to_owned();
    prepared.forwards.push(forward);
    prepared.scratch.push(scratch);
    Ok(Some(MountSource::Bind {
        path,
        access: Access::ReadWrite,
    }))
}
