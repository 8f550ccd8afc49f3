//! Limits that a process sets for itself and for all that it starts.

use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;

use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::thread::CpuSet;

use crate::sys::Error;
use crate::sys::Result;
use crate::sys::error::Call;
use crate::sys::kernel;
use crate::sys::mount::Attributes;
use crate::sys::mount::Mount;

/// Limits a resource, named as `docker run --ulimit` does: `nofile`, `nproc`, ….
pub fn set(name: &str, soft: u64, hard: u64) -> Result<()> {
    let infinite = |value| Some(value).filter(|value| *value != u64::MAX);
    let limit = Rlimit {
        current: infinite(soft),
        maximum: infinite(hard),
    };
    let text = || format!("setrlimit({name:?}, {soft}, {hard})");
    let resource = resource(name).ok_or_else(|| Error::invalid(text()))?;
    rustix::process::setrlimit(resource, limit).call(text)
}

/// Limits a resource, unless it is limited more than that already.
pub fn lower(name: &str, value: u64) -> Result<()> {
    let text = || format!("setrlimit({name:?}, {value})");
    let resource = resource(name).ok_or_else(|| Error::invalid(text()))?;
    let limit = rustix::process::getrlimit(resource);
    let least = |old: Option<u64>| Some(old.map_or(value, |old| old.min(value)));
    let limit = Rlimit {
        current: least(limit.current),
        maximum: least(limit.maximum),
    };
    rustix::process::setrlimit(resource, limit).call(text)
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "as" => Resource::As,
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return None,
    })
}

/// The number that the kernel begins again with when those up to the greatest were given.
const FIRST_NUMBER: u64 = 300;

/// The least that can be counted by [`limit_numbers`]: its own process and another.
pub const NUMBERS_MIN: u64 = 2;

/// The greatest number there can be.
const NUMBER_MAX: u64 = 1 << 22;

/// Whether a namespace of process numbers can be limited: it has a greatest number of its own, where
/// an older kernel has one for the machine, and one can say which comes next.
pub fn has_own_numbers() -> bool {
    is_new_enough() && Path::new("/proc/sys/kernel/ns_last_pid").exists()
}

/// Linux 6.14.
fn is_new_enough() -> bool {
    kernel::is_at_least(6, 14)
}

/// Gives the namespace of this process, which is the first one in it, numbers for so many processes
/// and threads: more cannot be started at a time, whoever they belong to.
pub fn limit_numbers(count: u64) -> Result<()> {
    // It must not be those of the machine.
    if std::process::id() != 1 || !is_new_enough() || count < NUMBERS_MIN {
        return Err(Error::invalid(format!("limit process numbers to {count}")));
    }
    let behind = FIRST_NUMBER.saturating_add(count - 1);
    if behind > NUMBER_MAX {
        return Ok(());
    }
    // What is there may be another namespace's, or read-only.
    let attributes = Attributes {
        read_only: false,
        no_suid: true,
        no_dev: true,
        no_exec: true,
    };
    let proc = Mount::new("proc", &[], attributes)?;
    let write = |name: &str, value: u64| {
        let path = format!("sys/kernel/{name}");
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&proc, &path, flags, Mode::empty()).map_err(io::Error::from);
        let written =
            file.and_then(|file| File::from(file).write_all(value.to_string().as_bytes()));
        written.map_err(|error| Error::new(format!("write({path:?}, \"{value}\")"), error))
    };
    // The smaller ones are given once and never again: without them the count is always the same.
    write("ns_last_pid", FIRST_NUMBER)?;
    // This process has one that is smaller.
    write("pid_max", behind)
}

/// Gives the processors that this thread may run on.
pub fn processors() -> Vec<usize> {
    let allowed = rustix::thread::sched_getaffinity(None).unwrap_or_default();
    let all = 0..CpuSet::MAX_CPU;
    all.filter(|cpu| allowed.is_set(*cpu)).collect()
}

/// Has this thread, and what it starts, run on these processors alone. It may take that back.
pub fn run_on(cpus: &[usize]) -> Result<()> {
    let text = || format!("sched_setaffinity({cpus:?})");
    if cpus.iter().any(|cpu| *cpu >= CpuSet::MAX_CPU) {
        return Err(Error::invalid(text()));
    }
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    rustix::thread::sched_setaffinity(None, &set).call(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_the_machine_are_left_alone() {
        let error = limit_numbers(1000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn what_is_limited_less_already_stays_so() {
        let before = rustix::process::getrlimit(Resource::As);
        lower("as", u64::MAX).unwrap();
        assert_eq!(rustix::process::getrlimit(Resource::As), before);
        assert!(lower("nosuch", 1).is_err());
    }

    #[test]
    fn nothing_runs_on_processors_that_there_are_not() {
        assert!(!processors().contains(&CpuSet::MAX_CPU));
        assert!(run_on(&[CpuSet::MAX_CPU]).is_err());
        run_on(&processors()).unwrap();
    }
}
