//! Addresses for the two ends of a network's line to the host.

use std::io;
use std::net::Ipv4Addr;

use crate::sys::netlink::Ends;
use crate::sys::netlink::Routes;

use super::Obstacle;

/// The first of the addresses that are set aside for measuring networks (RFC 2544, 198.18.0.0/15):
/// nobody outside has one.
const FIRST: u32 = Ipv4Addr::new(198, 18, 0, 0).to_bits();
/// How many there are, and how many a network takes.
const ADDRESSES: u32 = 1 << 17;
const STEP: u32 = 4;

/// How many are tried, and how far from each other: an odd number, so that no two are the same, and
/// one that leads from either half to the other, of which some program may use one.
const ATTEMPTS: u32 = 16;
const STRIDE: u32 = 20_011;

/// Takes two addresses for a line whose end here is `link`, and has the packets to the other end go
/// there.
///
/// Interfaces have numbers of their own, so that no two networks begin to look at the same place.
/// Should they come to it nevertheless, the kernel gives the route to one of them.
pub(super) fn claim(here: &mut Routes, link: u32) -> Result<Ends, Obstacle> {
    for attempt in 0..ATTEMPTS {
        let ends = ends(link.wrapping_add(attempt * STRIDE));
        if here.is_covered(ends.here)? || here.is_covered(ends.there)? {
            continue;
        }
        match here.add_route(ends.there, link) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            added => {
                added?;
                return Ok(ends);
            }
        }
    }
    Err(Obstacle::NoAddress)
}

fn ends(number: u32) -> Ends {
    let first = FIRST + number % (ADDRESSES / STEP) * STEP;
    Ends {
        here: Ipv4Addr::from_bits(first + 1),
        there: Ipv4Addr::from_bits(first + 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_of_the_range_and_both_halves_are_tried() {
        for link in [0, 1, 7, ADDRESSES / STEP - 1, u32::MAX] {
            let tried: Vec<Ends> = (0..ATTEMPTS)
                .map(|attempt| ends(link.wrapping_add(attempt * STRIDE)))
                .collect();
            let all = tried.iter().flat_map(|ends| [ends.here, ends.there]);
            let mut all: Vec<[u8; 4]> = all.map(|address| address.octets()).collect();
            assert!(all.iter().all(|it| it[0] == 198), "{all:?}");
            for half in [18, 19] {
                assert!(all.iter().any(|it| it[1] == half), "{all:?}");
            }
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count);
        }
    }
}
