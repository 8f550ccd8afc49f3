//! What every Linux program expects to be mounted: `/proc`, `/sys` and `/dev`.

use std::io;
use std::path::Path;

use crate::sandbox::inside::Inside;
use crate::sandbox::inside::masks::Masks;
use crate::sandbox::inside::report::Problem;
use crate::sandbox::inside::rootfs::tmpfs;
use crate::sandbox::inside::stub::Place;
use crate::sandbox::spec;
use crate::sandbox::spec::MountSource;
use crate::sandbox::spec::Security;
use crate::sandbox::spec::Spec;
use crate::sandbox::template::ahead::Kind;
use crate::sys::Dir;
use crate::sys::Error;
use crate::sys::Node;
use crate::sys::Root;
use crate::sys::mount::Attributes;
use crate::sys::mount::Depth;
use crate::sys::mount::Mount;
use crate::sys::proc_self::Device;

pub(super) const INERT: Attributes = Attributes {
    read_only: false,
    no_suid: true,
    no_dev: true,
    no_exec: true,
};

/// A program may make any device, as in Docker; where it may be opened, it is the machine's own.
const NO_DEVICES: Attributes = Attributes {
    read_only: false,
    no_suid: false,
    no_dev: true,
    no_exec: false,
};

/// Devices as every Docker container has them.
pub(in crate::sandbox) const DEVICES: [Device; 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Those of them that are the same for whoever opens them: all but the terminal.
pub(in crate::sandbox) const CONSTANTS: &[Device] = DEVICES.split_at(5).0;

/// The size of `/dev/shm` unless another is asked for: Docker's.
const SHM_BYTES: u64 = 64 << 20;

/// Symbolic links in `/dev`.
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// `/dev` and `/proc`, made and on their way to their places.
///
/// Parts of them are hidden by mounts, and mounts can only be made on what is attached. So `/dev` is
/// attached where no path leads, and `/proc` to a directory in it.
pub(in crate::sandbox) struct System {
    dev: Mount,
    proc: Mount,
    masks: Option<Masks>,
}

impl System {
    /// Makes both; what a sandbox must not see is hidden unless nothing is kept from it.
    pub(in crate::sandbox) fn make(kind: &Kind, forbids_devices: bool) -> Result<System, Error> {
        let attributes = Attributes {
            no_dev: false,
            no_exec: false,
            ..INERT
        };
        let dev = tmpfs(kind.dev_size_bytes, 0o755, attributes)?;
        let proc = Mount::new("proc", &[], INERT)?;
        let dir = dev.dir()?;
        let missing = make_devices(&dir)?;
        make_links_and_folders(&dir)?;
        dir.make_dir(PROC, 0o755)?;
        for name in &missing {
            dir.create_file(name, 0o666)?;
        }
        dev.attach_unseen()?;
        let root = Root::new(dir);
        bind_devices(&root, &missing)?;
        if forbids_devices {
            forbid_more_devices(&dev, &root)?;
        }
        terminals()?.attach(root.open_dir("pts".as_ref())?)?;
        Mount::new("mqueue", &[], INERT)?.attach(root.open_dir("mqueue".as_ref())?)?;
        proc.attach(root.open_dir(PROC.as_ref())?)?;
        let masks = kind.filtered.is_some().then(|| Masks::of_proc(&root));
        Ok(System {
            dev,
            proc,
            masks: masks.transpose()?,
        })
    }
}

/// Whether a mount is a `/dev` in memory: what every sandbox has is one already. BuildKit too mounts
/// one thing at a place.
pub(in crate::sandbox) fn is_dev(mount: &spec::Mount) -> bool {
    matches!(mount.source, MountSource::Tmpfs { .. })
        && Path::new(&mount.target) == Path::new("/dev")
}

/// How much fits into `/dev`.
pub(in crate::sandbox) fn dev_size(spec: &Spec) -> Option<u64> {
    let asked = spec.mounts.iter().rev().find(|mount| is_dev(mount));
    match asked.map(|mount| &mount.source) {
        Some(MountSource::Tmpfs { size_bytes, .. }) => *size_bytes,
        _ => Some(65536 << 10),
    }
}

/// What the directory is called that `/proc` is attached to at first.
const PROC: &str = "proc";

/// Mounts `/dev`, `/proc` and `/sys`.
pub(super) fn mount_system(inside: &mut Inside) -> Result<(), Problem> {
    let system = inside.system.take().expect("made ahead");
    let proc = inside.place(Path::new("/proc"), Place::Directory)?;
    system.proc.attach(proc)?;
    system.dev.dir()?.remove_dir(PROC)?;
    let dev = inside.place(Path::new("/dev"), Place::Directory)?;
    system.dev.attach(dev)?;
    mount_sys(inside)?;
    match system.masks {
        Some(masks) => Ok(masks.of_sys(inside.root())?),
        None => Ok(()),
    }
}

/// Mounts `/sys`, which shows a network.
fn mount_sys(inside: &mut Inside) -> Result<(), Problem> {
    let read_only = inside.spec.security == Security::Sandbox;
    let place = inside.place(Path::new("/sys"), Place::Directory)?;
    match Mount::new("sysfs", &[], Attributes { read_only, ..INERT }) {
        // It belongs to whoever the network belongs to: in a user namespace on the host's network,
        // the host's is shown.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let sys = Mount::bind(Path::new("/sys"), Depth::Tree)?;
            sys.attach(place)?;
            let read_only = true;
            Ok(sys.restrict(Attributes { read_only, ..INERT }, Depth::Tree)?)
        }
        sys => Ok(sys?.attach(place)?),
    }
}

