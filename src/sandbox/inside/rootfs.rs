//! The root file system and what the spec mounts in it.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::sandbox::inside::Inside;
use crate::sandbox::inside::report::Problem;
use crate::sandbox::inside::stub::Place;
use crate::sandbox::inside::system;
use crate::sandbox::spec;
use crate::sandbox::spec::Access;
use crate::sandbox::spec::MountSource;
use crate::sandbox::spec::Rootfs;
use crate::sys::CHANGE_SET_OPTIONS;
use crate::sys::Dir;
use crate::sys::Error;
use crate::sys::Overlay;
use crate::sys::Owner;
use crate::sys::Root;
use crate::sys::Stat;
use crate::sys::file;
use crate::sys::mount::Attributes;
use crate::sys::mount::Depth;
use crate::sys::mount::Mount;

/// Mounts the root file system over the directory of its changes, which nobody outside of this
/// mount namespace sees.
pub(super) fn mount_root(spec: &Rootfs) -> Result<(Root, Mount), Problem> {
    let made = match spec {
        Rootfs::Overlay {
            lowers,
            upper,
            work,
        } if !lowers.is_empty() => overlay(lowers, upper, work)?,
        Rootfs::Overlay { upper: path, .. } | Rootfs::Directory(path) => {
            let view = Mount::bind(path, Depth::One)?;
            view.attach(Dir::open(path)?)?;
            view
        }
    };
    let root = Root::new(made.dir()?);
    Ok((root, made))
}

fn overlay(lowers: &[PathBuf], upper: &Path, work: &Path) -> Result<Mount, Error> {
    let mount = |options| {
        let overlay = Overlay {
            ground: None,
            lowers,
            upper: Some((upper, work)),
            options,
        };
        overlay.mount(upper)
    };
    // The last option is the newest.
    let (_volatile, older) = CHANGE_SET_OPTIONS
        .split_last()
        .expect("the list is not empty");
    mount(&CHANGE_SET_OPTIONS).or_else(|_| mount(older))
}

/// Forbids changes to the root file system itself, and devices on it if nothing else does.
pub(super) fn protect_root(inside: &mut Inside) -> Result<(), Problem> {
    let attributes = limits(inside, inside.spec.root_access);
    Ok(inside.mount().restrict(attributes, Depth::One)?)
}

/// What a mount of the spec forbids.
fn limits(inside: &Inside, access: Access) -> Attributes {
    Attributes {
        read_only: access == Access::ReadOnly,
        no_dev: inside.forbids_devices && inside.spec.security == spec::Security::Sandbox,
        ..OPEN
    }
}

/// Mounts what the spec asks for, in its order.
pub(super) fn mount_all(inside: &mut Inside) -> Result<(), Problem> {
    let mounts = std::mem::take(&mut inside.spec.mounts);
    let mut files = std::mem::take(&mut inside.files).into_iter();
    for mount in mounts.iter().filter(|mount| !system::is_dev(mount)) {
        let target = Path::new(&mount.target);
        match &mount.source {
            MountSource::Bind { path, access } => {
                let made = Mount::bind(path, Depth::Tree)?;
                let kind = place_for(&file::stat(&made)?);
                made.attach(inside.place(target, kind)?)?;
                made.restrict(limits(inside, *access), Depth::Tree)?;
            }
            MountSource::Layered {
                lowers,
                changes,
                path,
            } => {
                let made = layered(lowers, changes.as_ref(), path)?;
                let kind = place_for(&file::stat(&made)?);
                made.attach(inside.place(target, kind)?)?;
                let access = match changes {
                    Some(_) => Access::ReadWrite,
                    None => Access::ReadOnly,
                };
                made.restrict(limits(inside, access), Depth::Tree)?;
            }
            MountSource::Own => mount_own(inside, target)?,
            MountSource::Tmpfs { size_bytes, mode } => {
                let made = tmpfs(
                    *size_bytes,
                    *mode,
                    Attributes {
                        no_suid: true,
                        ..limits(inside, Access::ReadWrite)
                    },
                )?;
                made.attach(inside.place(target, Place::Directory)?)?;
            }
            MountSource::File { access, .. } => {
                let made = files.next().expect("every file was staged, in this order");
                made.attach(inside.place(target, Place::File)?)?;
                made.restrict(limits(inside, *access), Depth::One)?;
            }
        }
    }
    Ok(())
}

