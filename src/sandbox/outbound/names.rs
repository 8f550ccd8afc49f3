//! Name servers, as seen from a network that leads outside: which of those that the host asks are
//! reached. Those with an IPv4 address are, but not by the host's loopback interface.

use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;

use super::Obstacle;

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The servers that systemd's own server on the loopback interface asks.
const BEHIND_SYSTEMD: &str = "/run/systemd/resolve/resolv.conf";

/// Rewrites a `resolv.conf` for a network from which all name servers of the host are reached
/// behind `server`; nothing if it is right as it is.
pub(super) fn through(resolv_conf: &str, server: Ipv4Addr) -> Option<String> {
    let mut seen = Seen::of(resolv_conf);
    if seen.reached == 0 {
        writeln!(seen.text, "nameserver {server}").expect("a string takes everything");
    }
    (seen.has_hidden || seen.reached == 0).then_some(seen.text)
}

/// Rewrites one for a network where what the first name server answers comes from `server`, whomever
/// was asked, and is not taken for an answer unless that was.
pub(super) fn through_first(resolv_conf: &str, server: Ipv4Addr) -> Option<String> {
    let is_ipv4 = |line| self::server(line).is_some_and(|it| it.parse::<Ipv4Addr>().is_ok());
    let Some(first) = resolv_conf.lines().position(is_ipv4) else {
        return through(resolv_conf, server);
    };
    let own = format!("nameserver {server}");
    let lines = resolv_conf.lines().enumerate();
    let replaced = lines.map(|(at, line)| if at == first { &own } else { line });
    let replaced: String = replaced.flat_map(|line| [line, "\n"]).collect();
    Some(through(&replaced, server).unwrap_or(replaced))
}

/// Rewrites the host's `resolv.conf` for a network from which only name servers outside are
/// reached; nothing if it is right as it is, or if there is none.
pub(super) fn outside() -> Result<Option<String>, Obstacle> {
    let Ok(of_host) = fs::read_to_string(RESOLV_CONF) else {
        return Ok(None);
    };
    outside_of(&of_host, || fs::read_to_string(BEHIND_SYSTEMD).ok())
}

fn outside_of(
    of_host: &str,
    behind: impl FnOnce() -> Option<String>,
) -> Result<Option<String>, Obstacle> {
    let seen = Seen::of(of_host);
    if seen.reached > 0 {
        return Ok(seen.has_hidden.then_some(seen.text));
    }
    let behind = behind().map(|behind| Seen::of(&behind));
    match behind {
        Some(seen) if seen.reached > 0 => Ok(Some(seen.text)),
        _ => Err(Obstacle::NoNameServer),
    }
}

/// A `resolv.conf` as it is seen from a network.
struct Seen {
    /// Without the servers that are not reached.
    text: String,
    /// How many servers are.
    reached: usize,
    has_hidden: bool,
}

impl Seen {
    fn of(resolv_conf: &str) -> Seen {
        let mut seen = Seen {
            text: String::new(),
            reached: 0,
            has_hidden: false,
        };
        for line in resolv_conf.lines() {
            match server(line) {
                Some(server) if !is_reached(server) => {
                    seen.has_hidden = true;
                    continue;
                }
                Some(_) => seen.reached += 1,
                None => {}
            }
            writeln!(seen.text, "{line}").expect("a string takes everything");
        }
        seen
    }
}

/// The server that a line names; what follows it says nothing.
fn server(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    (words.next()? == "nameserver").then(|| words.next().unwrap_or_default())
}

fn is_reached(server: &str) -> bool {
    let address = server.parse::<Ipv4Addr>();
    address.is_ok_and(|address| !address.is_loopback() && !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
    const STUB: &str = "# a stub\nnameserver 127.0.0.53\noptions edns0\n";
    const MIXED: &str = "nameserver ::1\nnameserver 192.0.2.1\nnameserver fd00::1\n";

    #[test]
    fn name_servers_outside_are_kept_as_they_are() {
        assert_eq!(through("nameserver 192.0.2.1\nsearch x\n", SERVER), None);
        assert_eq!(through(" nameserver\t192.0.2.1 # outside\n", SERVER), None);
        let kept = outside_of("nameserver 192.0.2.1\n", || None);
        assert!(matches!(kept, Ok(None)), "{kept:?}");
    }

    #[test]
    fn name_servers_of_this_machine_are_replaced() {
        let own = "# a stub\noptions edns0\nnameserver 10.0.2.3\n";
        assert_eq!(through(STUB, SERVER).as_deref(), Some(own));
        let own = "nameserver 192.0.2.1\n";
        assert_eq!(through(MIXED, SERVER).as_deref(), Some(own));
        let own = "search x\nnameserver 10.0.2.3\n";
        assert_eq!(through("search x\n", SERVER).as_deref(), Some(own));
    }

    #[test]
    fn the_first_is_replaced_where_all_it_answers_comes_from_another() {
        let two = "# nameserver 192.0.2.1\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n";
        let own = "# nameserver 192.0.2.1\nnameserver 10.0.2.3\nnameserver 192.0.2.2\n";
        assert_eq!(through_first(two, SERVER).as_deref(), Some(own));
        let own = "# a stub\nnameserver 10.0.2.3\noptions edns0\n";
        assert_eq!(through_first(STUB, SERVER).as_deref(), Some(own));
        let own = "nameserver 10.0.2.3\n";
        assert_eq!(through_first(MIXED, SERVER).as_deref(), Some(own));
        assert_eq!(through_first("", SERVER).as_deref(), Some(own));
    }

    #[test]
    fn where_nothing_stands_for_them_those_behind_them_are_asked() {
        let behind = || Some("nameserver 192.0.2.7\nnameserver ::1\nsearch x\n".to_owned());
        let found = outside_of(STUB, behind).unwrap();
        assert_eq!(found.as_deref(), Some("nameserver 192.0.2.7\nsearch x\n"));
        let found = outside_of(MIXED, behind).unwrap();
        assert_eq!(found.as_deref(), Some("nameserver 192.0.2.1\n"));
        for behind in [None, Some(STUB.to_owned())] {
            let none = outside_of(STUB, || behind);
            assert!(matches!(none, Err(Obstacle::NoNameServer)), "{none:?}");
        }
    }
}
