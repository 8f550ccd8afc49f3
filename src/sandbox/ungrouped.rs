//! Limits that no control group keeps: what the kernel offers instead.
//!
//! Processes are limited by their numbers where there is a namespace of them that has a greatest
//! number of its own. That counts as exactly as a group does. Elsewhere by `RLIMIT_NPROC`, which
//! counts those of a user in this user namespace, rbuild's own among them, and not those of the
//! machine's root. Memory is limited for each process by itself, and by what it may write to alone
//! (`RLIMIT_DATA`): addresses that are only reserved, as Go and Java do, are not counted, but all
//! that may be written to is, whether it ever is or not. Processors are a wish, which a process may
//! change. For a share of time there is nothing.

use serde::Deserialize;
use serde::Serialize;

use crate::sandbox::Error;
use crate::sandbox::cgroup::Limit;
use crate::sandbox::cgroup::Missed;
use crate::sandbox::cgroup::Necessity;
use crate::sandbox::limits::Limits;
use crate::sandbox::limits::Processes;
use crate::sandbox::processors;
use crate::sys;
use crate::sys::id;
use crate::sys::limit;

/// More threads than rbuild itself has at any time.
const OWN_THREADS: u64 = 1024;

/// What limits a sandbox from within.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ungrouped {
    /// How many processes have numbers.
    numbers: Option<u64>,
    /// How many processes each of its users may have.
    of_user: Option<OfUser>,
    /// What a process may have of memory.
    data_bytes: Option<u64>,
    /// On which processors it runs.
    cpus: Option<Vec<usize>>,
}

/// How many processes a user may have, those of other sandboxes and of rbuild among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum OfUser {
    /// So many were asked for, for the sandbox.
    Asked(u64),
    /// So many, which nobody needs to have.
    Usual(u64),
}

impl OfUser {
    fn count(self) -> u64 {
        match self {
            OfUser::Asked(count) => count.saturating_add(OWN_THREADS),
            OfUser::Usual(count) => count,
        }
    }
}

impl Ungrouped {
    /// Makes up for the limits that were missed. One that was asked for and that nothing keeps is an
    /// error.
    pub(super) fn of(
        limits: &Limits,
        has_namespaces: bool,
        missed: Vec<Missed>,
    ) -> Result<Ungrouped, Error> {
        let mut ungrouped = Ungrouped::default();
        for Missed {
            limit,
            necessity,
            source,
        } in missed
        {
            let is_kept = ungrouped.keep(limit, limits, has_namespaces);
            if let (false, Necessity::Asked { flag }) = (is_kept, necessity) {
                let other = ungrouped.wrong_value(limit, limits, has_namespaces);
                return Err(other.unwrap_or(Error::Limit { flag, source }));
            }
        }
        Ok(ungrouped)
    }

    /// Says why a limit is not kept that would be with another value, if so.
    fn wrong_value(
        &mut self,
        limit: Limit,
        limits: &Limits,
        has_namespaces: bool,
    ) -> Option<Error> {
        match limit {
            Limit::Cpus => {
                let list = limits.cpus.as_deref()?;
                processors::check(list, &limit::processors()).err()
            }
            Limit::Processes => {
                let least = limit::NUMBERS_MIN;
                let is_kept = self.keep_processes(Processes::AtMost(least), has_namespaces);
                is_kept.then_some(Error::TooFewProcesses { least })
            }
            Limit::Memory | Limit::Swap | Limit::CpuTime | Limit::CpuShares => None,
        }
    }

    /// Makes up for a limit; says whether it can.
    pub(super) fn keep(&mut self, limit: Limit, limits: &Limits, has_namespaces: bool) -> bool {
        match limit {
            Limit::Processes => self.keep_processes(limits.processes, has_namespaces),
            Limit::Memory => {
                self.data_bytes = limits.memory_bytes;
                true
            }
            // What a process has may be in either.
            Limit::Swap => {
                self.data_bytes.is_some() && self.data_bytes == limits.memory_and_swap_bytes
            }
            Limit::Cpus => {
                let cpus = limits.cpus.as_deref().and_then(processors::parse);
                let there = limit::processors();
                self.cpus = cpus.filter(|cpus| cpus.iter().all(|cpu| there.contains(cpu)));
                self.cpus.is_some()
            }
            Limit::CpuTime | Limit::CpuShares => false,
        }
    }

