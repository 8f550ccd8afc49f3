//! The mount points that every sandbox needs, in a snapshot that lies below all others.
//!
//! Where an image lacks one, a sandbox would have to make it in the change set and remove it again,
//! and the directory it is in would be copied up: for each command, and into each change set, so
//! that every later mount has more to look through.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use crate::snapshot::Active;
use crate::snapshot::Result;
use crate::snapshot::SnapshotId;
use crate::snapshot::Snapshotter;
use crate::snapshot::Stack;
use crate::sys;
use crate::sys::MakeDirs;
use crate::sys::Owner;
use crate::sys::Root;
use crate::sys::Symlinks;

/// What the snapshot is called; what is in it never changes under one name.
const NAME: &str = "mount-points-1";

const DIRECTORIES: [&str; 4] = ["proc", "sys", "dev", "etc"];
const FILES: [&str; 2] = ["hosts", "resolv.conf"];

/// The snapshot, found or made when it is first needed, and held for as long as this lives.
#[derive(Clone, Debug, Default)]
pub(super) struct MountPoints(Arc<OnceLock<Option<Active>>>);

impl MountPoints {
    /// Gives its directory; none where root filesystems are not laid over each other. Without it a
    /// sandbox does the same in another way, so that no failure here is one of the build.
    pub(super) fn directory(&self, snapshots: &dyn Snapshotter) -> Option<&PathBuf> {
        let active = self.0.get_or_init(|| open(snapshots).ok());
        match active.as_ref()?.stack() {
            Stack::Overlay { lowers, .. } => lowers.first(),
            Stack::Directory(_) => None,
        }
    }
}

fn open(snapshots: &dyn Snapshotter) -> Result<Active> {
    let id = SnapshotId::new(NAME)?;
    if !snapshots.exists(&id) {
        let active = snapshots.prepare(&[])?;
        // What is not whole is not committed, and then the snapshot is missing below.
        if make(&active.mount()?).is_ok() {
            snapshots.commit(active, Some(id.clone()))?;
        }
    }
    snapshots.prepare(&[id])
}

fn make(root: &Root) -> sys::Result<()> {
    let options = MakeDirs {
        mode: 0o755,
        owner: Some(Owner { uid: 0, gid: 0 }),
        modified: None,
        symlinks: Symlinks::Refuse,
    };
    for name in DIRECTORIES {
        root.make_dirs(Path::new(name), &options)?;
    }
    let etc = root.dir().open_dir("etc")?;
    for name in FILES {
        sys::file::set_mode(&etc.create_file(name, 0o644)?, 0o644)?;
    }
    Ok(())
}
