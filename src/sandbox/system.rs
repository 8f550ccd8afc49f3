//! What every Linux program expects to be mounted: `/proc`, `/sys` and `/dev`.

use std::io;
use std::path::Path;

use crate::sandbox::init::Inside;
use crate::sandbox::report::Problem;
use crate::sandbox::rootfs::tmpfs;
use crate::sandbox::spec;
use crate::sandbox::spec::MountSource;
use crate::sandbox::spec::Security;
use crate::sandbox::spec::Spec;
use crate::sandbox::stub::Place;
use crate::sys::Dir;
use crate::sys::Error;
use crate::sys::Node;
use crate::sys::Root;
use crate::sys::mount::Attributes;
use crate::sys::mount::Depth;
use crate::sys::mount::Mount;

const INERT: Attributes = Attributes {
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

/// Devices by name and number, as every Docker container has them.
pub(super) const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Symbolic links in `/dev`.
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// What tells of the machine, or could harm it, and is hidden.
const MASKED: [&str; 12] = [
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
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// What can be seen but not changed.
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Mounts `/proc` and `/sys`.
pub(super) fn mount_kernel(inside: &mut Inside) -> Result<(), Problem> {
    let proc = Mount::new("proc", &[], INERT)?;
    proc.attach(inside.place(Path::new("/proc"), Place::Directory)?)?;
    let read_only = inside.spec.security == Security::Sandbox;
    let place = inside.place(Path::new("/sys"), Place::Directory)?;
    match Mount::new("sysfs", &[], Attributes { read_only, ..INERT }) {
        // It shows a network, and belongs to whoever that belongs to: in a user namespace on the
        // host's network, the host's is shown.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let sys = Mount::bind(Path::new("/sys"), Depth::Tree)?;
            sys.attach(place)?;
            let read_only = true;
            Ok(sys.restrict(Attributes { read_only, ..INERT }, Depth::Tree)?)
        }
        sys => Ok(sys?.attach(place)?),
    }
}

/// Whether a mount is a `/dev` in memory: what every sandbox has is one already. BuildKit too mounts
/// one thing at a place.
pub(super) fn is_dev(mount: &spec::Mount) -> bool {
    matches!(mount.source, MountSource::Tmpfs { .. })
        && Path::new(&mount.target) == Path::new("/dev")
}

/// How much fits into `/dev`.
fn dev_size(spec: &Spec) -> Option<u64> {
    let asked = spec.mounts.iter().rev().find(|mount| is_dev(mount));
    match asked.map(|mount| &mount.source) {
        Some(MountSource::Tmpfs { size_bytes, .. }) => *size_bytes,
        _ => Some(65536 << 10),
    }
}

/// Mounts `/dev`, and makes what is in it but `/dev/shm`.
pub(super) fn mount_devices(inside: &mut Inside) -> Result<(), Problem> {
    let attributes = Attributes {
        no_dev: false,
        no_exec: false,
        ..INERT
    };
    let dev = tmpfs(dev_size(&inside.spec), 0o755, attributes)?;
    let dir = dev.dir()?;
    let missing = make_devices(&dir)?;
    for (name, target) in LINKS {
        dir.symlink(Path::new(target), name)?;
    }
    for (name, mode) in [("pts", 0o755), ("shm", 0o1777), ("mqueue", 0o1777)] {
        dir.make_dir(name, mode)?;
    }
    dev.attach(inside.place(Path::new("/dev"), Place::Directory)?)?;
    let place = Root::new(dev.dir()?);
    for name in missing {
        let host = Mount::bind(&Path::new("/dev").join(name), Depth::One)?;
        host.attach(place.resolve(name.as_ref())?)?;
    }
    if inside.forbids_devices() {
        forbid_more_devices(&dev, &place)?;
    }
    inside.null = Some(place.resolve("null".as_ref())?);
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
    let terminals = match Mount::new("devpts", &options, attributes) {
        // A user namespace may not know that group.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            let (_group, others) = options.split_last().expect("there are four");
            Mount::new("devpts", others, attributes)
        }
        terminals => terminals,
    }?;
    terminals.attach(dir.open_dir("pts")?)?;
    Mount::new("mqueue", &[], INERT)?.attach(dir.open_dir("mqueue")?)?;
    Ok(())
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

/// Makes what `/dev` has where nothing can be mounted: devices as far as this process may make
/// them, else files of that name, and no terminals.
pub(super) fn fill_dev(dir: &Dir) -> Result<(), Error> {
    make_devices(dir)?;
    for (name, target) in LINKS {
        dir.symlink(Path::new(target), name)?;
    }
    for name in ["pts", "shm", "mqueue"] {
        dir.make_dir(name, 0o1777)?;
    }
    Ok(())
}

/// Makes the devices; returns those that this process may not make, as empty files.
fn make_devices(dir: &Dir) -> Result<Vec<&'static str>, Error> {
    let mut missing = Vec::new();
    for (name, major, minor) in DEVICES {
        match dir.make_device(name, Node::CharDevice(major, minor), 0o666) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                dir.create_file(name, 0o666)?;
                missing.push(name);
            }
            made => made?,
        }
    }
    Ok(missing)
}

/// Mounts `/dev/shm`.
pub(super) fn mount_shared_memory(inside: &mut Inside) -> Result<(), Problem> {
    let shm = tmpfs(Some(inside.spec.shm_size_bytes), 0o1777, INERT)?;
    shm.attach(inside.place(Path::new("/dev/shm"), Place::Directory)?)?;
    Ok(())
}

/// Hides parts of `/proc` and `/sys`, and protects others.
pub(super) fn mask(inside: &mut Inside) -> Result<(), Problem> {
    if inside.spec.security == Security::Insecure {
        return Ok(());
    }
    let root = inside.root();
    // What is at `/dev` by now may have none.
    let null = inside.null.as_ref().expect("made by an earlier step");
    let mut nothing: Option<Mount> = None;
    for path in MASKED {
        let found = match root.resolve(Path::new(path)) {
            // Not every kernel has all of them.
            Err(error) if error.is_not_found() => continue,
            found => found?,
        };
        if !found.stat()?.is_dir() {
            Mount::bind_handle(null)?.attach(&found)?;
            continue;
        }
        let cover = match &nothing {
            Some(first) => Mount::bind_handle(first)?,
            None => tmpfs(
                Some(0),
                0o755,
                Attributes {
                    read_only: true,
                    ..INERT
                },
            )?,
        };
        cover.attach(&found)?;
        nothing.get_or_insert(cover);
    }
    for path in READ_ONLY {
        let found = match root.resolve(Path::new(path)) {
            Err(error) if error.is_not_found() => continue,
            found => found?,
        };
        let view = Mount::bind_handle(&found)?;
        view.attach(&found)?;
        view.restrict(
            Attributes {
                read_only: true,
                ..INERT
            },
            Depth::Tree,
        )?;
    }
    Ok(())
}
