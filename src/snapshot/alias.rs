//! Second names of snapshots: symbolic links beside them.
//!
//! A change set that was packed into a layer is what unpacking that layer would give, so that it
//! gets the layer's name as well. A link is made and removed in one step, and one whose snapshot
//! is gone stands for nothing: it needs no lock and no care after a crash.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::snapshot::Result;
use crate::snapshot::SnapshotId;
use crate::snapshot::error::cannot;

/// Lets `place` stand for the snapshot `id` beside it, unless it stands for one.
pub(super) fn make(place: &Path, id: &SnapshotId) -> Result<()> {
    forget_dangling(place)?;
    match symlink(id.as_str(), place) {
        // Equal names stand for equal content, whoever was first.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(cannot("create", place)),
    }
}

/// Gives what `place` stands for; none if it is no second name.
pub(super) fn target(place: &Path) -> Option<SnapshotId> {
    let target = fs::read_link(place).ok()?;
    SnapshotId::new(target.to_str()?).ok()
}

/// Removes a second name whose snapshot is gone.
pub(super) fn forget_dangling(place: &Path) -> Result<()> {
    if target(place).is_none() || place.exists() {
        return Ok(());
    }
    match fs::remove_file(place) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(cannot("remove", place)),
    }
}
