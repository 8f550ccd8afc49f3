//! Interfaces, their addresses, and routes.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;

use crate::sys::Error;
use crate::sys::Result;
use crate::sys::random;

use super::ACKNOWLEDGE;
use super::MAKE;
use super::Socket;
use super::message::Attributes;
use super::message::Message;
use super::message::find;
use super::message::text;
use super::message::u32_at;
use super::unknown;

/// What all messages about links begin with: family, kind, index, flags, and which of these change.
const LINK_BYTES: usize = 16;
/// What all messages about routes begin with.
const ROUTE_BYTES: usize = 12;

/// Attributes of links, and of what only links of the kind `veth` have.
const LINK_ADDRESS: u16 = 1;
const LINK_NAME: u16 = 3;
const LINK_MTU: u16 = 4;
const LINK_OTHER_END: u16 = 5;
const LINK_INFO: u16 = 18;
const LINK_NAMESPACE: u16 = 28;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_PEER: u16 = 1;

/// Attributes of addresses.
const ADDRESS_THERE: u16 = 1;
const ADDRESS_HERE: u16 = 2;
const ADDRESS_FLAGS: u16 = 8;

/// Attributes of routes.
const ROUTE_TO: u16 = 1;
const ROUTE_LINK: u16 = 4;
const ROUTE_GATEWAY: u16 = 5;

/// An address brings no route with it.
const WITHOUT_ROUTE: u32 = 0x200;
/// The answer is the route as it was made, not as it is for one address.
const AS_MADE: u32 = 0x2000;
const UP: u32 = 1;
/// Bits of the first byte of a hardware address.
const FOR_MANY: u8 = 1;
const MADE_HERE: u8 = 2;
const RUNNING: u32 = 0x40;

const ONE_ADDRESS_BITS: u8 = 32;
/// Routes that look at fewer bits make up a default route: programs that lead all packets elsewhere
/// cut the world into halves.
const SPECIFIC_BITS: u8 = 8;

const GET_ROUTE: (&str, u16) = ("RTM_GETROUTE", libc::RTM_GETROUTE);
const GET_LINK: (&str, u16) = ("RTM_GETLINK", libc::RTM_GETLINK);
const NEW_LINK: (&str, u16) = ("RTM_NEWLINK", libc::RTM_NEWLINK);
const NEW_ADDRESS: (&str, u16) = ("RTM_NEWADDR", libc::RTM_NEWADDR);
const NEW_ROUTE: (&str, u16) = ("RTM_NEWROUTE", libc::RTM_NEWROUTE);

/// A line to the kernel about the interfaces, addresses and routes of the network that the thread
/// which opened it was on then.
#[derive(Debug)]
pub struct Routes {
    socket: Socket,
}

/// The addresses of the two ends of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Of this end.
    pub here: Ipv4Addr,
    /// Of the other.
    pub there: Ipv4Addr,
}

impl Routes {
    /// Opens a line about the network that this thread is on.
    pub fn open() -> Result<Routes> {
        // This protocol is number 0.
        let socket = Socket::open(None)?;
        Ok(Routes { socket })
    }

    /// Finds the interface by which packets to an address leave; none if they leave by none.
    pub fn link_to(&mut self, address: Ipv4Addr) -> Result<Option<u32>> {
        let body = match self.route_to(address, 0) {
            Err(error) if is_nowhere(&error) => return Ok(None),
            answer => answer?,
        };
        let link = body.get(ROUTE_BYTES..).and_then(|it| find(it, ROUTE_LINK));
        let link = link.and_then(|link| u32_at(link, 0));
        link.map(Some).ok_or_else(|| unknown(GET_ROUTE.0))
    }

    /// Whether there is a route for an address that is not for all the world.
    pub fn is_covered(&mut self, address: Ipv4Addr) -> Result<bool> {
        match self.route_to(address, AS_MADE) {
            Ok(body) => {
                let bits = body.get(1).ok_or_else(|| unknown(GET_ROUTE.0))?;
                Ok(*bits >= SPECIFIC_BITS)
            }
            Err(error) if error.kind() == io::ErrorKind::NetworkUnreachable => Ok(false),
            // There is one, which leads to nowhere.
            Err(_) => Ok(true),
        }
    }

