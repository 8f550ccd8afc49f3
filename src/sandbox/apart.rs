//! What of the machine a sandbox has for itself, by its [`Isolation`].

use std::path::Path;
use std::path::PathBuf;

use crate::sandbox::Error;
use crate::sandbox::cgroup::Limit;
use crate::sandbox::inside::Inside;
use crate::sandbox::inside::report::Problem;
use crate::sandbox::spec::Access;
use crate::sandbox::spec::Isolation;
use crate::sandbox::spec::Mount;
use crate::sandbox::spec::MountSource;
use crate::sandbox::spec::Network;
use crate::sandbox::spec::Rootfs;
use crate::sandbox::spec::Spec;
use crate::sys;
use crate::sys::namespace::Namespace;
use crate::sys::process;
use crate::sys::trial;

/// The namespaces that every sandbox has for itself where namespaces can be made.
const NAMESPACES: [Namespace; 4] = [
    Namespace::Mount,
    Namespace::Pid,
    Namespace::Ipc,
    Namespace::Uts,
];

/// Finds out whether namespaces can be made here, and be mounted in.
pub(super) fn try_namespaces() -> sys::Result<()> {
    trial::namespaces(&NAMESPACES)
}

/// Refuses what only namespaces give, rather than run without.
pub(super) fn check(spec: &Spec) -> Result<(), Error> {
    let Isolation::Chroot { own } = &spec.isolation else {
        return Ok(());
    };
    match needing(spec, own) {
        Some(what) => Err(Error::NeedsNamespaces { what }),
        None => Ok(()),
    }
}

fn needing(spec: &Spec, own: &Path) -> Option<String> {
    let what = match &spec.root {
        _ if spec.network != Network::Host => "a network of its own",
        _ if spec.root_access == Access::ReadOnly => "a read-only root file system",
        _ if spec.asked_shm_bytes().is_some() => "a size of /dev/shm",
        Rootfs::Overlay { .. } => "a root file system of layers",
        Rootfs::Directory(_) => {
            let mut mounts = spec.mounts.iter();
            let found = mounts.find_map(|mount| of_mount(mount, own));
            return found.or_else(|| at_two_places(spec));
        }
    };
    Some(what.to_owned())
}

/// What of a mount cannot be had by copying or moving.
fn of_mount(mount: &Mount, own: &Path) -> Option<String> {
    let target = &mount.target;
    match &mount.source {
        MountSource::Bind { path, access } => {
            let is_moved = *access == Access::ReadOnly || path.starts_with(own);
            (!is_moved).then(|| format!("a volume that can be written, at {target},"))
        }
        MountSource::Tmpfs { size_bytes, .. } => {
            size_bytes.map(|_| format!("a size of the memory at {target}"))
        }
        MountSource::Layered { .. } => Some(format!("a mount of layers, at {target},")),
        MountSource::Own | MountSource::File { .. } => None,
    }
}

/// Finds two mounts of one directory that can be written: it is moved, and to one of them alone.
fn at_two_places(spec: &Spec) -> Option<String> {
    let binds = spec.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Bind { path, access } => Some((&mount.target, path, *access)),
        _ => None,
    });
    let mut known: Vec<(&String, &PathBuf, Access)> = Vec::new();
    for (target, path, access) in binds {
        let is_other = |other: &&(&String, &PathBuf, Access)| {
            other.1 == path && [other.2, access].contains(&Access::ReadWrite)
        };
        if let Some((first, ..)) = known.iter().find(is_other) {
            return Some(format!(
                "one directory at two places, {first} and {target},"
            ));
        }
        known.push((target, path, access));
    }
    None
}

pub(super) fn namespaces(spec: &Spec) -> Vec<Namespace> {
    if spec.isolation != Isolation::Namespace {
        return Vec::new();
    }
    let mut own = NAMESPACES.to_vec();
    if spec.network == Network::None {
        own.push(Namespace::Network);
    }
    own
}

/// The keys of the template's session are none.
pub(super) fn leave_session(_: &mut Inside) -> Result<(), Problem> {
    process::new_session()?;
    Ok(process::new_keyring()?)
}

/// A group that is there for the usual limit may stay shut; then that is kept without.
pub(super) fn enter_groups(inside: &mut Inside) -> Result<(), Problem> {
    let has_namespaces = inside.spec.isolation == Isolation::Namespace;
    for mut door in inside.doors.drain(..) {
        if !door.enter()? {
            let (own, limits) = (&mut inside.ungrouped, &inside.spec.limits);
            let _kept = own.keep(Limit::Processes, limits, has_namespaces);
        }
    }
    Ok(())
}
