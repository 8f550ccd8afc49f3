//! Whose the files of a store are: a user who was given other ranges of numbers since it was made
//! may not read and remove them all.

use std::error::Error as _;
use std::io;
use std::iter;
use std::path::Path;

use crate::manage::Error;
use crate::snapshot;
use crate::snapshot::Kind;
use crate::snapshot::Lazy;

/// Fails where a build could make no root file system of the snapshots of a store, since their files
/// are of other users than this process may be, or have another form than it makes.
///
/// # Errors
/// [`Error::Snapshot`].
pub fn check_snapshots(root: &Path, has_mounts: bool) -> Result<(), Error> {
    let folder = root.join("snapshots");
    if !folder.exists() {
        return Ok(());
    }
    let kind = move || match has_mounts {
        true => Kind::Overlay,
        false => Kind::Copy,
    };
    Ok(Lazy::open(&folder, kind)?.check()?)
}

/// Says whose the files are where something was refused to this process for that.
pub(super) fn or_whose(error: Error, root: &Path) -> Error {
    if !is_denied(&error) {
        return error;
    }
    match check_snapshots(root, true) {
        Err(Error::Snapshot(
            whose @ (snapshot::Error::Owners { .. } | snapshot::Error::Form { .. }),
        )) => Error::Snapshot(whose),
        _ => error,
    }
}

fn is_denied(error: &Error) -> bool {
    let mut causes = iter::successors(error.source(), |cause| (*cause).source());
    let of_kernel = causes.find_map(|cause| cause.downcast_ref::<io::Error>());
    of_kernel.is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
}
