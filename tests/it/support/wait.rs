//! Waiting for what other processes and threads do.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// Longer than anything takes that a test waits for, on a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until the condition holds; fails the test when that takes longer than [`PATIENCE`].
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(
            begun.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain until {what}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether somebody waits for a lock, as the kernel lists it: `1: -> FLOCK …:<inode> …`.
pub(crate) fn is_awaited(lock: &Path) -> bool {
    let inode = format!(":{} ", fs::metadata(lock).unwrap().ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let mut lines = locks.lines();
    lines.any(|line| line.contains("-> FLOCK") && line.contains(&inode))
}
