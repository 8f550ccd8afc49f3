//! What control groups keep.

use crate::progress::in_one_line;
use crate::sandbox::cgroup;
use crate::sandbox::cgroup::Cgroup;
use crate::sandbox::cgroup::DeviceList;
use crate::sandbox::cgroup::Limit;
use crate::sandbox::cgroup::Missed;
use crate::sandbox::examine::Finding;
use crate::sandbox::examine::finding;
use crate::sandbox::limits::CpuTime;
use crate::sandbox::limits::Limits;
use crate::sandbox::limits::Processes;
use crate::sandbox::ungrouped::Ungrouped;
use crate::sys::id;
use crate::sys::limit;

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
        match id::is_initial_user_namespace() {
            true => cgroup::remedy(),
            false => "run rbuild as root",
        },
    )
}

/// Sets limits, for nobody.
pub(super) fn limits(is_apart: bool) -> Finding {
    let limits = all_limits();
    let missed = match Cgroup::try_limits(&limits) {
        Ok(missed) => missed,
        Err(error) => {
            let error = in_one_line(&error);
            return finding("limits", Err(error))
                .unless_good("flags may be refused", cgroup::remedy());
        }
    };
    let costs = missed.iter().map(|missed| cost(missed, &limits, is_apart));
    let costs: Vec<&str> = costs.flatten().collect();
    let result = match (missed.first(), costs.is_empty()) {
        (None, _) => Ok("kept by control groups".to_owned()),
        (Some(_), true) => Ok("kept, though not all by control groups".to_owned()),
        (Some(first), false) => Err(format!(
            "no control group can be used: {}",
            first.source.in_one_line()
        )),
    };
    finding("limits", result).unless_good(costs.join("; "), cgroup::remedy())
}

/// Says what it costs that no group keeps a limit, if anything.
fn cost(missed: &Missed, limits: &Limits, is_apart: bool) -> Option<&'static str> {
    let mut ungrouped = Ungrouped::default();
    let is_kept = ungrouped.keep(missed.limit, limits, is_apart);
    match missed.limit {
        Limit::Processes if !is_kept => {
            Some("--pids-limit is refused, and a command may start as many processes as it likes")
        }
        Limit::CpuTime => Some("--cpus is refused"),
        Limit::CpuShares => Some("--cpu-shares is refused"),
        Limit::Processes | Limit::Memory | Limit::Cpus => ungrouped.weaknesses().next(),
        // Many kernels count no swap, or have none.
        Limit::Swap => None,
    }
}

/// All limits that there are.
fn all_limits() -> Limits {
    Limits {
        memory_bytes: Some(1 << 30),
        memory_and_swap_bytes: None,
        processes: Processes::AtMost(1000),
        cpu_time: Some(CpuTime {
            quota_us: 100_000,
            period_us: 100_000,
        }),
        cpu_shares: Some(1024),
        cpus: limit::processors().first().map(usize::to_string),
    }
}
