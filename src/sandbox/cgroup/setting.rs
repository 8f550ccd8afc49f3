//! Limits as the kernel is told of them.

use crate::sandbox::cgroup::place::Version;
use crate::sandbox::limits::CpuTime;
use crate::sandbox::limits::Limits;
use crate::sandbox::limits::Processes;

/// One limit.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) limit: Limit,
    /// Who keeps it.
    pub(super) controller: &'static str,
    pub(super) necessity: Necessity,
    /// What is written to which file, in this order, in version 1.
    one: Vec<(&'static str, String)>,
    /// The same in version 2.
    two: Vec<(&'static str, String)>,
}

/// Which limit one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Limit {
    Processes,
    Memory,
    Swap,
    CpuTime,
    CpuShares,
    Cpus,
}

/// What it means that a limit cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Necessity {
    /// Nothing.
    Usual,
    /// The sandbox cannot be made as this flag asks for.
    Asked { flag: &'static str },
}

impl Setting {
    pub(super) fn files(&self, version: Version) -> &[(&'static str, String)] {
        match version {
            Version::One => &self.one,
            Version::Two => &self.two,
        }
    }
}

/// Gives what is to be set.
pub(super) fn of(limits: &Limits) -> Vec<Setting> {
    let mut settings = Vec::new();
    if let Some(count) = limits.processes.count() {
        let count = count.to_string();
        settings.push(Setting {
            limit: Limit::Processes,
            controller: "pids",
            necessity: match limits.processes {
                Processes::AtMost(_) => asked("--pids-limit"),
                _ => Necessity::Usual,
            },
            one: vec![("pids.max", count.clone())],
            two: vec![("pids.max", count)],
        });
    }
    if let Some(bytes) = limits.memory_bytes {
        settings.push(Setting {
            limit: Limit::Memory,
            controller: "memory",
            necessity: asked("--memory"),
            one: vec![("memory.limit_in_bytes", bytes.to_string())],
            two: vec![("memory.max", bytes.to_string())],
        });
        settings.push(swap(bytes, limits.memory_and_swap_bytes));
    }
    if let Some(CpuTime {
        quota_us,
        period_us,
    }) = limits.cpu_time
    {
        settings.push(Setting {
            limit: Limit::CpuTime,
            controller: "cpu",
            necessity: asked("--cpus"),
            one: vec![
                ("cpu.cfs_period_us", period_us.to_string()),
                ("cpu.cfs_quota_us", quota_us.to_string()),
            ],
            two: vec![("cpu.max", format!("{quota_us} {period_us}"))],
        });
    }
    if let Some(shares) = limits.cpu_shares {
        // Shares go from 2 to 262144, weights from 1 to 10000 (runc's conversion).
        let weight = 1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142;
        settings.push(Setting {
            limit: Limit::CpuShares,
            controller: "cpu",
            necessity: asked("--cpu-shares"),
            one: vec![("cpu.shares", shares.to_string())],
            two: vec![("cpu.weight", weight.to_string())],
        });
    }
    if let Some(cpus) = &limits.cpus {
        settings.push(Setting {
            limit: Limit::Cpus,
            controller: "cpuset",
            necessity: asked("--cpuset-cpus"),
            one: vec![("cpuset.cpus", cpus.clone())],
            two: vec![("cpuset.cpus", cpus.clone())],
        });
    }
    settings
}

/// Many kernels count no swap, or have none: that is only wrong where it was asked for.
fn swap(memory_bytes: u64, total_bytes: Option<u64>) -> Setting {
    let necessity = match total_bytes {
        Some(_) => asked("--memory-swap"),
        None => Necessity::Usual,
    };
    let total = total_bytes.unwrap_or(memory_bytes.saturating_mul(2));
    let (one, two) = match total {
        u64::MAX => ("-1".to_owned(), "max".to_owned()),
        total => {
            let alone = total.saturating_sub(memory_bytes);
            (total.to_string(), alone.to_string())
        }
    };
    Setting {
        limit: Limit::Swap,
        controller: "memory",
        necessity,
        one: vec![("memory.memsw.limit_in_bytes", one)],
        two: vec![("memory.swap.max", two)],
    }
}

fn asked(flag: &'static str) -> Necessity {
    Necessity::Asked { flag }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(limits: &Limits, version: Version) -> Vec<String> {
        let settings = of(limits);
        let files = settings.iter().flat_map(|setting| setting.files(version));
        files
            .map(|(file, value)| format!("{file} {value}"))
            .collect()
    }

    #[test]
    fn only_processes_are_limited_by_themselves() {
        let limits = Limits::default();
        assert_eq!(lines(&limits, Version::One), ["pids.max 8192"]);
        assert_eq!(of(&limits)[0].necessity, Necessity::Usual);
        let limits = Limits {
            processes: Processes::Unlimited,
            ..limits
        };
        assert!(of(&limits).is_empty());
    }

    #[test]
    fn both_versions_are_told_the_same() {
        let limits = Limits {
            memory_bytes: Some(64 << 20),
            memory_and_swap_bytes: None,
            processes: Processes::AtMost(100),
            cpu_time: Some(CpuTime {
                quota_us: 150_000,
                period_us: 100_000,
            }),
            cpu_shares: Some(1024),
            cpus: Some("0-1".to_owned()),
        };
        let one = [
            "pids.max 100",
            "memory.limit_in_bytes 67108864",
            "memory.memsw.limit_in_bytes 134217728",
            "cpu.cfs_period_us 100000",
            "cpu.cfs_quota_us 150000",
            "cpu.shares 1024",
            "cpuset.cpus 0-1",
        ];
        assert_eq!(lines(&limits, Version::One), one);
        let two = [
            "pids.max 100",
            "memory.max 67108864",
            "memory.swap.max 67108864",
            "cpu.max 150000 100000",
            "cpu.weight 39",
            "cpuset.cpus 0-1",
        ];
        assert_eq!(lines(&limits, Version::Two), two);
    }

    #[test]
    fn swap_without_limit_has_a_word_in_each_version() {
        let limits = Limits {
            memory_bytes: Some(1 << 20),
            memory_and_swap_bytes: Some(u64::MAX),
            processes: Processes::Unlimited,
            ..Limits::default()
        };
        assert_eq!(
            lines(&limits, Version::One)[1],
            "memory.memsw.limit_in_bytes -1"
        );
        assert_eq!(lines(&limits, Version::Two)[1], "memory.swap.max max");
    }
}
