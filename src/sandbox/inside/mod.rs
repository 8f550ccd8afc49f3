//! The inside: from the first moment of the new process to the program it becomes.
//!
//! The process is a copy of the template, alone in its new namespaces and with one thread. It has
//! gone [`Ahead`], is told what it is to be, and goes through [`STEPS`], in order; the first that
//! fails is reported by its name.

pub(in crate::sandbox) mod confine;
mod masks;
pub(in crate::sandbox) mod report;
mod rootfs;
pub(in crate::sandbox) mod stub;
pub(in crate::sandbox) mod system;
pub(in crate::sandbox) mod user;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use crate::sandbox::apart;
use crate::sandbox::cgroup::Door;
use crate::sandbox::chroot::furnish::Furnished;
use crate::sandbox::chroot::supervise;
use crate::sandbox::inside::confine::become_user;
use crate::sandbox::inside::confine::ease_apt;
use crate::sandbox::inside::confine::enter_cwd;
use crate::sandbox::inside::confine::filter_calls;
use crate::sandbox::inside::confine::pretend_users;
use crate::sandbox::inside::confine::set_limits;
use crate::sandbox::inside::confine::show_proc;
use crate::sandbox::inside::confine::try_cwd;
use crate::sandbox::inside::report::Problem;
use crate::sandbox::inside::report::Report;
use crate::sandbox::inside::stub::Place;
use crate::sandbox::inside::stub::Stubs;
use crate::sandbox::inside::system::System;
use crate::sandbox::inside::user::Identity;
use crate::sandbox::program;
use crate::sandbox::seccomp::Filter;
use crate::sandbox::spec::Isolation;
use crate::sandbox::spec::Network;
use crate::sandbox::spec::Rootfs;
use crate::sandbox::spec::Spec;
use crate::sandbox::template::ahead::Ahead;
use crate::sandbox::template::ahead::Failure;
use crate::sandbox::template::order::Order;
use crate::sandbox::template::order::Taken;
use crate::sandbox::ungrouped::Ungrouped;
use crate::sys;
use crate::sys::Dir;
use crate::sys::Error;
use crate::sys::Handle;
use crate::sys::MakeDirs;
use crate::sys::Root;
use crate::sys::Symlinks;
use crate::sys::alone;
use crate::sys::channel::Channel;
use crate::sys::file;
use crate::sys::mount;
use crate::sys::mount::Mount;
use crate::sys::namespace;
use crate::sys::process;
use crate::sys::tty;

/// What is known and held while the sandbox is being set up.
pub(super) struct Inside {
    pub(in crate::sandbox) spec: Spec,
    channel: Channel,
    pub(in crate::sandbox) doors: Vec<Door>,
    /// The limits that no group keeps.
    pub(in crate::sandbox) ungrouped: Ungrouped,
    pub(in crate::sandbox) system: Option<System>,
    pub(in crate::sandbox) filter: Option<Rc<Filter>>,
    pub(in crate::sandbox) forbids_devices: bool,
    /// The network that it joins, if it does.
    network: Option<File>,
    root: Option<Root>,
    mount: Option<Mount>,
    stubs: Stubs,
    identity: Option<Identity>,
    pub(super) files: Vec<Mount>,
    /// What was put in place where nothing can be mounted.
    pub(super) furnished: Option<Furnished>,
    /// Whether devices could not be made.
    pub(super) lacks_devices: bool,
    terminal: Option<tty::Pair>,
    pub(super) in_cwd: bool,
    /// Whether the user namespace knows one user only; later `/proc` may not be what it was.
    pub(super) is_alone: bool,
}

