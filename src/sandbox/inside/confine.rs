//! The last steps: what the process gives up before it becomes the program.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::sandbox::inside::Inside;
use crate::sandbox::inside::report::Lack;
use crate::sandbox::inside::report::Problem;
use crate::sandbox::inside::report::Report;
use crate::sandbox::limits::Processes;
use crate::sandbox::spec::Access;
use crate::sandbox::spec::Isolation;
use crate::sandbox::spec::Mount;
use crate::sandbox::spec::MountSource;
use crate::sandbox::spec::Security;
use crate::sandbox::spec::Spec;
use crate::sys::Owner;
use crate::sys::Root;
use crate::sys::alone;
use crate::sys::id;
use crate::sys::id::Capabilities;
use crate::sys::kernel;
use crate::sys::limit;
use crate::sys::proc_self;
use crate::sys::process;
use crate::sys::seccomp;

/// Done before anything else is started.
pub(super) fn limit_numbers(inside: &mut Inside) -> Result<(), Problem> {
    let is_usual = inside.spec.limits.processes == Processes::Usual;
    match inside.ungrouped.limit_numbers() {
        Err(_) if is_usual => Ok(()),
        limited => Ok(limited?),
    }
}

/// Of two limits on the same, the lower one holds.
pub(super) fn set_limits(inside: &mut Inside) -> Result<(), Problem> {
    for limit in &inside.spec.ulimits {
        limit::set(&limit.name, limit.soft, limit.hard)?;
    }
    Ok(inside.ungrouped.apply()?)
}

/// Tried as root first: a directory that root may enter and the user may not is allowed, as in
/// Docker.
pub(super) fn try_cwd(inside: &mut Inside) -> Result<(), Problem> {
    match process::change_dir(Path::new(&inside.spec.cwd)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        changed => {
            inside.in_cwd = true;
            Ok(changed?)
        }
    }
}

pub(super) fn enter_cwd(inside: &mut Inside) -> Result<(), Problem> {
    if !inside.in_cwd {
        process::change_dir(Path::new(&inside.spec.cwd))?;
    }
    Ok(())
}

/// Where the user namespace knows one user only, apt is told to stay root: it makes sure that it
/// became another user. The file is there while the sandbox is.
pub(super) fn ease_apt(inside: &mut Inside) -> Result<(), Problem> {
    const FOLDER: &str = "/etc/apt/apt.conf.d";
    let has_apt = |root: &Root| root.stat(Path::new(FOLDER)).is_ok_and(|stat| stat.is_dir());
    if inside.is_alone && has_apt(inside.root()) {
        inside.spec.mounts.push(Mount {
            target: format!("{FOLDER}/zz-rbuild"),
            source: MountSource::File {
                content: b"APT::Sandbox::User \"root\";\n".to_vec(),
                mode: 0o644,
                uid: 0,
                gid: 0,
                access: Access::ReadOnly,
            },
        });
    }
    Ok(())
}

/// Where the user namespace knows one user only, becoming another seems to work, which what follows
/// relies on; files given to another are his as far as the outside can remember it.
pub(super) fn pretend_users(inside: &mut Inside) -> Result<(), Problem> {
    if !inside.is_alone {
        return Ok(());
    }
    if let Some(gifts) = alone::pretend()? {
        inside.hand_over(&Report::Gifts, &gifts)?;
    }
    let Owner { uid, gid } = inside.identity().owner;
    if (uid, gid) != (0, 0) {
        inside.report(&Report::Lacks(Lack::User))?;
    }
    Ok(())
}

/// The capabilities that root has in the sandbox.
fn capabilities(spec: &Spec) -> Result<Capabilities, Problem> {
    if spec.security == Security::Insecure {
        return Ok(Capabilities::ALL);
    }
    let mut sets = Vec::new();
    for name in &spec.capabilities {
        let unknown = || Problem::UnknownName { name: name.clone() };
        sets.push(Capabilities::named(name).ok_or_else(unknown)?);
    }
    let all = Capabilities::union(sets);
    Ok(match spec.isolation {
        Isolation::Namespace => all,
        // Who may change the root directory again leaves it.
        Isolation::Chroot { .. } => all.without("SYS_CHROOT"),
    })
}

/// What the step is called that installs the filter of system calls.
pub(in crate::sandbox) const FILTER: &str = "filter its system calls";

/// The capabilities by which system calls are filtered, if they are.
pub(in crate::sandbox) fn filtered(spec: &Spec) -> Result<Option<Capabilities>, Problem> {
    match spec.security {
        Security::Insecure => Ok(None),
        Security::Sandbox => capabilities(spec).map(Some),
    }
}

/// Done as long as this process may: what follows is allowed by the filter.
pub(super) fn filter_calls(inside: &mut Inside) -> Result<(), Problem> {
    let Some(filter) = inside.filter.take() else {
        return Ok(());
    };
    if inside.spec.isolation == Isolation::Namespace {
        return Ok(seccomp::install(&filter.rest)?);
    }
    let parts = [&filter.ahead, &filter.rest];
    match parts
        .into_iter()
        .try_for_each(|part| seccomp::install(part))
    {
        // In a container without the right to it, that container's own filter holds.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        installed => Ok(installed?),
    }
}

/// With what the kernel refuses a filter to who has no right to it, unless new rights are forbidden:
/// `EACCES`.
const NEEDS_NO_NEW_PRIVILEGES: i32 = 13;

/// Where no `/proc` is mounted, rbuild says what it would tell root of itself, and opens devices that
/// could not be made. Who is not root may need more rights than his own, which that would take from
/// him, and could not be answered.
pub(super) fn show_proc(inside: &mut Inside) -> Result<(), Problem> {
    let lacks_devices = inside.lacks_devices;
    let is_root = inside.identity().owner.uid == 0;
    // Somebody else may answer for this container already, or the kernel knows of no such thing.
    let lookups = is_root.then(refer_lookups).transpose()?.flatten();
    if let Some(lookups) = &lookups {
        inside.hand_over(&Report::Lookups { lacks_devices }, lookups)?;
    }
    let can_be_given = lookups.is_some() && kernel::is_at_least(5, 14);
    if lacks_devices && !can_be_given {
        inside.report(&Report::Lacks(Lack::Devices))?;
    }
    Ok(())
}

/// Has calls that look up a path wait for an answer; gives where they arrive, unless that is refused.
fn refer_lookups() -> Result<Option<OwnedFd>, Problem> {
    let referred = match proc_self::refer() {
        Err(error) if error.errno() == NEEDS_NO_NEW_PRIVILEGES => {
            id::forbid_new_privileges()?;
            proc_self::refer()
        }
        referred => referred,
    };
    Ok(referred.ok())
}

pub(super) fn become_user(inside: &mut Inside) -> Result<(), Problem> {
    if inside.spec.no_new_privileges {
        id::forbid_new_privileges()?;
    }
    let capabilities = capabilities(&inside.spec)?;
    id::limit_capabilities(capabilities)?;
    let identity = inside.identity();
    Ok(id::become_user(
        identity.owner,
        &identity.groups,
        capabilities,
    )?)
}
