//! A network of a sandbox's own that reaches the world, but not what listens on the host's
//! loopback interface.
//!
//! A program carries its packets ([`carried`]), which changes nothing of the host. Where there is
//! none, or none can, root has the host itself pass them on ([`routed`]). Either way is gone with
//! this process, however it ends.

mod addresses;
mod carried;
mod carrier;
mod names;
mod obstacle;
mod routed;
mod rules;
mod trial;

use std::fs;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use crate::sandbox::Error;
use crate::sandbox::program;
use crate::sys;
use crate::sys::namespace;

use self::carried::Carried;
use self::carried::Installed;
use self::carrier::Carrier;
use self::routed::Routed;

pub(super) use self::carrier::CARRIERS;
pub(super) use self::routed::LINKS;

pub use self::obstacle::Obstacle;

/// How long a network may take to lead outside, and how often that is looked for.
const TIMEOUT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(1);

/// How many connections that have ended a network remembers.
const ENDED_CONNECTIONS: &str = "/proc/sys/net/ipv4/tcp_max_tw_buckets";

/// A network that sandboxes can be put on, one after the other. Dropped, it is no more.
#[derive(Debug)]
pub struct Outbound {
    way: Way,
    namespace: File,
}

/// What leads it outside.
#[derive(Debug)]
enum Way {
    Carried(Carried),
    Routed(Routed),
}

impl Outbound {
    /// Makes a network and returns when it leads outside, or as soon as it is not wanted any more.
    ///
    /// # Errors
    /// [`Error::Unwanted`] if it is not wanted, [`Error::NetworkLate`] if a program takes too long, and
    /// others if this machine refuses it.
    pub fn open(is_wanted: impl Fn() -> bool + Sync) -> Result<Outbound, Error> {
        let path = |carrier: &Carrier| program::find_here(carrier.name);
        let installed = CARRIERS.iter().filter_map(|it| Some((it, path(it)?)));
        Outbound::open_by(installed, TIMEOUT, &is_wanted)
    }

    /// Has one of these programs do it, or else the host.
    fn open_by(
        installed: impl IntoIterator<Item = Installed>,
        timeout: Duration,
        is_wanted: &(impl Fn() -> bool + Sync),
    ) -> Result<Outbound, Error> {
        let programs = match Outbound::carried(installed, timeout, is_wanted) {
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => error,
            done => return done,
        };
        match Outbound::routed(is_wanted) {
            Err(_) if !is_wanted() => Err(Error::Unwanted),
            // That is not for everyone, and so nothing to be told of.
            Err(Obstacle::Forbidden) => Err(programs),
            Err(obstacle) => Err(Error::NoWayOut {
                programs: Box::new(programs),
                obstacle,
            }),
            Ok(network) => Ok(network),
        }
    }

    /// Has the first program do it that can.
    fn carried(
        installed: impl IntoIterator<Item = Installed>,
        timeout: Duration,
        is_wanted: &(impl Fn() -> bool + Sync),
    ) -> Result<Outbound, Error> {
        let mut failed = None;
        for installed in installed {
            let namespace = namespace::new_network().map_err(Error::Network)?;
            match Carried::start(installed, &namespace, timeout, is_wanted) {
                Ok(carried) => {
                    let way = Way::Carried(carried);
                    return Ok(Outbound { way, namespace });
                }
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        Err(failed.unwrap_or(Error::NoNetworkProgram))
    }

    fn routed(is_wanted: &impl Fn() -> bool) -> Result<Outbound, Obstacle> {
        let namespace = namespace::new_network().map_err(routed::unless_forbidden)?;
        let routed = Routed::lead(&namespace, is_wanted)?;
        let way = Way::Routed(routed);
        Ok(Outbound { way, namespace })
    }

    /// Where the network is found, as long as this exists.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let (process, file) = (std::process::id(), self.namespace.as_raw_fd());
        PathBuf::from(format!("/proc/{process}/fd/{file}"))
    }

    /// Gives the network itself, which exists as long as this.
    pub(super) fn namespace(&self) -> Result<File, Error> {
        let copied = self.namespace.try_clone();
        copied.map_err(|source| Error::Network(sys::Error::new("dup(network)", source)))
    }

    /// Rewrites the host's `resolv.conf` so that all name servers in it are reached from this
    /// network; nothing if it is right as it is.
    #[must_use]
    pub fn resolv_conf(&self, of_host: &str) -> Option<String> {
        match &self.way {
            Way::Carried(carried) => carried.resolv_conf(of_host),
            Way::Routed(routed) => routed.resolv_conf().map(str::to_owned),
        }
    }

    /// What leads it outside.
    pub(super) fn leader(&self) -> &'static str {
        match &self.way {
            Way::Carried(carried) => carried.name(),
            Way::Routed(_) => "rbuild itself",
        }
    }

    /// Whether it still leads outside.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        match &self.way {
            Way::Carried(carried) => carried.is_alive(),
            Way::Routed(_) => true,
        }
    }

    /// Says that it does not lead outside any more, if so.
    #[must_use]
    pub fn lost(&self) -> Option<Error> {
        match &self.way {
            Way::Carried(carried) => carried.lost(),
            Way::Routed(_) => None,
        }
    }

    /// Has it end, without waiting for that: taking a network down takes the kernel a while. Nobody may
    /// be on it any more.
    pub fn end(&mut self) {
        match &mut self.way {
            Way::Carried(carried) => carried.end(),
            Way::Routed(routed) => routed.end(),
        }
    }
}

/// Whether there is nothing else to try. A program that takes too long may have been made slow by a
/// command, which must not gain a weaker network by that.
fn is_final(error: &Error) -> bool {
    matches!(error, Error::Unwanted | Error::NetworkLate { .. })
}

/// Looks for something until it is found, or not wanted any more, or long enough.
fn wait_for<T, E>(
    timeout: Duration,
    is_wanted: impl Fn() -> bool,
    mut look: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let begin = Instant::now();
    while is_wanted() && begin.elapsed() < timeout {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(None)
}

/// Has the network that this thread is on forget connections when they have ended. They would keep
/// their ports for a minute, and so from the next sandbox.
fn forget_connections() {
    // A kernel that does not let it be said leaves it at that.
    let _kept = fs::write(ENDED_CONNECTIONS, "0");
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::path::Path;

    use super::carrier::Manner;
    use super::*;

    const MANNER: Manner = Manner {
        args: &[],
        hidden: None,
        name_server: Ipv4Addr::LOCALHOST,
        rewrite: names::through,
    };
    static SLOW: Carrier = Carrier {
        name: "slow",
        args: &["-c", "exec sleep 1000"],
        manners: &[MANNER],
    };
    static REFUSED: Carrier = Carrier {
        name: "refused",
        args: &[],
        manners: &[MANNER],
    };

    #[test]
    fn a_program_that_takes_too_long_is_not_replaced_but_one_that_is_refused_is() {
        if namespace::new_network().is_err() {
            // Only root makes one.
            return;
        }
        // What cannot even be executed is refused in no time.
        let refused = || (&REFUSED, Path::new("/nowhere").to_owned());
        let slow = (&SLOW, Path::new("/bin/sh").to_owned());
        let tried = [refused(), slow, refused()];
        let opened = Outbound::open_by(tried, Duration::from_millis(1), &|| true);
        let error = opened.unwrap_err();
        assert!(
            matches!(
                error,
                Error::NetworkLate {
                    program: "slow",
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("--network=host"))
        );
    }
}
