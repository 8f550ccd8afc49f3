//! What control groups keep.

use crate::sandbox::Error;
use crate::sandbox::cgroup::Cgroup;
use crate::sandbox::cgroup::DeviceList;
use crate::sandbox::examine::Finding;
use crate::sandbox::examine::finding;
use crate::sandbox::limits::CpuTime;
use crate::sandbox::limits::Limits;
use crate::sandbox::limits::Processes;
use crate::sys::id;

/// What lets rbuild make groups.
fn remedy() -> &'static str {
    match id::is_initial_user_namespace() {
        true => {
            "docker run -v /sys/fs/cgroup:/sys/fs/cgroup, or --privileged; Kubernetes: \
             securityContext: {privileged: true}; where nothing is mounted there: mount -t cgroup2 \
             none /sys/fs/cgroup"
        }
        false => "run rbuild as root",
    }
}

pub(super) fn device_list() -> Finding {
    let result = match DeviceList::new() {
        Ok(list) => Ok(format!("kept by {}", list.keeper())),
        Err(_) if !id::is_initial_user_namespace() => {
            Err("only root of the machine sets one".to_owned())
        }
        Err(error) => Err(format!("cannot be set: {}", error.in_one_line())),
    };
    finding("device list", result).unless_good(
        "mounts forbid the devices that a command makes or an image has, even /dev/null and its \
         like: debootstrap fails",
        remedy(),
    )
}

/// Sets limits, for nobody.
pub(super) fn limits() -> Finding {
    let tried = asked().map(|(flag, limits)| (flag, Cgroup::try_limits(&limits)));
    let names = |is_kept: bool| {
        let which = tried.iter().filter(|(_, tried)| tried.is_ok() == is_kept);
        which.map(|(flag, _)| *flag).collect::<Vec<_>>().join(", ")
    };
    let why_not = tried.iter().find_map(|(_, tried)| tried.as_ref().err());
    let result = match why_not {
        None => Ok(format!("{} are kept", names(true))),
        Some(Error::Limit { source, .. }) => Err(format!(
            "{} cannot be kept: {}",
            names(false),
            source.in_one_line()
        )),
        Some(error) => Err(error.to_string()),
    };
    finding("limits", result).unless_good(
        "these flags are refused, and a command may start as many processes as it likes",
        remedy(),
    )
}

/// A limit for each controller, with the flag that asks for it.
fn asked() -> [(&'static str, Limits); 3] {
    let none = || Limits {
        processes: Processes::Unlimited,
        ..Limits::default()
    };
    let memory = Limits {
        memory_bytes: Some(1 << 30),
        ..none()
    };
    let time = Limits {
        cpu_time: Some(CpuTime {
            quota_us: 100_000,
            period_us: 100_000,
        }),
        ..none()
    };
    let processes = Limits {
        processes: Processes::AtMost(1000),
        ..none()
    };
    [
        ("--memory", memory),
        ("--cpus", time),
        ("--pids-limit", processes),
    ]
}
