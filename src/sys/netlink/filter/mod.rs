//! What happens to packets: tables of the kernel's packet filter, `nf_tables`.

mod encode;
mod found;

pub use self::found::Found;
pub use self::found::chains_at;

use std::net::Ipv4Addr;

use rustix::net::netlink;

use crate::sys::Result;

use super::ALL;
use super::Socket;

/// Where a chain sees the packets of this machine and those that it passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// As they come in, before it is decided where they go.
    In,
    /// As they are passed on, when it is decided where they go.
    Through,
    /// As they go out.
    Out,
    /// As the first of a connection goes out, where its sender can be replaced.
    Translation,
}

/// A list of rules that packets go through at one place.
#[derive(Debug)]
pub struct Chain<'a> {
    /// Its name in the table.
    pub name: &'static str,
    /// Where it is.
    pub place: Place,
    /// Chains at one place come in the order of these.
    pub priority: i32,
    /// The rules, the first first.
    pub rules: &'a [&'a [Part]],
}

/// A part of a rule. The first that a packet does not fit ends the rule for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It came by this interface.
    CameBy(u32),
    /// It goes by this interface.
    GoesBy(u32),
    /// It is of IPv4.
    IsIpv4,
    /// It is not of IPv4.
    IsNotIpv4,
    /// This is its sender.
    IsFrom(Ipv4Addr),
    /// This is not its sender.
    IsNotFrom(Ipv4Addr),
    /// It is for this address.
    IsTo(Ipv4Addr),
    /// It is for this machine's own loopback interface, by its address.
    IsToLoopback,
    /// It is a datagram of UDP to this port.
    IsUdpTo(u16),
    /// It belongs to no connection that was there before.
    IsFirst,
    /// It belongs to a connection that this machine knows, or begins one.
    IsTracked,
    /// It is counted.
    Count,
    /// It goes no further.
    Drop,
    /// Its sender is replaced by this machine.
    Masquerade,
}

/// A table that belongs to this alone: when it is dropped, or this process ends however, the kernel
/// removes the table.
#[derive(Debug)]
pub struct Table {
    socket: Socket,
    name: String,
}

impl Table {
    /// Makes a table, all of it at once, on the network that this thread is on; fails if there is one
    /// of this name.
    pub fn make(name: &str, chains: &[Chain<'_>]) -> Result<Table> {
        let mut socket = Socket::open(Some(netlink::NETFILTER))?;
        socket.ask(&encode::table(name, chains))?;
        let name = name.to_owned();
        Ok(Table { socket, name })
    }

    /// Removes it at once, while what the kernel has to wait for goes on: where several are removed, it
    /// is waited for once when they are dropped.
    pub fn remove(&mut self) -> Result<()> {
        self.socket.ask(&encode::remove(&self.name)).map(|_| ())
    }

    /// Gives how many packets each [`Part::Count`] has seen, in the order of the rules.
    pub fn counts(&mut self) -> Result<Vec<u64>> {
        let rules = self.socket.ask(&[encode::list(&self.name, ALL)])?;
        let counts = rules.iter().flat_map(|rule| encode::counts(rule));
        Ok(counts.collect())
    }
}
