//! What of `/proc` and `/sys` a sandbox must not see or change: Docker's lists.

use std::path::Path;

use crate::sandbox::inside::rootfs::tmpfs;
use crate::sandbox::inside::system::INERT;
use crate::sys::Error;
use crate::sys::Handle;
use crate::sys::Root;
use crate::sys::mount::Attributes;
use crate::sys::mount::Depth;
use crate::sys::mount::Mount;

/// What of `/proc` tells of the machine, or could harm it, and is hidden.
const MASKED_PROC: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
];

/// The same of `/sys`.
const MASKED_SYS: [&str; 2] = ["/sys/firmware", "/sys/devices/virtual/powercap"];

/// What of `/proc` can be seen but not changed.
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

const INERT_READ_ONLY: Attributes = Attributes {
    read_only: true,
    ..INERT
};

/// What is laid over what is hidden.
pub(super) struct Masks {
    /// Over a file.
    null: Handle,
    /// Over a directory, once it was needed.
    cover: Option<Mount>,
}

impl Masks {
    /// Hides and protects parts of `/proc` below `root`, where the devices are at its top.
    pub(super) fn of_proc(root: &Root) -> Result<Masks, Error> {
        let null = root.resolve("null".as_ref())?;
        let mut masks = Masks { null, cover: None };
        masks.hide(root, &MASKED_PROC)?;
        protect(root)?;
        Ok(masks)
    }

    /// Hides parts of `/sys` below `root`.
    pub(super) fn of_sys(mut self, root: &Root) -> Result<(), Error> {
        self.hide(root, &MASKED_SYS)
    }

    /// Hides what there is of `paths`.
    fn hide(&mut self, root: &Root, paths: &[&'static str]) -> Result<(), Error> {
        for found in there_are(root, paths) {
            let found = found?;
            match found.stat()?.is_dir() {
                true => self.cover(&found)?,
                false => Mount::bind_handle(&self.null)?.attach(&found)?,
            }
        }
        Ok(())
    }

    /// Lays an empty directory that nothing can be written into over another. One does for all:
    /// once it lies somewhere, there can be more views on it.
    fn cover(&mut self, place: &Handle) -> Result<(), Error> {
        if let Some(cover) = &self.cover {
            return cover.view()?.attach(place);
        }
        let cover = self.cover.insert(tmpfs(Some(0), 0o755, INERT_READ_ONLY)?);
        cover.attach(place)
    }
}

/// Protects parts of `/proc` from changes.
fn protect(root: &Root) -> Result<(), Error> {
    for found in there_are(root, &READ_ONLY) {
        let found = found?;
        let view = Mount::bind_handle(&found)?;
        view.attach(&found)?;
        view.restrict(INERT_READ_ONLY, Depth::Tree)?;
    }
    Ok(())
}

/// Finds what there is of `paths`: not every kernel has all of them.
fn there_are(root: &Root, paths: &[&'static str]) -> impl Iterator<Item = Result<Handle, Error>> {
    let found = paths.iter().map(|path| root.resolve(Path::new(path)));
    found.filter(|found| !found.as_ref().is_err_and(Error::is_not_found))
}
