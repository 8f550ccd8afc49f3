//! Finding out whether the host passes packets on, by one that it does not let go.

use std::net::Ipv4Addr;
use std::net::UdpSocket;

use crate::sys::netlink::filter::Table;

use super::Obstacle;
use super::TIMEOUT;
use super::routed::WayOn;
use super::wait_for;

/// An address outside; it is for examples (RFC 5737), so that nobody has it.
pub(super) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// Another, for machines whose routes lead nowhere from what nobody has: `a.root-servers.net`.
pub(super) const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(198, 41, 0, 4);
/// Where packets are sent that nobody is to answer.
pub(super) const PORT: u16 = 9;

/// How many packets that come and do not go say that none will: the kernel takes each through all the
/// rules at once.
const ENOUGH: u64 = 10;

/// Sends packets from a network, and looks how far they get: the rules of the table count them when
/// they come and when they would go, with a connection that is known and without, and then drop them.
pub(super) fn pass(
    (socket, way): (&UdpSocket, &WayOn),
    table: &mut Table,
    is_wanted: &impl Fn() -> bool,
) -> Result<(), Obstacle> {
    let passes = wait_for(TIMEOUT, is_wanted, || {
        // One that cannot be sent is one that does not come.
        let _sent = socket.send_to(&[], (way.outside, PORT));
        let counts = table.counts()?;
        Ok::<_, Obstacle>(match counts[..] {
            [_, (1..), _] => Some(Ok(())),
            [_, _, (1..)] => Some(Err(Obstacle::Untracked(way.name.clone()))),
            [(ENOUGH..), _, _] => Some(Err(Obstacle::Firewall)),
            _ => None,
        })
    })?;
    passes.unwrap_or(Err(Obstacle::Firewall))
}
