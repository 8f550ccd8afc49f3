//! Whether commands get a network of their own that leads outside.

use std::fs::File;
use std::io;

use crate::progress::in_one_line;
use crate::sandbox::Error;
use crate::sandbox::examine::Finding;
use crate::sandbox::examine::finding;
use crate::sandbox::examine::firewall;
use crate::sandbox::outbound::CARRIERS;
use crate::sandbox::outbound::Obstacle;
use crate::sandbox::outbound::Outbound;
use crate::sandbox::program;
use crate::sys::namespace;

/// What every program that leads a network outside needs.
const TUN: &str = "/dev/net/tun";

/// What it costs that they get none.
pub(super) const MACHINES: &str = "commands run on the network of this machine";

/// Makes such a network, if commands can be put on it.
pub(super) fn way_out(is_apart: bool) -> Finding {
    if !is_apart {
        let found = "without namespaces there is none but this machine's".to_owned();
        return finding("network", Err(found)).unless_good(MACHINES, gain(false));
    }
    let opened = Outbound::open(|| true);
    let costs = match &opened {
        Err(Error::NetworkLate { .. }) => "commands fail, unless with --network=host",
        _ => MACHINES,
    };
    let remedy = match &opened {
        Ok(_) => String::new(),
        Err(error @ Error::NetworkLate { .. }) => error.hint().unwrap_or_default().to_owned(),
        Err(error) => {
            let own = gain_itself(error).into_iter();
            own.chain([gain(true)]).collect::<Vec<_>>().join("; or ")
        }
    };
    let result = opened
        .map(|network| format!("{} leads a network outside", network.leader()))
        .map_err(|error| in_one_line(&error));
    finding("network", result).unless_good(costs, remedy)
}

/// Says what has this machine pass on what commands send.
fn gain_itself(error: &Error) -> Option<String> {
    let Error::NoWayOut { obstacle, .. } = error else {
        return None;
    };
    match obstacle {
        Obstacle::Forwarding(setting) => Some(format!(
            "sysctl -w {setting}=1; in a container: docker run --sysctl {setting}=1"
        )),
        Obstacle::Firewall => Some(firewall::passing()),
        Obstacle::Untracked(uplink) => Some(firewall::tracking(uplink)),
        Obstacle::NoNameServer => Some("name one outside in /etc/resolv.conf".to_owned()),
        Obstacle::Forbidden | Obstacle::NoRoute | Obstacle::NoAddress | Obstacle::Refused(_) => {
            None
        }
    }
}

/// Names all that programs miss, not only what was missed first.
fn gain(is_apart: bool) -> String {
    let mut parts = Vec::new();
    if !is_apart {
        parts.push("as for namespaces".to_owned());
    } else if namespace::new_network().is_err() {
        let gain = "docker run --cap-add NET_ADMIN; Kubernetes: securityContext: {capabilities: \
                    {add: [NET_ADMIN]}}";
        parts.push(gain.to_owned());
    }
    let tun = File::options().read(true).write(true).open(TUN);
    parts.extend(tun.err().map(|error| tun_for(&error)));
    let is_there = |name| program::find_here(name).is_some();
    if !CARRIERS.iter().any(|carrier| is_there(carrier.name)) {
        parts.push("apt-get install slirp4netns".to_owned());
    }
    match parts.is_empty() {
        true => "try the other program: apt-get install slirp4netns, or passt".to_owned(),
        false => parts.join("; and "),
    }
}

/// Says what gains the device, by what the kernel answers who opens it.
fn tun_for(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied if error.raw_os_error() == Some(namespace::FORBIDDEN) => {
            format!("docker run --device {TUN}")
        }
        io::ErrorKind::PermissionDenied => format!("sudo chmod 666 {TUN}"),
        io::ErrorKind::NotFound => format!(
            "docker run --device {TUN}; Kubernetes: a hostPath volume of {TUN}; where the machine \
             has none: modprobe tun"
        ),
        _ => "modprobe tun on the machine".to_owned(),
    }
}
