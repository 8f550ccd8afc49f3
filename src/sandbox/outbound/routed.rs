//! A network whose packets the host itself passes on: root connects it to the host by a line of two
//! interfaces, and sets rules for what goes over it.
//!
//! The host has to pass packets on already; no setting of its own is changed. The line is gone with
//! the network, and the kernel removes the rules when this process does not hold them any more,
//! however it ends. IPv4 only.

use std::fs;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::net::UdpSocket;
use std::os::fd::AsFd;

use crate::sys;
use crate::sys::namespace;
use crate::sys::netlink::Ends;
use crate::sys::netlink::Routes;
use crate::sys::netlink::filter::Table;

use super::Obstacle;
use super::TIMEOUT;
use super::addresses;
use super::forget_connections;
use super::names;
use super::rules;
use super::trial;
use super::wait_for;

/// How the names of the lines' ends on the host begin; a number follows.
pub(in crate::sandbox) const LINKS: &str = "rbuild";
/// The name of the other end.
const INSIDE: &str = "eth0";

/// Where the settings of the machine are.
const SETTINGS: &str = "/proc/sys";

/// What the host has for such a network.
#[derive(Debug)]
pub(super) struct Routed {
    rules: Table,
    resolv_conf: Option<String>,
}

impl Routed {
    /// Leads a network outside.
    pub(super) fn lead(network: &File, is_wanted: &impl Fn() -> bool) -> Result<Routed, Obstacle> {
        let mut here = Routes::open()?;
        let name = format!("{LINKS}%d");
        here.add_pair(&name, (INSIDE, network.as_fd()))
            .map_err(unless_forbidden)?;
        let way = WayOn::find(&mut here)?;
        let packet_bytes = here.packet_bytes(way.link)?;
        let resolv_conf = names::outside()?;
        let mut inside = Inside::enter(network)?;
        let link = inside.routes.other_end(inside.link)?;
        here.switch_on(link, packet_bytes)?;
        let ends = addresses::claim(&mut here, link)?;
        here.add_address(link, ends)?;
        // Nothing gets through before they are there.
        let mut rules = rules::set(link, ends, way.outside)?;
        inside.connect(ends, packet_bytes)?;
        // The kernel drops what it is to send before, and asks a second later for an address again.
        let running = || Ok::<_, sys::Error>(here.is_running(link)?.then_some(()));
        let _told_by_the_trial = wait_for(TIMEOUT, is_wanted, running)?;
        trial::pass((&inside.socket, &way), &mut rules, is_wanted)?;
        Ok(Routed { rules, resolv_conf })
    }

    /// Has it end, without waiting for that. There is nobody on the network any more.
    pub(super) fn end(&mut self) {
        // If not now, they are removed when this is dropped.
        let _removed = self.rules.remove();
    }

    /// The `resolv.conf` that is right on this network, if the host's is not.
    pub(super) fn resolv_conf(&self) -> Option<&str> {
        self.resolv_conf.as_deref()
    }
}

/// Tells what this process may not do from what does not work.
pub(super) fn unless_forbidden(error: sys::Error) -> Obstacle {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Obstacle::Forbidden,
        _ => Obstacle::Refused(error),
    }
}

/// By what packets that are passed on leave the host.
#[derive(Debug)]
pub(super) struct WayOn {
    /// An address outside to which there is a route.
    pub(super) outside: Ipv4Addr,
    link: u32,
    /// The name of the interface.
    pub(super) name: String,
}

impl WayOn {
    fn find(here: &mut Routes) -> Result<WayOn, Obstacle> {
        is_set("net.ipv4.ip_forward".to_owned())?;
        // This is what the end of the line here begins with.
        is_set("net.ipv4.conf.default.forwarding".to_owned())?;
        for outside in [trial::OUTSIDE, trial::ELSEWHERE] {
            let Some(link) = here.link_to(outside)? else {
                continue;
            };
            let name = here.name(link)?;
            // By it come the answers.
            let within = name.replace('.', "/");
            is_set(format!("net.ipv4.conf.{within}.forwarding"))?;
            return Ok(WayOn {
                outside,
                link,
                name,
            });
        }
        Err(Obstacle::NoRoute)
    }
}

/// Whether the host passes packets on, as far as one setting goes. A dot of an interface's name is a
/// slash in it, as sysctl has it.
fn is_set(setting: String) -> Result<(), Obstacle> {
    let part = |letter| match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    let path: String = setting.chars().map(part).collect();
    let path = format!("{SETTINGS}/{path}");
    let value = fs::read_to_string(&path);
    let value = value.map_err(|error| sys::Error::new(format!("read({path:?})"), error))?;
    match value.trim() {
        "0" => Err(Obstacle::Forwarding(setting)),
        _ => Ok(()),
    }
}

/// The end of the line that is on the network, seen from there.
struct Inside {
    routes: Routes,
    link: u32,
    socket: UdpSocket,
}

impl Inside {
    /// What is opened on a network stays there, whatever thread uses it then.
    fn enter(network: &File) -> sys::Result<Inside> {
        let open = || {
            forget_connections();
            let mut routes = Routes::open()?;
            let link = routes.link(INSIDE)?;
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
            let socket = socket.map_err(|error| sys::Error::new("bind(0.0.0.0:0)", error))?;
            Ok(Inside {
                routes,
                link,
                socket,
            })
        };
        namespace::on_network(network, open).flatten()
    }

    /// Gives it the address, and has all packets go over it.
    fn connect(&mut self, ends: Ends, packet_bytes: u32) -> sys::Result<()> {
        let (here, there) = (ends.there, ends.here);
        self.routes.switch_on(self.link, packet_bytes)?;
        self.routes.add_address(self.link, Ends { here, there })?;
        self.routes.add_route(there, self.link)?;
        self.routes.add_default_route(there, self.link)
    }
}
