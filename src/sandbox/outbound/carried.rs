//! A network whose packets slirp4netns or pasta carries: a process that takes them from the
//! network's only interface and makes connections of its own for them, as any program of the host.
//! Nothing of the host is changed for this, no firewall and no setting, so nothing has to be put
//! back, and when that process or this one is killed, nothing is left.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use crate::sandbox::Error;
use crate::sys;
use crate::sys::keeper::Keeper;
use crate::sys::namespace;
use crate::sys::netlink::Routes;
use crate::sys::process;

use super::carrier::Carrier;
use super::carrier::Manner;
use super::forget_connections;
use super::trial::OUTSIDE;
use super::wait_for;

/// A program that can carry them, and where it is.
pub(super) type Installed = (&'static Carrier, PathBuf);

/// A program that carries a network's packets. Dropped, it has ended.
#[derive(Debug)]
pub(super) struct Carried {
    program: &'static Carrier,
    manner: &'static Manner,
    carrier: OwnedFd,
    keeper: Keeper<Result<(), Error>>,
}

impl Carried {
    /// Has a program lead a network outside, and returns when it does.
    pub(super) fn start(
        (program, path): Installed,
        network: &File,
        timeout: Duration,
        is_wanted: &(impl Fn() -> bool + Sync),
    ) -> Result<Carried, Error> {
        let handed = network.try_clone();
        let handed = handed.map_err(|error| sys::Error::new("dup()", error));
        let handed = handed.map_err(Error::Network)?;
        let (tell, told) = mpsc::sync_channel(1);
        let manner = program.manner()?;
        let keep = move || program.keep((&path, manner), handed, &tell);
        let mut keeper = Keeper::start("network", keep).map_err(Error::Thread)?;
        let Ok(carrier) = told.recv() else {
            return Err(why(program, &mut keeper));
        };
        let mut carried = Carried {
            program,
            manner,
            carrier,
            keeper,
        };
        match carried.comes_up(network, timeout, is_wanted)? {
            true => Ok(carried),
            false if !is_wanted() => Err(Error::Unwanted),
            false if carried.is_alive() => Err(Error::NetworkLate {
                program: program.name,
                timeout,
            }),
            false => Err(why(program, &mut carried.keeper)),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.program.name
    }

    /// The `resolv.conf` that is right on this network, if the host's is not.
    pub(super) fn resolv_conf(&self, of_host: &str) -> Option<String> {
        self.manner.resolv_conf(of_host)
    }

    pub(super) fn is_alive(&self) -> bool {
        self.keeper.is_there()
    }

    /// Says that it has ended, if so.
    pub(super) fn lost(&self) -> Option<Error> {
        let because = "it ended while a command ran";
        process::has_ended(&self.carrier).then(|| self.program.failed(because.to_owned()))
    }

    /// Has it end, without waiting for that.
    pub(super) fn end(&self) {
        // If it has ended already, all is well.
        let _ended = process::signal(&self.carrier, process::KILL);
    }

    /// Waits until there is a way out of the network, as long as one is wanted.
    fn comes_up(
        &self,
        network: &File,
        timeout: Duration,
        is_wanted: &(impl Fn() -> bool + Sync),
    ) -> Result<bool, Error> {
        let look = || {
            forget_connections();
            let mut routes = Routes::open()?;
            let is_needed = || is_wanted() && self.is_alive();
            Ok(wait_for(timeout, is_needed, || routes.link_to(OUTSIDE))?.is_some())
        };
        let found = namespace::on_network(network, look);
        found.flatten().map_err(Error::Network)
    }
}

/// Says why a carrier that has ended did so.
fn why(carrier: &Carrier, keeper: &mut Keeper<Result<(), Error>>) -> Error {
    match keeper.join() {
        Some(Err(error)) => error,
        _ => carrier.failed("it ended".to_owned()),
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.end();
        // Nobody is left who could be told of a failure.
        let _ended = self.keeper.join();
    }
}
