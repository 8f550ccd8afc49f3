//! Lines that have a firewall of this machine let through what the networks of commands send.

use crate::sandbox::outbound::LINKS;
use crate::sys::netlink::filter;
use crate::sys::netlink::filter::Found;
use crate::sys::netlink::filter::Place;

/// Where the kernel begins to know connections, and where packets are changed: whoever keeps some
/// from being known comes before the one, whoever forbids them behind the other.
const TRACKING: i32 = -200;
const CHANGING: i32 = -150;

/// The table of firewalld, which may have it for itself and makes it anew as it likes.
const FIREWALLD: &str = "firewalld";

/// What a packet fits that comes or goes by an interface: for nft, and for iptables.
const COMES: [&str; 2] = ["iifname", "-i"];
const GOES: [&str; 2] = ["oifname", "-o"];

/// A fact about packets, and the interface that it is about if not those of such networks.
type Fits<'a> = ([&'static str; 2], Option<&'a str>);

/// Has packets passed on, both those that come from such a network and those that go there.
pub(super) fn passing() -> String {
    let chains = chains_at(Place::Through, |priority| priority > CHANGING);
    lines(Place::Through, chains, [(COMES, None), (GOES, None)])
}

/// Has connections of such a network be known. Their answers come by `uplink`, for the machine itself.
pub(super) fn tracking(uplink: &str) -> String {
    let chains = chains_at(Place::In, |priority| priority < TRACKING);
    lines(Place::In, chains, [(COMES, None), (COMES, Some(uplink))])
}

/// Finds those that rbuild did not make; none where they cannot be listed.
fn chains_at(place: Place, is_concerned: impl Fn(i32) -> bool) -> Vec<Found> {
    let mut chains = filter::chains_at(place).unwrap_or_default();
    chains.retain(|it| is_concerned(it.priority) && !it.table.starts_with(LINKS));
    chains
}

fn lines(place: Place, mut chains: Vec<Found>, all: [Fits<'_>; 2]) -> String {
    if chains.is_empty() {
        chains.push(of_iptables(place));
    }
    let lines = chains.iter().flat_map(|chain| {
        let is_iptables = *chain == of_iptables(place);
        all.map(|fits| line(chain, is_iptables, fits))
    });
    let mut lines: Vec<String> = lines.collect();
    lines.dedup();
    lines.join(" && ")
}

/// The chain of iptables that is there for it.
fn of_iptables(place: Place) -> Found {
    let (table, name, priority) = match place {
        Place::Through => ("filter", "FORWARD", 0),
        _ => ("raw", "PREROUTING", -300),
    };
    Found {
        family: "ip",
        table: table.to_owned(),
        name: name.to_owned(),
        priority,
    }
}

fn line(chain: &Found, is_iptables: bool, ([nft, iptables], interface): Fits<'_>) -> String {
    let (family, table, name) = (chain.family, &chain.table, &chain.name);
    // All whose names begin so.
    let all = |end: &str| interface.map_or(format!("{LINKS}{end}"), str::to_owned);
    if is_iptables {
        let interface = all("+");
        format!("iptables -t {table} -I {name} {iptables} {interface} -j ACCEPT")
    } else if table == FIREWALLD {
        format!("firewall-cmd --zone=trusted --add-interface={LINKS}+")
    } else {
        let interface = all("*");
        format!("nft insert rule {family} {table} {name} {nft} '{interface}' accept")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(table: &str, name: &str) -> Found {
        Found {
            family: "inet",
            table: table.to_owned(),
            name: name.to_owned(),
            priority: 0,
        }
    }

    #[test]
    fn firewalld_has_a_line_of_its_own_and_where_nothing_is_found_iptables_has() {
        let found = vec![chain("firewalld", "filter_FORWARD"), chain("own", "passed")];
        let told = lines(Place::Through, found, [(COMES, None), (GOES, None)]);
        let expected = "firewall-cmd --zone=trusted --add-interface=rbuild+ && \
                        nft insert rule inet own passed iifname 'rbuild*' accept && \
                        nft insert rule inet own passed oifname 'rbuild*' accept";
        assert_eq!(told, expected);
        let all = [(COMES, None), (COMES, Some("eth0.7"))];
        let expected = "iptables -t raw -I PREROUTING -i rbuild+ -j ACCEPT && \
                        iptables -t raw -I PREROUTING -i eth0.7 -j ACCEPT";
        assert_eq!(lines(Place::In, Vec::new(), all), expected);
    }
}
