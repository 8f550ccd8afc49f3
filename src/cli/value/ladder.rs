//! How commands are kept apart and root file systems are made.

use crate::sandbox::IsolationWish;
use crate::sandbox::SnapshotterWish;

/// What `--isolation` and `RBUILD_ISOLATION` may say.
pub(crate) const ISOLATIONS: &str = "auto, namespace, rootless or chroot";

/// Reads the word behind `--isolation`.
pub(crate) fn isolation(text: &str) -> Result<IsolationWish, String> {
    match text {
        "auto" => Ok(IsolationWish::Auto),
        "namespace" => Ok(IsolationWish::Namespace),
        "rootless" => Ok(IsolationWish::Rootless),
        "chroot" => Ok(IsolationWish::Chroot),
        _ => Err(format!("expected {ISOLATIONS}")),
    }
}

/// What `--snapshotter` and `RBUILD_SNAPSHOTTER` may say.
pub(crate) const SNAPSHOTTERS: &str = "auto, overlay or copy";

/// Reads the word behind `--snapshotter`.
pub(crate) fn snapshotter(text: &str) -> Result<SnapshotterWish, String> {
    match text {
        "auto" => Ok(SnapshotterWish::Auto),
        "overlay" => Ok(SnapshotterWish::Overlay),
        "copy" => Ok(SnapshotterWish::Copy),
        _ => Err(format!("expected {SNAPSHOTTERS}")),
    }
}