/// Lays a directory of the root file system over itself: then what is forbidden on the whole is not
/// forbidden on it. Other mounts stay as they are, with all that they hide and forbid.
fn mount_own(inside: &mut Inside, target: &Path) -> Result<(), Problem> {
    let place = inside.place(target, Place::Directory)?;
    if file::stat(&place)?.identity.0 != inside.root().dir().stat(".")?.identity.0 {
        return Ok(());
    }
    let made = Mount::bind_handle(&place)?;
    made.attach(place)?;
    Ok(made.restrict(limits(inside, Access::ReadWrite), Depth::One)?)
}

/// Makes a view on a path inside directories laid over each other.
///
/// The overlay itself needs a place while the path is looked up: in this mount namespace, that is
/// over its own topmost directory.
fn layered(
    lowers: &[PathBuf],
    changes: Option<&(PathBuf, PathBuf)>,
    path: &Path,
) -> Result<Mount, Error> {
    if let (None, [only]) = (changes, lowers) {
        return Mount::bind_handle(Root::open(only)?.resolve(path)?);
    }
    let upper = changes.map(|(upper, work)| (upper.as_path(), work.as_path()));
    let place = upper
        .map(|(upper, _)| upper)
        .or(lowers.last().map(PathBuf::as_path));
    let options = if upper.is_some() {
        CHANGE_SET_OPTIONS.as_slice()
    } else {
        &[]
    };
    let overlay = Overlay {
        ground: None,
        lowers,
        upper,
        options,
    };
    let whole = overlay.mount(place.unwrap_or(Path::new("/")))?;
    let made = Mount::bind_handle(Root::new(whole.dir()?).resolve(path)?)?;
    whole.detach()?;
    Ok(made)
}

const OPEN: Attributes = Attributes {
    read_only: false,
    no_suid: false,
    no_dev: false,
    no_exec: false,
};

fn place_for(stat: &Stat) -> Place {
    if stat.is_dir() {
        Place::Directory
    } else {
        Place::File
    }
}

/// Makes an empty file system in memory.
pub(super) fn tmpfs(
    size_bytes: Option<u64>,
    mode: u32,
    attributes: Attributes,
) -> Result<Mount, Error> {
    let (mode, size) = (format!("{mode:o}"), size_bytes.map(|size| size.to_string()));
    let mut options = vec![("mode", mode.as_str())];
    options.extend(size.as_deref().map(|size| ("size", size)));
    Mount::new("tmpfs", &options, attributes)
}

/// Writes the spec's files into memory and gives each a mount of its own.
pub(super) fn stage_files(inside: &mut Inside) -> Result<(), Problem> {
    let is_file = |mount: &spec::Mount| matches!(mount.source, MountSource::File { .. });
    if !inside.spec.mounts.iter().any(is_file) {
        return Ok(());
    }
    let attributes = Attributes {
        no_suid: true,
        no_dev: true,
        ..OPEN
    };
    let store = tmpfs(None, 0o700, attributes)?;
    let root = Root::new(store.dir()?);
    let detach = attach_store(inside, &store)?;
    for mount in &inside.spec.mounts {
        if let MountSource::File { .. } = &mount.source {
            let name = inside.files.len().to_string();
            write_file(root.dir(), &name, &mount.source)?;
            let view = Mount::bind_handle(root.resolve(name.as_ref())?)?;
            inside.files.push(view);
        }
    }
    if detach {
        store.detach()?;
    }
    Ok(())
}

/// Gives the files in memory a place while they get mounts of their own; tells whether it has to
/// be taken off that place.
///
/// Over the kernel's scratch directory, which nobody looks into, it goes away with the rest of the
/// host's mounts: taking a mount off waits for all processors, and that is done once anyway.
/// Without one, there is the place that `/dev/shm` gets later.
fn attach_store(inside: &mut Inside, store: &Mount) -> Result<bool, Problem> {
    if let Rootfs::Overlay { work, .. } = &inside.spec.root
        && let Ok(work) = Dir::open(work)
    {
        store.attach(work)?;
        return Ok(false);
    }
    store.attach(inside.place(Path::new("/dev/shm"), Place::Directory)?)?;
    Ok(true)
}

fn write_file(dir: &Dir, name: &str, source: &MountSource) -> Result<(), Error> {
    let MountSource::File {
        content,
        mode,
        uid,
        gid,
        ..
    } = source
    else {
        return Ok(());
    };
    let mut file = dir.create_file(name, 0o600)?;
    file.write_all(content)
        .map_err(|source| Error::new(format!("write({} bytes)", content.len()), source))?;
    let owner = Owner {
        uid: *uid,
        gid: *gid,
    };
    file::set_owner(&file, owner)?;
    file::set_mode(&file, *mode)
}
