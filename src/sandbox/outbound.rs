//! A network of a sandbox's own that reaches the world, but not what listens on the host's
//! loopback interface.
//!
//! slirp4netns or pasta carries it: a process that takes packets from the network's only interface
//! and makes connections of its own for them, as any program of the host. Nothing of the host is
//! changed for this, no firewall and no setting, so nothing has to be put back, and when that
//! process or this one is killed, nothing is left.

use std::fs;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use crate::sandbox::Error;
use crate::sandbox::carrier::CARRIERS;
use crate::sandbox::carrier::Carrier;
use crate::sandbox::keeper::Keeper;
use crate::sandbox::program;
use crate::sys;
use crate::sys::namespace;
use crate::sys::process;

/// How long a program may take to bring a network up, and how often it is looked for.
const TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(1);

/// How many connections that have ended a network remembers.
const ENDED_CONNECTIONS: &str = "/proc/sys/net/ipv4/tcp_max_tw_buckets";

/// A network that sandboxes can be put on, one after the other. Dropped, it is no more.
#[derive(Debug)]
pub struct Outbound {
    namespace: File,
    program: &'static Carrier,
    carrier: OwnedFd,
    keeper: Keeper,
}

impl Outbound {
    /// Makes a network and returns when it leads outside, or as soon as it is not wanted any more.
    ///
    /// # Errors
    /// [`Error::Unwanted`] if it is not wanted, and others if it cannot be made.
    pub fn open(is_wanted: impl Fn() -> bool + Sync) -> Result<Outbound, Error> {
        let mut failed = None;
        for carrier in &CARRIERS {
            let Some(path) = program::find_here(carrier.name) else {
                continue;
            };
            match Outbound::carried(carrier, path, &is_wanted) {
                Err(error) if !matches!(error, Error::Unwanted) => {
                    failed.get_or_insert(error);
                }
                done => return done,
            }
        }
        Err(failed.unwrap_or(Error::NoNetworkProgram))
    }

    /// Where the network is found, as long as this exists.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let (process, file) = (std::process::id(), self.namespace.as_raw_fd());
        PathBuf::from(format!("/proc/{process}/fd/{file}"))
    }

    /// Where the host's name servers are reached from this network, wherever they are.
    #[must_use]
    pub fn name_server(&self) -> Ipv4Addr {
        self.program.name_server
    }

    /// The program that leads it outside.
    pub(super) fn carrier_name(&self) -> &'static str {
        self.program.name
    }

    /// Whether it still leads outside.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.keeper.is_there()
    }

    /// Says that it does not lead outside any more, if so.
    #[must_use]
    pub fn lost(&self) -> Option<Error> {
        let because = "it ended while a command ran";
        process::has_ended(&self.carrier).then(|| self.program.failed(because.to_owned()))
    }

    /// Has it end, without waiting for that: taking a network down takes the kernel a while.
    pub fn end(&self) {
        // If it has ended already, all is well.
        let _ended = process::signal(&self.carrier, process::KILL);
    }

    fn carried(
        carrier: &'static Carrier,
        path: PathBuf,
        is_wanted: &(impl Fn() -> bool + Sync),
    ) -> Result<Outbound, Error> {
        let namespace = namespace::new_network().map_err(Error::Network)?;
        let handed = namespace.try_clone();
        let handed = handed.map_err(|error| sys::Error::new("dup()", error));
        let handed = handed.map_err(Error::Network)?;
        let (tell, told) = mpsc::sync_channel(1);
        let keep = move || carrier.keep(&path, handed, &tell);
        let mut keeper = Keeper::start("network", keep)?;
        let Ok(started) = told.recv() else {
            return Err(why(carrier, &mut keeper));
        };
        let mut network = Outbound {
            namespace,
            program: carrier,
            carrier: started,
            keeper,
        };
        match network.comes_up(is_wanted)? {
            true => Ok(network),
            false if !is_wanted() => Err(Error::Unwanted),
            false if network.is_alive() => {
                Err(carrier.failed(format!("there is none after {} seconds", TIMEOUT.as_secs())))
            }
            false => Err(why(carrier, &mut network.keeper)),
        }
    }

    /// Waits until there is a way out of the network, as long as one is wanted.
    fn comes_up(&self, is_wanted: &(impl Fn() -> bool + Sync)) -> Result<bool, Error> {
        let look = || {
            namespace::enter_network(&self.namespace)?;
            // Ended connections would keep their ports for a minute, and so from the next sandbox.
            // A kernel that does not let it be said leaves it at that.
            let _kept = fs::write(ENDED_CONNECTIONS, "0");
            let begin = Instant::now();
            while is_wanted() && self.is_alive() && begin.elapsed() < TIMEOUT {
                if namespace::has_default_route()? {
                    return Ok(true);
                }
                std::thread::sleep(PAUSE);
            }
            Ok(false)
        };
        // A thread belongs to one network, so one is started for this.
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("network".to_owned());
            let thread = thread.spawn_scoped(scope, look).map_err(Error::Thread)?;
            let found = thread.join();
            let found = found.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            found.map_err(Error::Network)
        })
    }
}

/// Says why a carrier that has ended did so.
fn why(carrier: &Carrier, keeper: &mut Keeper) -> Error {
    match keeper.join() {
        Some(Err(error)) => error,
        _ => carrier.failed("it ended".to_owned()),
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.end();
        // Nobody is left who could be told of a failure.
        let _ended = self.keeper.join();
    }
}
