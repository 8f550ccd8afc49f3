//! The flags that limit what commands take of the machine, for `build` and `run`.

use super::error::Error;
use super::value;
use crate::sandbox::CpuTime;
use crate::sandbox::Limits;
use crate::sandbox::Processes;

/// Docker's period, in which a quota of time may be used up.
const PERIOD_US: u64 = 100_000;

/// The limits, as docker writes them.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What it may take of the machine")]
pub(super) struct LimitFlags {
    /// Memory, as in 512m; a process that needs more is killed. Without control groups, for each
    /// process by itself.
    #[arg(short, long, value_name = "SIZE", value_parser = value::limit::memory)]
    pub memory: Option<u64>,
    /// Memory and swap together, -1 for all there is [default: twice the memory].
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, value_parser = value::limit::size_or_all)]
    pub memory_swap: Option<u64>,
    /// Processors, as in 1.5.
    #[arg(long, value_name = "N", value_parser = value::limit::cpus, conflicts_with_all = ["cpu_quota", "cpu_period"])]
    pub cpus: Option<u64>,
    /// Microseconds on processors in each period.
    #[arg(long, value_name = "US", value_parser = clap::value_parser!(u64).range(1000..))]
    pub cpu_quota: Option<u64>,
    /// The period in microseconds [default: 100000].
    #[arg(long, value_name = "US", requires = "cpu_quota", value_parser = clap::value_parser!(u64).range(1000..=1_000_000))]
    pub cpu_period: Option<u64>,
    /// The share of busy processors; 1024 is everybody's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=262_144))]
    pub cpu_shares: Option<u64>,
    /// On which processors, as in 0-2,4.
    #[arg(long, value_name = "LIST", value_parser = value::limit::cpu_list)]
    pub cpuset_cpus: Option<String>,
    /// Processes and threads at a time, -1 for as many as the machine has [default: 8192, where
    /// that can be kept].
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = value::limit::processes)]
    pub pids_limit: Option<Processes>,
}

impl LimitFlags {
    /// Makes the limits of a sandbox.
    pub(super) fn limits(self) -> Result<Limits, Error> {
        match (self.memory, self.memory_swap) {
            (None, Some(_)) => {
                return Err(Error::Needs {
                    flag: "--memory-swap",
                    needed: "the part of it that is memory: --memory",
                });
            }
            (Some(memory), Some(total)) if total < memory => {
                return Err(Error::Needs {
                    flag: "--memory-swap",
                    needed: "at least the size of --memory, which is a part of it",
                });
            }
            _ => {}
        }
        let quota = self.cpus.or(self.cpu_quota);
        Ok(Limits {
            memory_bytes: self.memory,
            memory_and_swap_bytes: self.memory_swap,
            processes: self.pids_limit.unwrap_or_default(),
            cpu_time: quota.map(|quota_us| CpuTime {
                quota_us,
                period_us: self.cpu_period.unwrap_or(PERIOD_US),
            }),
            cpu_shares: self.cpu_shares,
            cpus: self.cpuset_cpus,
        })
    }
}