/// Shows the host's devices where this process may make none.
fn bind_devices(place: &Root, missing: &[&str]) -> Result<(), Error> {
    missing.iter().try_for_each(|name| {
        let host = Mount::bind(&Path::new("/dev").join(name), Depth::One)?;
        host.attach(place.resolve(name.as_ref())?)
    })
}

/// Makes the file system of the sandbox's terminals.
fn terminals() -> Result<Mount, Error> {
    // Group 5 is `tty` everywhere; programs that hand out terminals rely on it.
    let options = [
        ("newinstance", ""),
        ("ptmxmode", "0666"),
        ("mode", "0620"),
        ("gid", "5"),
    ];
    let attributes = Attributes {
        no_dev: false,
        ..INERT
    };
    match Mount::new("devpts", &options, attributes) {
        // A user namespace may not know that group.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            let (_group, others) = options.split_last().expect("there are four");
            Mount::new("devpts", others, attributes)
        }
        terminals => terminals,
    }
}

/// Leaves the devices there are the only ones in `/dev` that can be opened: each gets a mount of its
/// own, and the one below them then denies whatever else the program makes there.
fn forbid_more_devices(dev: &Mount, place: &Root) -> Result<(), Error> {
    for (name, _, _) in DEVICES {
        let device = place.resolve(name.as_ref())?;
        Mount::bind_handle(&device)?.attach(&device)?;
    }
    dev.restrict(NO_DEVICES, Depth::One)
}

pub(in crate::sandbox) fn make_links_and_folders(dir: &Dir) -> Result<(), Error> {
    for (name, target) in LINKS {
        dir.symlink(Path::new(target), name)?;
    }
    for (name, mode) in [("pts", 0o755), ("shm", 0o1777), ("mqueue", 0o1777)] {
        dir.make_dir(name, mode)?;
    }
    Ok(())
}

/// Makes the devices; returns the names of those that this process may not make.
pub(in crate::sandbox) fn make_devices(dir: &Dir) -> Result<Vec<&'static str>, Error> {
    let mut missing = Vec::new();
    for (name, major, minor) in DEVICES {
        match dir.make_device(name, Node::CharDevice(major, minor), 0o666) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                missing.push(name);
            }
            made => made?,
        }
    }
    Ok(missing)
}

/// Mounts `/dev/shm`.
pub(super) fn mount_shared_memory(inside: &mut Inside) -> Result<(), Problem> {
    let size_bytes = inside.spec.asked_shm_bytes().unwrap_or(SHM_BYTES);
    let shm = tmpfs(Some(size_bytes), 0o1777, INERT)?;
    shm.attach(inside.place(Path::new("/dev/shm"), Place::Directory)?)?;
    Ok(())
}
