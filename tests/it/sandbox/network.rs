//! A network of a sandbox's own that leads outside.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

use rbuild::sandbox::Error;
use rbuild::sandbox::Network;
use rbuild::sandbox::Outbound;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::succeed;
use crate::support::require;
use crate::support::world::NEEDS;
use crate::support::world::World;

use super::able;
use super::shell;

fn network() -> Option<Outbound> {
    let there = able() && require(&[Feature::Program("slirp4netns")]);
    there.then(|| Outbound::open(|| true).unwrap())
}

/// An address of this machine that is not its loopback interface's; no packet is sent for this.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[test]
fn it_reaches_the_machine_as_others_do_but_not_its_loopback() {
    let Some(network) = network() else { return };
    let Some(address) = own_address() else {
        return crate::support::skip("this machine has no address");
    };
    let outer = TcpListener::bind((address, 0)).unwrap();
    let inner = TcpListener::bind("127.0.0.1:0").unwrap();
    let (reached, hidden) = (outer.local_addr().unwrap(), inner.local_addr().unwrap());
    std::thread::spawn(move || {
        // Whoever connects is let go at once, so that nobody waits for more.
        for connection in outer.incoming() {
            drop(connection);
        }
    });
    let try_port = |host: &str, port| format!("nc -w 3 {host} {port} </dev/null && echo {host}");
    let reach = format!(
        "nc {address} {} </dev/null && echo {address}",
        reached.port()
    );
    let attempts = [
        try_port("127.0.0.1", hidden.port()),
        // What slirp4netns calls the machine itself.
        try_port("10.0.2.2", hidden.port()),
        try_port(&address.to_string(), hidden.port()),
        reach,
    ];
    let mut case = shell(&format!("{}; true", attempts.join("; ")));
    case.spec.network = Network::Join(network.path());
    assert_eq!(case.output(), address.to_string());
}

#[test]
fn servers_on_two_networks_do_not_see_each_other() {
    let Some(network) = network() else { return };
    let other = Outbound::open(|| true).unwrap();
    let script = "nc -l -p 7777 </dev/null & for i in $(busybox seq 3000); do \
        nc 127.0.0.1 7777 </dev/null && exec cat /proc/net/dev; sleep 0.1; done; exit 1";
    for network in [&network, &other] {
        let mut case = shell(script);
        case.spec.network = Network::Join(network.path());
        let seen = case.output();
        assert!(seen.contains("tap0:") && !seen.contains("eth0:"), "{seen}");
    }
    // The network can be used again, and nothing of the server is left on it.
    let mut case = shell("! nc -w 1 127.0.0.1 7777 </dev/null");
    case.spec.network = Network::Join(network.path());
    case.output();
}

#[test]
fn a_network_of_the_machine_is_reached_whatever_its_addresses() {
    let needs = [&NEEDS[..], &[Feature::Program("slirp4netns")]].concat();
    if !able() || !require(&needs) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "192.0.2.7");
    // These are what slirp4netns gives a network unless it is told otherwise.
    world.sh("ip addr add 10.0.2.2/24 dev up0", &[]);
    let address = Ipv4Addr::new(10, 0, 2, 3);
    let mut add = Command::new("ip");
    add.args(["addr", "add", "10.0.2.3/24", "dev", "out0"]);
    world.outside(|| succeed(&mut add));
    let server = world.outside(|| TcpListener::bind((address, 0)).unwrap());
    let port = server.local_addr().unwrap().port();
    std::thread::spawn(move || server.incoming().for_each(drop));
    let open = || world.here(|| Outbound::open(|| true).unwrap());
    let servers = |network: &Outbound| network.resolv_conf("nameserver 127.0.0.53\n");
    let network = open();
    let its_own = Some("nameserver 198.18.0.3\n");
    assert_eq!(servers(&network).as_deref(), its_own);
    let mut case = shell(&format!(
        "nc -w 60 {address} {port} </dev/null && echo reached"
    ));
    case.spec.network = Network::Join(network.path());
    assert_eq!(case.output(), "reached");
    world.sh("ip route add unreachable 198.18.0.128/25", &[]);
    let its_own = Some("nameserver 198.19.255.3\n");
    assert_eq!(servers(&open()).as_deref(), its_own);
}

#[test]
fn it_is_not_waited_for_when_nobody_wants_it() {
    if !able() || !require(&[Feature::Program("slirp4netns")]) {
        return;
    }
    let opened = Outbound::open(|| false);
    assert!(matches!(opened, Err(Error::Unwanted)), "{opened:?}");
}

#[test]
fn nothing_is_left_of_it() {
    let Some(network) = network() else { return };
    assert!(network.is_alive());
    let mine = format!("/proc/{}/task", std::process::id());
    let children = |folder: &str| -> Vec<String> {
        let tasks = std::fs::read_dir(folder).unwrap();
        let lists = tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
        let numbers: Vec<String> = lists
            .flat_map(|list| {
                list.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect();
        numbers
    };
    let namespace = std::fs::read_link(network.path()).unwrap();
    // What another test is just starting has all open that this process has.
    let is_program = |pid: &String| {
        let name = std::fs::read_to_string(Path::new("/proc").join(pid).join("comm"));
        name.is_ok_and(|name| name.trim() == "slirp4netns")
    };
    let carried = |pid: &String| {
        let file = Path::new("/proc").join(pid).join("fd/3");
        std::fs::read_link(file).is_ok_and(|link| link == namespace) && is_program(pid)
    };
    let carrier = children(&mine).into_iter().find(carried).unwrap();
    drop(network);
    assert!(!Path::new("/proc").join(&carrier).exists());
}
