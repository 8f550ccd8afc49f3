//! The mount points that every sandbox needs, in a snapshot that lies below all others.
//!
//! Where an image lacks one, a sandbox would have to make it in the change set and remove it again,
//! and the directory it is in would be copied up: for each command, and into each change set, so
//! that every later mount has more to look through.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use crate::layer::whiteout;
use crate::snapshot::Active;
use crate::snapshot::Result;
use crate::snapshot::SnapshotId;
use crate::snapshot::Snapshotter;
use crate::snapshot::Stack;
use crate::sys;
use crate::sys::Dir;
use crate::sys::MakeDirs;
use crate::sys::Owner;
use crate::sys::Root;
use crate::sys::Stat;
use crate::sys::Symlinks;
use crate::sys::Timestamp;

/// What the snapshot is called; what is in it never changes under one name.
const NAME: &str = "mount-points-1";

/// Directories that something is mounted upon.
const MOUNTED: [&str; 3] = ["proc", "sys", "dev"];
/// The directory of the files that something is mounted upon.
const FOLDER: &str = "etc";
const FILES: [&str; 2] = ["hosts", "resolv.conf"];

/// The snapshot, found or made when it is first needed, and held for as long as this lives.
#[derive(Clone, Debug, Default)]
pub(in crate::worker) struct MountPoints(Arc<OnceLock<Option<Active>>>);

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

/// Gives an `/etc` that a command copied up, and in which nothing was made, the time at which the
/// command began, if something that the command needed was missing there: as if it had been made
/// in this `/etc` and removed again, which is how BuildKit does it.
pub(super) fn date(stack: &Stack, began: Timestamp) -> sys::Result<()> {
    let Stack::Overlay { lowers, upper, .. } = stack else {
        return Ok(());
    };
    let upper = Dir::open(upper)?;
    let Some(own) = upper.find(FOLDER)?.filter(Stat::is_dir) else {
        return Ok(());
    };
    let mut modified = None;
    let mut missing = FILES.to_vec();
    for lower in lowers.iter().rev() {
        let lower = Dir::open(lower)?;
        if let Some(stat) = lower.find(FOLDER)?.filter(Stat::is_dir) {
            modified.get_or_insert(stat.modified);
            let folder = lower.open_dir(FOLDER)?;
            missing.retain(|name| folder.stat(name).is_err());
        }
    }
    if modified == Some(own.modified) && !missing.is_empty() {
        upper.set_modified(FOLDER, began)?;
    }
    Ok(())
}

/// Makes what a sandbox mounts upon and the image lacks, as if it had been made when the command
/// began: BuildKit's runtime makes these directories itself, and nobody removes them.
pub(super) fn leave(stack: &Stack, began: Timestamp) -> sys::Result<()> {
    let (Stack::Overlay { upper: top, .. } | Stack::Directory(top)) = stack;
    let lowers: &[PathBuf] = match stack {
        Stack::Overlay { lowers, .. } => lowers,
        Stack::Directory(_) => &[],
    };
    for name in missing(top, lowers)? {
        make_dir(&Root::open(top)?, name, Some(began))?;
    }
    Ok(())
}

/// Finds what is mounted upon and neither in the top directory nor below. Directories are opened
/// one at a time: there may be more than files can be open.
fn missing(top: &Path, lowers: &[PathBuf]) -> sys::Result<Vec<&'static str>> {
    let here = Dir::open(top)?;
    let mut unknown = Vec::new();
    for name in MOUNTED {
        // A whiteout here is what the command itself did.
        if here.find(name)?.is_none() {
            unknown.push(name);
        }
    }
    let mut missing = Vec::new();
    for lower in lowers.iter().rev() {
        if unknown.is_empty() {
            break;
        }
        let lower = Dir::open(lower)?;
        for name in std::mem::take(&mut unknown) {
            match lower.find(name)? {
                None => unknown.push(name),
                Some(stat) if whiteout::is_whiteout(&stat) => missing.push(name),
                Some(_) => {}
            }
        }
    }
    missing.extend(unknown);
    Ok(missing)
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
    for name in MOUNTED.into_iter().chain([FOLDER]) {
        make_dir(root, name, None)?;
    }
    let folder = root.dir().open_dir(FOLDER)?;
    for name in FILES {
        sys::file::set_mode(&folder.create_file(name, 0o644)?, 0o644)?;
    }
    Ok(())
}

fn make_dir(root: &Root, name: &str, modified: Option<Timestamp>) -> sys::Result<()> {
    let options = MakeDirs {
        mode: 0o755,
        owner: Some(Owner::ROOT),
        modified,
        symlinks: Symlinks::Refuse,
    };
    root.make_dirs(Path::new(name), &options).map(|_made| ())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::missing;
    use crate::layer::whiteout;
    use crate::sys::Dir;

    #[test]
    fn what_a_layer_removed_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let layers = ["lowest", "middle", "top"].map(|name| folder.path().join(name));
        let [lowest, middle, top] = &layers;
        let lowers = [lowest.clone(), middle.clone()];
        layers
            .iter()
            .for_each(|layer| fs::create_dir(layer).unwrap());
        let all = ["proc", "sys", "dev"];
        assert_eq!(missing(top, &lowers).unwrap(), all);
        for name in all {
            fs::create_dir(lowest.join(name)).unwrap();
        }
        assert_eq!(missing(top, &lowers).unwrap(), [""; 0]);
        for name in ["sys", "dev"] {
            let middle = Dir::open(middle).unwrap();
            middle.make_node(name, whiteout::DEVICE, 0o600).unwrap();
        }
        fs::create_dir(top.join("dev")).unwrap();
        assert_eq!(missing(top, &lowers).unwrap(), ["sys"]);
    }
}