/// A step: what it does, to be read after "the sandbox cannot", and how.
type Step = (&'static str, fn(&mut Inside) -> Result<(), Problem>);

/// All that is done, in this order.
const STEPS: [Step; 23] = [
    ("go into its control groups", apart::enter_groups),
    ("count its processes", confine::limit_numbers),
    ("keep its mounts to itself", |_| Ok(mount::make_private()?)),
    ("name its host", |inside| {
        Ok(namespace::set_host_name(&inside.spec.hostname)?)
    }),
    ("reach its network", reach_network),
    ("mount its root file system", mount_root),
    ("mount /dev, /proc and /sys", system::mount_system),
    ("make apt's life easy", ease_apt),
    ("make its files in memory", rootfs::stage_files),
    ("mount /dev/shm", system::mount_shared_memory),
    ("make its mounts", rootfs::mount_all),
    ("find its user", find_user),
    ("make its working directory", make_cwd),
    ("protect its root file system", rootfs::protect_root),
    ("open its terminal", open_terminal),
    ("tell which mount points it made", report_stubs),
    ("enter its root file system", enter_root),
    ("set its limits", set_limits),
    ("try its working directory", try_cwd),
    ("pretend that there are other users", pretend_users),
    (confine::FILTER, filter_calls),
    ("become its user", become_user),
    ("enter its working directory", enter_cwd),
];

/// All that is done, in this order, where nothing can be mounted: what was to be mounted is copied or
/// moved there.
const CHROOT_STEPS: [Step; 15] = [
    ("put its mounts in place", supervise::furnish),
    ("watch over its processes", supervise::supervise),
    ("go into its control groups", apart::enter_groups),
    ("leave its parent's session", apart::leave_session),
    ("open its root file system", open_root),
    ("find its user", find_user),
    ("make its working directory", make_cwd),
    ("open its terminal", open_terminal),
    ("enter its root file system", change_root),
    ("set its limits", set_limits),
    ("try its working directory", try_cwd),
    (confine::FILTER, filter_calls),
    ("have /proc shown to it", show_proc),
    ("become its user", become_user),
    ("enter its working directory", enter_cwd),
];

/// Waits to be told what to be, sets up the sandbox and becomes the program; the exit code is for
/// nobody but `ps`.
pub(super) fn run(channel: Channel, ahead: Result<Ahead, Failure>) -> i32 {
    let ahead = ahead.map_err(|failure| report_failure(&channel, failure));
    // Whoever ends before it gives the word had no use for this.
    let (Ok(Some(message)), Ok(ahead)) = (channel.receive(), ahead) else {
        return 1;
    };
    match Order::take(message) {
        Ok(taken) => {
            let mut inside = Inside::new(taken, channel, ahead);
            let failure = go(&mut inside);
            // Whatever was made before the failure is to be removed as well.
            let _ = report_stubs(&mut inside);
            report_failure(&inside.channel, failure);
        }
        Err(problem) => report_failure(&channel, ("read its spec", problem)),
    }
    1
}

fn report_failure(channel: &Channel, (step, problem): Failure) {
    let step = step.to_owned();
    // If nobody listens any more, nobody needs to know.
    let _ = send(channel, &Report::Failed { step, problem }, None);
}

/// Goes through all steps; returns only if one failed.
fn go(inside: &mut Inside) -> Failure {
    let steps = match inside.spec.isolation {
        Isolation::Namespace => STEPS.as_slice(),
        Isolation::Chroot { .. } => CHROOT_STEPS.as_slice(),
    };
    for (name, step) in steps {
        if let Err(problem) = step(inside) {
            return (name, problem);
        }
    }
    ("execute its program", inside.execute())
}

impl Inside {
    fn new(taken: Taken, channel: Channel, ahead: Ahead) -> Inside {
        Inside {
            spec: taken.spec,
            channel,
            doors: taken.doors,
            ungrouped: taken.ungrouped,
            network: taken.network,
            system: ahead.system,
            filter: ahead.filter,
            forbids_devices: ahead.forbids_devices,
            root: None,
            mount: None,
            stubs: Stubs::default(),
            identity: None,
            files: Vec::new(),
            furnished: None,
            lacks_devices: false,
            terminal: None,
            in_cwd: false,
            is_alone: alone::is_alone(),
        }
    }

    /// The root file system, once it is mounted.
    pub(super) fn root(&self) -> &Root {
        self.root.as_ref().expect("opened by an earlier step")
    }

    /// The mount of the root file system itself.
    pub(super) fn mount(&self) -> &Mount {
        self.mount.as_ref().expect("mounted by an earlier step")
    }

    /// Finds or makes the place for a mount.
    pub(super) fn place(&mut self, target: &Path, kind: Place) -> Result<Handle, Problem> {
        let root = self.root.as_ref().expect("opened by an earlier step");
        let placed = self.stubs.place(root, target, kind);
        let placed = placed.and_then(|place| place_of_kind(place, kind));
        placed.map_err(|error| Problem::at(target, error))
    }

    pub(super) fn identity(&self) -> &Identity {
        self.identity.as_ref().expect("found by an earlier step")
    }

    /// Closes what the outside handed over, for good: nothing of it may be used any more.
    pub(super) fn close_files(&mut self) {
        self.doors.clear();
        process::close([0, 1, 2, self.channel.as_fd().as_raw_fd()]);
    }

    /// Tells the outside something.
    pub(super) fn report(&self, report: &Report) -> Result<(), Error> {
        send(&self.channel, report, None)
    }

    /// Tells the outside something, with a file.
    pub(super) fn hand_over(&self, report: &Report, file: &OwnedFd) -> Result<(), Error> {
        send(&self.channel, report, Some(file))
    }

    fn execute(&mut self) -> Problem {
        let env = match program::environment(&self.spec, self.identity()) {
            Ok(env) => env,
            Err(problem) => return problem,
        };
        process::set_umask(0o022);
        process::unblock_signals();
        let terminal = self.terminal.take();
        let controller = terminal.as_ref().map(|pair| &pair.controller);
        // In this order: if the report arrives, the outside was there after this process asked,
        // once more, to die with it.
        let ready = process::signal_at_parents_end(process::KILL)
            .and_then(|()| send(&self.channel, &Report::Ready, controller));
        match ready {
            Ok(()) => program::execute(&self.spec, &env),
            Err(error) => error.into(),
        }
    }
}

fn send(channel: &Channel, report: &Report, file: Option<&OwnedFd>) -> Result<(), Error> {
    let text = serde_json::to_vec(report)
        .map_err(|error| Error::new("report to the outside", error.into()))?;
    let files: Vec<_> = file.into_iter().map(AsFd::as_fd).collect();
    channel.send(&text, &files)
}

fn reach_network(inside: &mut Inside) -> Result<(), Problem> {
    match (&inside.spec.network, inside.network.take()) {
        (Network::None, _) => Ok(namespace::raise_loopback()?),
        (_, Some(network)) => Ok(namespace::enter_network(network)?),
        (_, None) => Ok(()),
    }
}

fn mount_root(inside: &mut Inside) -> Result<(), Problem> {
    let (root, mount) = rootfs::mount_root(&inside.spec.root)?;
    (inside.root, inside.mount) = (Some(root), Some(mount));
    Ok(())
}

fn open_root(inside: &mut Inside) -> Result<(), Problem> {
    let (Rootfs::Directory(path) | Rootfs::Overlay { upper: path, .. }) = &inside.spec.root;
    inside.root = Some(Root::open(path)?);
    Ok(())
}

fn change_root(inside: &mut Inside) -> Result<(), Problem> {
    mount::change_root(inside.root().dir())?;
    inside.root = None;
    Ok(())
}

fn find_user(inside: &mut Inside) -> Result<(), Problem> {
    inside.identity = Some(user::resolve(inside.root(), &inside.spec.user)?);
    Ok(())
}

/// Like BuildKit, and unlike runc, gives what it makes to the user: it is part of the layer.
fn make_cwd(inside: &mut Inside) -> Result<(), Problem> {
    let options = MakeDirs {
        mode: 0o755,
        owner: Some(inside.identity().owner),
        modified: None,
        symlinks: Symlinks::Follow,
    };
    let root = inside.root();
    let cwd = Path::new(&inside.spec.cwd);
    let made = match root.resolve(cwd) {
        Err(error) if error.is_not_found() => root.make_dirs(cwd, &options).map(|_| ()),
        found => found.map(|_| ()),
    };
    made.map_err(|error| Problem::at(cwd, error))
}

/// A directory is mounted on a directory only, and a file on a file.
fn place_of_kind(place: Handle, kind: Place) -> sys::Result<Handle> {
    let is_dir = file::stat(&place)?.is_dir();
    match is_dir == (kind == Place::Directory) {
        true => Ok(place),
        false => Err(sys::Error::wrong_kind("mount()", is_dir)),
    }
}

fn open_terminal(inside: &mut Inside) -> Result<(), Problem> {
    let owner = inside.identity().owner;
    let Some(size) = inside.spec.terminal else {
        return Ok(process::give_pipes(owner)?);
    };
    let is_mounted = inside.spec.isolation == Isolation::Namespace;
    let terminals = match is_mounted {
        true => inside.root().open_dir(Path::new("/dev/pts"))?,
        false => Dir::open(Path::new("/dev/pts"))?,
    };
    let pair = tty::open(&terminals)?;
    tty::set_size(
        &pair.terminal,
        tty::Size {
            rows: size.rows,
            columns: size.columns,
        },
    )?;
    process::give(&pair.terminal, owner)?;
    tty::control(&pair.terminal)?;
    process::set_standard_files([&pair.terminal; 3])?;
    if is_mounted {
        // `/dev/console` is what programs open that want the terminal of the whole machine.
        let place = inside.place(Path::new("/dev/console"), Place::File)?;
        Mount::bind_handle(&pair.terminal)?.attach(place)?;
    }
    inside.terminal = Some(pair);
    Ok(())
}

fn report_stubs(inside: &mut Inside) -> Result<(), Problem> {
    if !inside.stubs.is_empty() {
        send(
            &inside.channel,
            &Report::Stubs(std::mem::take(&mut inside.stubs)),
            None,
        )?;
    }
    Ok(())
}

fn enter_root(inside: &mut Inside) -> Result<(), Problem> {
    mount::pivot_into(inside.root().dir())?;
    // Nothing of the outside stays open.
    (inside.root, inside.mount) = (None, None);
    Ok(())
}
