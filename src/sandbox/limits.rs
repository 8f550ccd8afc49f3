//! How much of the machine's memory, processors and process numbers a sandbox may take.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// The limits of a sandbox as a whole; what is none has no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory.
    pub memory_bytes: Option<u64>,
    /// Memory and swap together; `u64::MAX` for no limit. Twice the memory if not said.
    pub memory_and_swap_bytes: Option<u64>,
    /// Processes and threads.
    pub processes: Processes,
    /// Time on processors.
    pub cpu_time: Option<CpuTime>,
    /// The share of busy processors, where 1024 is everybody's.
    pub cpu_shares: Option<u64>,
    /// On which processors it runs, as in `0-2,4`.
    pub cpus: Option<String>,
}

/// How many processes and threads there may be at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Processes {
    /// So many that nothing that builds comes near it, and the machine survives a bomb:
    /// [`PROCESSES_USUAL`]. Not limited where the kernel offers no way.
    #[default]
    Usual,
    /// So many.
    AtMost(u64),
    /// As many as the machine has.
    Unlimited,
}

impl Processes {
    /// The number, if there is one.
    pub(super) fn count(self) -> Option<u64> {
        match self {
            Processes::Usual => Some(PROCESSES_USUAL),
            Processes::AtMost(count) => Some(count),
            Processes::Unlimited => None,
        }
    }
}

/// The limit on processes unless another is asked for.
pub const PROCESSES_USUAL: u64 = 8192;

/// A limit on time: so much in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuTime {
    /// Microseconds on all processors together.
    pub quota_us: u64,
    /// Microseconds.
    pub period_us: u64,
}

/// A limit that a sandbox ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exceeded {
    /// The kernel killed a process of it, since together they needed more bytes than this.
    Memory(u64),
    /// It could not start a process, since there were this many.
    Processes(u64),
}

impl Exceeded {
    /// Says what to do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Exceeded::Memory(_) => "give it more with --memory",
            Exceeded::Processes(_) => "allow it more with --pids-limit",
        }
    }
}

/// What happened, as a sentence that may follow others.
impl fmt::Display for Exceeded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exceeded::Memory(bytes) => write!(
                formatter,
                "the kernel killed a process of it: they needed more than the {} MiB of memory \
                 that they may have",
                bytes >> 20
            ),
            Exceeded::Processes(count) => write!(
                formatter,
                "it could not start more than the {count} processes that it may have"
            ),
        }
    }
}