    fn keep_processes(&mut self, processes: Processes, has_namespaces: bool) -> bool {
        let Some(count) = processes.count() else {
            return true;
        };
        if count < limit::NUMBERS_MIN {
            return false;
        }
        if has_namespaces && limit::has_own_numbers() {
            self.numbers = Some(count);
        } else if !id::may_be_machines_root() {
            self.of_user = Some(match processes {
                Processes::AtMost(_) => OfUser::Asked(count),
                Processes::Usual | Processes::Unlimited => OfUser::Usual(count),
            });
        }
        self.numbers.is_some() || self.of_user.is_some()
    }

    /// Says which limits hold for less, or more, than the sandbox as a whole.
    pub(super) fn weaknesses(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            (
                matches!(self.of_user, Some(OfUser::Asked(_))),
                "--pids-limit holds for all commands of one user together, with 1024 more for rbuild",
            ),
            (
                self.data_bytes.is_some(),
                "--memory holds for each process by itself, the whole stacks of its threads included",
            ),
            (self.cpus.is_some(), "a command may take --cpuset-cpus back"),
        ];
        let weak = all.into_iter().filter(|(is_weak, _)| *is_weak);
        weak.map(|(_, what)| what)
    }

    /// Says that to the user, where there is something to say.
    pub(super) fn note(&self) -> Option<String> {
        let weaknesses: Vec<&str> = self.weaknesses().collect();
        let all = weaknesses.join(", and ");
        (!all.is_empty()).then(|| format!("without control groups, {all} (see `rbuild doctor`)"))
    }

    /// Limits the numbers of this process's namespace, which is the sandbox's.
    pub(super) fn limit_numbers(&self) -> sys::Result<()> {
        self.numbers.map_or(Ok(()), limit::limit_numbers)
    }

    /// Limits this process and what it starts, unless it is limited more than that already.
    pub(super) fn apply(&self) -> sys::Result<()> {
        if let Some(of_user) = self.of_user {
            limit::lower("nproc", of_user.count())?;
        }
        if let Some(bytes) = self.data_bytes {
            limit::lower("data", bytes)?;
        }
        self.cpus.as_deref().map_or(Ok(()), limit::run_on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::in_one_line;

    fn missed(limit: Limit, flag: &'static str) -> Missed {
        let source = sys::Error::new("find a cgroup", std::io::ErrorKind::NotFound.into());
        let necessity = Necessity::Asked { flag };
        Missed {
            limit,
            necessity,
            source,
        }
    }

    fn of(limits: &Limits, missed: Vec<Missed>) -> Result<Option<String>, String> {
        let ungrouped = Ungrouped::of(limits, false, missed);
        let note = ungrouped.map(|ungrouped| ungrouped.note());
        note.map_err(|error| in_one_line(&error))
    }

    #[test]
    fn a_share_of_time_is_refused_by_its_flag() {
        let limits = Limits {
            cpu_shares: Some(512),
            ..Limits::default()
        };
        let refused = of(&limits, vec![missed(Limit::CpuShares, "--cpu-shares")]);
        let refused = refused.unwrap_err();
        assert!(refused.starts_with("--cpu-shares cannot be kept: find a cgroup"));
    }

    #[test]
    fn processors_that_are_not_there_are_told() {
        let limits = Limits {
            cpus: Some("65535".to_owned()),
            ..Limits::default()
        };
        let refused = of(&limits, vec![missed(Limit::Cpus, "--cpuset-cpus")]);
        assert!(refused.unwrap_err().contains("no processor 65535 here ("));
    }

    #[test]
    fn swap_is_counted_where_all_of_memory_may_be_in_it() {
        let limits = |total| Limits {
            memory_bytes: Some(64),
            memory_and_swap_bytes: Some(total),
            ..Limits::default()
        };
        let both = || {
            let swap = missed(Limit::Swap, "--memory-swap");
            vec![missed(Limit::Memory, "--memory"), swap]
        };
        let note = of(&limits(64), both()).unwrap().unwrap();
        assert!(note.contains("--memory holds for each process by itself"));
        for total in [128, u64::MAX] {
            of(&limits(total), both()).unwrap_err();
        }
        // Memory itself is kept by a group here, where swap is not.
        of(&limits(64), vec![missed(Limit::Swap, "--memory-swap")]).unwrap_err();
    }

    #[test]
    fn what_is_usual_is_left_out_in_silence() {
        let usual = Missed {
            necessity: Necessity::Usual,
            ..missed(Limit::Processes, "")
        };
        assert_eq!(of(&Limits::default(), vec![usual]), Ok(None));
    }

    #[test]
    fn rbuilds_own_threads_are_added_to_what_was_asked_for() {
        assert_eq!(OfUser::Asked(40).count(), 1064);
        assert_eq!(OfUser::Asked(u64::MAX).count(), u64::MAX);
        assert_eq!(OfUser::Usual(8192).count(), 8192);
    }
}