    /// Makes two interfaces that are connected: one here, whose name may have a `%d` in it for a
    /// number that is free, and one in another network.
    pub fn add_pair(&mut self, here: &str, there: (&str, BorrowedFd<'_>)) -> Result<()> {
        let (name, namespace) = there;
        let namespace = namespace.as_fd().as_raw_fd();
        let there = Attributes::new()
            .with_text(LINK_NAME, name)
            .with(LINK_NAMESPACE, &namespace.to_ne_bytes());
        let peer = [&[0; LINK_BYTES], there.bytes()].concat();
        let info = Attributes::new()
            .with_text(INFO_KIND, "veth")
            .with_nested(INFO_DATA, &Attributes::new().with(VETH_PEER, &peer));
        // Else udev would replace that of the end here while packets are sent to it.
        let address = hardware_address()?;
        let attributes = Attributes::new()
            .with(LINK_ADDRESS, &address)
            .with_text(LINK_NAME, here)
            .with_nested(LINK_INFO, &info);
        let flags = ACKNOWLEDGE | MAKE;
        self.done(Message::new(NEW_LINK, flags, &[0; LINK_BYTES], &attributes))
    }

    /// Finds an interface by its name.
    pub fn link(&mut self, name: &str) -> Result<u32> {
        let attributes = Attributes::new().with_text(LINK_NAME, name);
        let body = self.look_at(0, &attributes)?;
        u32_at(&body, 4).ok_or_else(|| unknown(GET_LINK.0))
    }

    /// Gives the name of an interface.
    pub fn name(&mut self, link: u32) -> Result<String> {
        let body = self.look_at(link, &Attributes::new())?;
        let name = body.get(LINK_BYTES..).and_then(|it| find(it, LINK_NAME));
        name.and_then(text).ok_or_else(|| unknown(GET_LINK.0))
    }

    /// Gives the number that the other end of an interface's line has in its own network.
    pub fn other_end(&mut self, link: u32) -> Result<u32> {
        self.number_of(link, LINK_OTHER_END)
    }

    /// Gives the size of the largest packet that an interface takes.
    pub fn packet_bytes(&mut self, link: u32) -> Result<u32> {
        self.number_of(link, LINK_MTU)
    }

    /// Whether an interface is on, and the other end of its line too.
    pub fn is_running(&mut self, link: u32) -> Result<bool> {
        let body = self.look_at(link, &Attributes::new())?;
        let flags = u32_at(&body, 8).ok_or_else(|| unknown(GET_LINK.0))?;
        Ok(flags & RUNNING != 0)
    }

    /// Switches an interface on, for packets of this size at most.
    pub fn switch_on(&mut self, link: u32, packet_bytes: u32) -> Result<()> {
        let attributes = Attributes::new().with(LINK_MTU, &packet_bytes.to_ne_bytes());
        let begin = about_link(link, UP);
        self.done(Message::new(NEW_LINK, ACKNOWLEDGE, &begin, &attributes))
    }

    /// Gives an interface its address, and no route.
    pub fn add_address(&mut self, link: u32, ends: Ends) -> Result<()> {
        let mut begin = [family(), ONE_ADDRESS_BITS, 0, 0, 0, 0, 0, 0];
        begin[4..].copy_from_slice(&link.to_ne_bytes());
        let attributes = Attributes::new()
            .with(ADDRESS_HERE, &ends.here.octets())
            .with(ADDRESS_THERE, &ends.there.octets())
            .with(ADDRESS_FLAGS, &WITHOUT_ROUTE.to_ne_bytes());
        let flags = ACKNOWLEDGE | MAKE;
        self.done(Message::new(NEW_ADDRESS, flags, &begin, &attributes))
    }

    /// Has the packets to one address go to an interface; fails if they already go to one.
    pub fn add_route(&mut self, to: Ipv4Addr, link: u32) -> Result<()> {
        let attributes = Attributes::new()
            .with(ROUTE_TO, &to.octets())
            .with(ROUTE_LINK, &link.to_ne_bytes());
        self.add(ONE_ADDRESS_BITS, libc::RT_SCOPE_LINK, &attributes)
    }

    /// Has all packets for which there is no other route go to a gateway.
    pub fn add_default_route(&mut self, gateway: Ipv4Addr, link: u32) -> Result<()> {
        let attributes = Attributes::new()
            .with(ROUTE_GATEWAY, &gateway.octets())
            .with(ROUTE_LINK, &link.to_ne_bytes());
        self.add(0, libc::RT_SCOPE_UNIVERSE, &attributes)
    }

    fn add(&mut self, bits: u8, scope: u8, attributes: &Attributes) -> Result<()> {
        let (table, by) = (libc::RT_TABLE_MAIN, libc::RTPROT_STATIC);
        let kind = libc::RTN_UNICAST;
        let begin = [family(), bits, 0, 0, table, by, scope, kind, 0, 0, 0, 0];
        self.done(Message::new(
            NEW_ROUTE,
            ACKNOWLEDGE | MAKE,
            &begin,
            attributes,
        ))
    }

    fn route_to(&mut self, address: Ipv4Addr, flags: u32) -> Result<Vec<u8>> {
        let mut begin = [0; ROUTE_BYTES];
        begin[0] = family();
        begin[1] = ONE_ADDRESS_BITS;
        begin[8..].copy_from_slice(&flags.to_ne_bytes());
        let attributes = Attributes::new().with(ROUTE_TO, &address.octets());
        self.one(Message::new(GET_ROUTE, ACKNOWLEDGE, &begin, &attributes))
    }

    fn number_of(&mut self, link: u32, attribute: u16) -> Result<u32> {
        let body = self.look_at(link, &Attributes::new())?;
        let value = body.get(LINK_BYTES..).and_then(|it| find(it, attribute));
        let value = value.and_then(|value| u32_at(value, 0));
        value.ok_or_else(|| unknown(GET_LINK.0))
    }

    fn look_at(&mut self, link: u32, attributes: &Attributes) -> Result<Vec<u8>> {
        let begin = about_link(link, 0);
        self.one(Message::new(GET_LINK, ACKNOWLEDGE, &begin, attributes))
    }

    fn done(&mut self, message: Message) -> Result<()> {
        self.socket.ask(&[message]).map(|_| ())
    }

    fn one(&mut self, message: Message) -> Result<Vec<u8>> {
        let name = message.name;
        let mut answers = self.socket.ask(&[message])?;
        answers.pop().ok_or_else(|| unknown(name))
    }
}

/// Makes an address for an interface, of those that no maker of interfaces gives.
fn hardware_address() -> Result<[u8; 6]> {
    let [first, second, third, fourth, fifth, sixth, ..] = random::bytes()?;
    let first = first & !FOR_MANY | MADE_HERE;
    Ok([first, second, third, fourth, fifth, sixth])
}

/// Whether there is no route, or one of those that lead nowhere: `unreachable`, `prohibit` and
/// `blackhole`, of which the kernel answers that the question is wrong.
fn is_nowhere(error: &Error) -> bool {
    use io::ErrorKind::HostUnreachable;
    use io::ErrorKind::InvalidInput;
    use io::ErrorKind::NetworkUnreachable;
    use io::ErrorKind::PermissionDenied;
    matches!(
        error.kind(),
        HostUnreachable | NetworkUnreachable | PermissionDenied | InvalidInput
    )
}

/// What a message about one link begins with; these flags are to be set.
fn about_link(link: u32, flags: u32) -> [u8; LINK_BYTES] {
    let mut begin = [0; LINK_BYTES];
    begin[4..8].copy_from_slice(&link.to_ne_bytes());
    begin[8..12].copy_from_slice(&flags.to_ne_bytes());
    begin[12..].copy_from_slice(&flags.to_ne_bytes());
    begin
}

fn family() -> u8 {
    u8::try_from(libc::AF_INET).expect("family 2")
}
