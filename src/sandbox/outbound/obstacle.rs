//! Why this process itself cannot lead a network outside.

use std::fmt;

use crate::sys;

/// What is in the way.
#[derive(Debug)]
pub enum Obstacle {
    /// This process may not change the host's network: it is no root, or lacks `CAP_NET_ADMIN`.
    Forbidden,
    /// The host takes no packets that are not for itself, for this setting is 0.
    Forwarding(String),
    /// The host's own rules keep packets from being passed on.
    Firewall,
    /// The host's own rules keep it from knowing connections that are passed on to this interface.
    Untracked(String),
    /// The host itself reaches nobody.
    NoRoute,
    /// The host's routes cover all addresses that a network could have.
    NoAddress,
    /// The host asks name servers that are reached from the host alone.
    NoNameServer,
    /// The kernel refused something.
    Refused(sys::Error),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Obstacle::Forbidden => "it may not change the network of this machine",
            Obstacle::Forwarding(setting) => {
                return write!(f, "this machine passes no packets on ({setting} is 0)");
            }
            Obstacle::Firewall => "a firewall of this machine forbids passing packets on",
            Obstacle::Untracked(_) => {
                "rules of this machine (notrack) keep it from knowing connections that it passes on"
            }
            Obstacle::NoRoute => "this machine has no default route",
            Obstacle::NoAddress => "routes of this machine cover 198.18.0.0/15",
            Obstacle::NoNameServer => {
                "the name servers of this machine are on its loopback interface, or have no IPv4 \
                 address"
            }
            Obstacle::Refused(error) => return f.write_str(&error.in_one_line()),
        })
    }
}

impl From<sys::Error> for Obstacle {
    fn from(error: sys::Error) -> Obstacle {
        Obstacle::Refused(error)
    }
}
