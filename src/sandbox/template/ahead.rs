//! What a copy of the template does before it is told which sandbox it is to be: all that is the
//! same for every sandbox of its [`Kind`]. As a rule that is while the command before it runs.

use std::rc::Rc;

use serde::Deserialize;
use serde::Serialize;

use crate::sandbox::Error;
use crate::sandbox::apart;
use crate::sandbox::cgroup::DeviceRule;
use crate::sandbox::inside::confine;
use crate::sandbox::inside::report::Problem;
use crate::sandbox::inside::system;
use crate::sandbox::inside::system::System;
use crate::sandbox::seccomp::Filter;
use crate::sandbox::spec::Spec;
use crate::sys;
use crate::sys::id::Capabilities;
use crate::sys::mount;
use crate::sys::namespace::Namespace;
use crate::sys::process;
use crate::sys::seccomp;

/// What decides how a sandbox begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Kind {
    /// The namespaces it has for itself.
    pub(super) namespaces: Vec<Namespace>,
    /// Which system calls are kept from it: those that need other capabilities. None are, if not
    /// said: then nothing is hidden from it either.
    pub(in crate::sandbox) filtered: Option<Capabilities>,
    /// How much fits into its `/dev`; half of the machine's memory if not said.
    pub(in crate::sandbox) dev_size_bytes: Option<u64>,
}

impl Kind {
    /// The kind of sandbox that `spec` asks for.
    pub(in crate::sandbox) fn of(spec: &Spec) -> Result<Kind, Error> {
        let filtered = confine::filtered(spec);
        Ok(Kind {
            namespaces: apart::namespaces(spec),
            filtered: filtered.map_err(|problem| Error::of(confine::FILTER.to_owned(), problem))?,
            dev_size_bytes: system::dev_size(spec),
        })
    }

    /// Whether it mounts its root file system, and what is in it.
    pub(super) fn mounts(&self) -> bool {
        self.namespaces.contains(&Namespace::Mount)
    }
}

/// What is there when a sandbox is told what it is to be.
pub(in crate::sandbox) struct Ahead {
    /// What is to be mounted in its root file system, if it mounts anything.
    pub(in crate::sandbox) system: Option<System>,
    /// The filter of system calls, if there is to be one; where there are mounts, one part of it holds
    /// already.
    pub(in crate::sandbox) filter: Option<Rc<Filter>>,
    /// Whether mounts have to keep the program from opening devices.
    pub(in crate::sandbox) forbids_devices: bool,
}

/// A step that failed, to be read after "the sandbox cannot", and why.
pub(in crate::sandbox) type Failure = (&'static str, Problem);

impl Ahead {
    /// Goes ahead; what comes out is told once somebody listens.
    pub(super) fn go(
        kind: &Kind,
        filter: Option<Rc<Filter>>,
        rule: DeviceRule,
    ) -> Result<Ahead, Failure> {
        let mut ahead = Ahead {
            system: None,
            filter,
            forbids_devices: kind.filtered.is_some() && rule == DeviceRule::Mounted,
        };
        if kind.mounts() {
            ahead.go_on(kind)?;
        }
        Ok(ahead)
    }

    fn go_on(&mut self, kind: &Kind) -> Result<(), Failure> {
        let failed = |step| move |error: sys::Error| (step, Problem::from(error));
        leave_session(kind).map_err(failed("leave its parent's session"))?;
        // Where mounts are shared it hears of what the machine unmounts while it waits, so that
        // nothing is kept busy.
        mount::make_follower().map_err(failed("keep its mounts to itself"))?;
        let system = System::make(kind, self.forbids_devices);
        self.system = Some(system.map_err(failed("make /dev and /proc"))?);
        if let Some(filter) = &self.filter {
            seccomp::install(&filter.ahead).map_err(failed(confine::FILTER))?;
        }
        Ok(())
    }
}

/// Who may not make the calls for keys cannot leave one for another sandbox.
fn leave_session(kind: &Kind) -> Result<(), sys::Error> {
    process::new_session()?;
    match kind.filtered {
        Some(_) => Ok(()),
        None => process::new_keyring(),
    }
}
