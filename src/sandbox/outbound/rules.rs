//! What the host does with the packets of a network that it passes on.
//!
//! What comes is of the network's own address and for nothing that is the host's alone; it leaves
//! as if it were the host's. What goes to the network answers something: nobody outside, on the
//! host or on another such network gets to begin.

use std::net::Ipv4Addr;

use crate::sys;
use crate::sys::netlink::Ends;
use crate::sys::netlink::filter::Chain;
use crate::sys::netlink::filter::Part;
use crate::sys::netlink::filter::Place;
use crate::sys::netlink::filter::Table;

use super::trial;

/// Before anything else that looks at packets, but behind what puts their parts together.
const FIRST: i32 = -350;
/// Where a firewall of the host has said what it has to say.
const USUAL: i32 = 0;
/// Where senders are usually replaced.
const OF_SENDERS: i32 = 100;

/// Makes the rules for a line whose end here is `link`.
///
/// What finds out whether packets to an address outside pass is counted: all that comes, and what would
/// go. Without a connection that the host knows, no sender is replaced and no answer comes back.
pub(super) fn set(link: u32, ends: Ends, outside: Ipv4Addr) -> sys::Result<Table> {
    let guest = ends.there;
    let came = Part::CameBy(link);
    let trial = [Part::IsTo(outside), Part::IsUdpTo(trial::PORT)];
    let goes = [Part::IsIpv4, Part::IsFrom(guest), trial[0], trial[1]];
    let counted = [Part::Count, Part::Drop];
    let coming = [
        &[came, Part::IsNotIpv4, Part::Drop][..],
        &[came, Part::IsNotFrom(guest), Part::Drop],
        &[came, Part::IsToLoopback, Part::Drop],
        &[came, trial[0], trial[1], Part::Count],
    ];
    let going = [
        &[Part::GoesBy(link), Part::IsFirst, Part::Drop][..],
        &[&goes[..], &[Part::IsTracked], &counted].concat(),
        &[&goes[..], &counted].concat(),
    ];
    let leaving = [&[Part::IsIpv4, Part::IsFrom(guest), Part::Masquerade][..]];
    let chain = |(name, place), priority, rules| Chain {
        name,
        place,
        priority,
        rules,
    };
    let chains = [
        chain(("coming", Place::In), FIRST, &coming[..]),
        chain(("going", Place::Out), USUAL, &going),
        chain(("leaving", Place::Translation), OF_SENDERS, &leaving),
    ];
    Table::make(&format!("rbuild-{link}"), &chains)
}
