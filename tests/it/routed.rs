//! A network of a command's own that the machine itself leads outside, on a machine made for the test.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rbuild::sys::netlink::filter::Table;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::succeed;
use crate::support::require;
use crate::support::wait::wait_until;
use crate::support::world::HERE;
use crate::support::world::NEEDS;
use crate::support::world::OUTSIDE;
use crate::support::world::World;

/// The port on which commands listen.
const PORT: u16 = 5000;

/// How long a connection that is not to come about is tried.
const BRIEFLY: Duration = Duration::from_secs(2);

/// A build of commands of busybox's shell.
fn build(home: &Home, commands: &[&str]) -> Command {
    let mut dockerfile = "FROM scratch\nCOPY --from=host busybox /bin/sh\n".to_owned();
    for command in commands {
        dockerfile += &format!("RUN [\"/bin/sh\", \"-c\", \"{command}\"]\n");
    }
    let context = home.context(&dockerfile);
    let mut build = home.build(&context);
    build.args(["--no-cache", "--build-context", "host=/bin"]);
    build
}

/// Opens a server outside; gives it, and its port.
fn server(world: &World) -> (TcpListener, u16) {
    let server = world.outside(|| TcpListener::bind((OUTSIDE, 0)).unwrap());
    let port = server.local_addr().unwrap().port();
    (server, port)
}

fn line(connection: &TcpStream) -> String {
    let mut line = String::new();
    BufReader::new(connection).read_line(&mut line).unwrap();
    line
}

fn connects(to: Ipv4Addr) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((to, PORT)), BRIEFLY).is_ok()
}

#[test]
fn a_command_gets_out_and_nobody_gets_in() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "192.0.2.7");
    let (server, port) = server(&world);
    let hidden = world.here(|| TcpListener::bind("127.0.0.1:0").unwrap());
    let hidden_port = hidden.local_addr().unwrap().port();
    let script = format!(
        "nc -ll -p {PORT} -e true & until nc 127.0.0.1 {PORT} < /dev/null; do sleep 0.1; done; \
         echo greeting | nc {OUTSIDE} {port}; \
         set -- $(ip route | grep default); \
         for host in 127.0.0.1 $3; do nc -w 2 $host {hidden_port} < /dev/null && \
         echo reached=$host; done; cat /etc/resolv.conf /sys/class/net/eth0/mtu"
    );
    let build = world
        .within(&build(&home, &[&script]))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut connection, from) = server.accept().unwrap();
    // As if it came from the machine.
    assert_eq!(from.ip(), IpAddr::from(HERE));
    assert_eq!(line(&connection), "greeting\n");
    let [address] = world.led()[..] else {
        panic!("{:?}", world.led())
    };
    assert!(!world.outside(|| connects(address)));
    assert!(!world.here(|| connects(address)));
    connection.write_all(b"welcome\n").unwrap();
    drop(connection);
    let done = build.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    for part in [" welcome\n", " nameserver 192.0.2.7\n", " 1400\n"] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    assert!(!said.contains("reached=1"), "{said}");
    assert!(!said.contains("network of this machine"), "{said}");
}

#[test]
fn what_finds_out_whether_packets_pass_does_not_leave() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "192.0.2.7");
    let tried = world.outside(|| UdpSocket::bind("203.0.113.1:9").unwrap());
    succeed(&mut world.within(&build(&home, &["test -e /sys/class/net/eth0"])));
    let other = world.here(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    other.send_to(b"of another", "203.0.113.1:9").unwrap();
    let mut bytes = [0; 16];
    let (length, _) = tried.recv_from(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"of another");
}

#[test]
fn who_claims_to_be_another_gets_nowhere() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "192.0.2.7");
    let server = world.outside(|| UdpSocket::bind((OUTSIDE, 0)).unwrap());
    let at = server.local_addr().unwrap();
    let questions = thread::spawn(move || answer(&server));
    // A command that may change its network asks as itself, as another and as itself again.
    let ask = |name: &str| format!("nslookup {name} {at}");
    let script = format!(
        "set -- $(ip route | grep default); {}; ip addr add 10.9.9.77/32 dev eth0; \
         ip route change default via $3 src 10.9.9.77; timeout 2 {}; ip route change default via $3; {}; :",
        ask("first"),
        ask("second"),
        ask("third")
    );
    let dockerfile = format!(
        "FROM scratch\nCOPY --from=host busybox /bin/sh\n\
         RUN --security=insecure [\"/bin/sh\", \"-c\", \"{script}\"]\n"
    );
    let context = home.context(&dockerfile);
    let mut build = home.build(&context);
    build.args(["--no-cache", "--build-context", "host=/bin"]);
    build.args(["--allow", "security.insecure"]);
    let said = succeed(&mut world.within(&build)).stderr;
    let last = world.outside(|| UdpSocket::bind((OUTSIDE, 0)).unwrap());
    last.send_to(&[], at).unwrap();
    let asked = questions.join().unwrap();
    assert!(asked.iter().all(|(from, _)| *from == HERE), "{asked:?}");
    let has = |name: &str| asked.iter().any(|(_, question)| question.contains(name));
    assert!(has("first") && has("third"), "{asked:?} {said}");
    assert!(!has("second"), "{asked:?}");
}

/// Says to every question that there is no answer, until an empty one comes; gives who asked what.
fn answer(server: &UdpSocket) -> Vec<(IpAddr, String)> {
    const IS_ANSWER: u8 = 1 << 7;
    let (mut asked, mut bytes) = (Vec::new(), [0; 512]);
    loop {
        let (length, from) = server.recv_from(&mut bytes).unwrap();
        if length == 0 {
            return asked;
        }
        asked.push((
            from.ip(),
            String::from_utf8_lossy(&bytes[..length]).into_owned(),
        ));
        bytes[2] |= IS_ANSWER;
        // Whoever has gone has given up.
        let _gone = server.send_to(&bytes[..length], from);
    }
}

#[test]
fn two_commands_at_the_same_time_do_not_reach_each_other() {
    if !require(&NEEDS) {
        return;
    }
    let homes = [Home::new(), Home::new()];
    let world = World::new(&homes[0], "192.0.2.7");
    let (server, port) = server(&world);
    let script = format!(
        "nc -ll -p {PORT} -e true & until nc 127.0.0.1 {PORT} < /dev/null; do sleep 0.1; done; \
         other=$(ip -4 -o addr show eth0 | tr -s ' ' | cut -d ' ' -f 4 | nc {OUTSIDE} {port}); \
         nc -w 2 $other {PORT} < /dev/null && echo reached=$other; \
         echo done | nc {OUTSIDE} {port}"
    );
    let start = |home: &Home| {
        let mut build = world.within(&build(home, &[&script]));
        build.stderr(Stdio::piped()).spawn().unwrap()
    };
    let builds = homes.each_ref().map(start);
    // Each is told the other's address, and none ends before both have tried.
    let mut connections = [(); 2].map(|()| server.accept().unwrap().0);
    let addresses = connections.each_ref().map(line);
    assert_ne!(addresses[0], addresses[1]);
    for (connection, other) in connections.iter_mut().zip(addresses.iter().rev()) {
        let other: Ipv4Addr = other.trim().parse().unwrap();
        assert!(world.led().contains(&other), "{other}");
        writeln!(connection, "{other}").unwrap();
    }
    drop(connections);
    let ends = [(); 2].map(|()| server.accept().unwrap().0);
    assert_eq!(ends.each_ref().map(line), ["done\n", "done\n"]);
    drop(ends);
    for build in builds {
        let done = build.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}");
        assert!(!said.contains("reached=1"), "{said}");
    }
}

#[test]
fn a_killed_build_leaves_no_line_and_no_rules() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "192.0.2.7");
    let mut build = world.within(&build(&home, &["echo begun; sleep 1000"]));
    let mut build = build.stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(build.stderr.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with(" begun")));
    let links = || world.sh("ip link show", &[]);
    let rules = || world.sh("nft list tables", &[]);
    assert!(links().contains("rbuild0") && rules().contains("rbuild-"));
    build.kill().unwrap();
    build.wait().unwrap();
    wait_until("nothing is left", || {
        !links().contains("rbuild") && !rules().contains("rbuild-")
    });
}

#[test]
fn rules_are_removed_before_those_who_made_them_are_waited_for() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "192.0.2.7");
    let mut tables = ["first", "second"].map(|name| world.here(|| Table::make(name, &[]).unwrap()));
    let rules = || world.sh("nft list tables", &[]);
    let before = rules();
    assert!(before.contains("first") && before.contains("second"));
    tables[0].remove().unwrap();
    let after = rules();
    assert!(!after.contains("first") && after.contains("second"));
}

#[test]
fn a_machine_that_passes_nothing_on_is_told_once_and_left_as_it_is() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "192.0.2.7");
    world.sh("echo 0 > /proc/sys/net/ipv4/ip_forward", &[]);
    let because = "neither slirp4netns nor pasta is installed, and rbuild itself leads none: this \
                   machine passes no packets on";
    told_once(&home, &world, because);
    let told = world.sh("cat /proc/sys/net/ipv4/ip_forward", &[]);
    assert_eq!(told, "0\n");
    is_gained(&home, &world, "sysctl -w net.ipv4.ip_forward=1");
}

#[test]
fn a_firewall_is_told_once_and_what_opens_it() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "192.0.2.7");
    world.sh("iptables -P FORWARD DROP", &[]);
    told_once(&home, &world, "a firewall of this machine forbids");
    let line = "iptables -t filter -I FORWARD -i rbuild+ -j ACCEPT && \
                iptables -t filter -I FORWARD -o rbuild+ -j ACCEPT";
    is_gained(&home, &world, line);
}

#[test]
fn a_firewall_in_a_table_of_its_own_is_told_with_its_name() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "192.0.2.7");
    world.sh(
        "nft add table inet strict && \
         nft add chain inet strict passed '{ type filter hook forward priority 10; policy drop; }'",
        &[],
    );
    told_once(&home, &world, "a firewall of this machine forbids");
    let line = "nft insert rule inet strict passed iifname 'rbuild*' accept && \
                nft insert rule inet strict passed oifname 'rbuild*' accept";
    is_gained(&home, &world, line);
}

#[test]
fn connections_that_the_machine_is_not_to_know_are_told() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "192.0.2.7");
    world.sh(
        "nft add table ip quick && nft add chain ip quick early \
         '{ type filter hook prerouting priority -300; }' && nft add rule ip quick early notrack",
        &[],
    );
    told_once(&home, &world, "rules of this machine (notrack) keep it");
    let line = "nft insert rule ip quick early iifname 'rbuild*' accept && \
                nft insert rule ip quick early iifname 'up0' accept";
    is_gained(&home, &world, line);
    // And what is answered comes back.
    let (server, port) = server(&world);
    thread::spawn(move || server.accept());
    let ask = format!("nc -w 60 {OUTSIDE} {port} < /dev/null");
    succeed(&mut world.within(&build(&home, &[&ask])));
}

#[test]
fn an_interface_that_passes_nothing_on_is_told() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "192.0.2.7");
    for setting in ["default", "up0"] {
        let script = "echo 0 > /proc/sys/net/ipv4/conf/$0/forwarding";
        world.sh(script, &[setting]);
        let setting = format!("net.ipv4.conf.{setting}.forwarding");
        let because = format!("this machine passes no packets on ({setting} is 0)");
        told_once(&home, &world, &because);
        is_gained(&home, &world, &format!("sysctl -w {setting}=1"));
    }
}

#[test]
fn a_route_to_nowhere_for_addresses_that_nobody_has_is_no_matter() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "192.0.2.7");
    for kind in ["blackhole", "unreachable", "prohibit"] {
        world.sh("ip route replace $0 203.0.113.0/24", &[kind]);
        let mut build = world.within(&build(&home, &["cat /proc/net/dev"]));
        let said = succeed(&mut build).stderr;
        assert!(said.contains(" eth0:") && !said.contains(" up0:"), "{said}");
    }
}

#[test]
fn addresses_that_a_route_of_the_machine_covers_are_not_taken() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "192.0.2.7");
    let address = || {
        let mut build = world.within(&build(&home, &["ip -4 addr show eth0"]));
        let said = succeed(&mut build).stderr;
        let (_, rest) = said.split_once("inet ").unwrap();
        let address = rest.split_once(' ').unwrap().0;
        address.parse::<Ipv4Addr>().unwrap().octets()
    };
    assert_eq!(address()[..2], [198, 18]);
    world.sh("ip route add unreachable 198.18.0.0/16", &[]);
    assert_eq!(address()[..2], [198, 19]);
    world.sh("ip route add 198.19.0.0/16 via 10.9.9.2", &[]);
    told_once(&home, &world, "routes of this machine cover 198.18.0.0/15");
}

#[test]
fn name_servers_behind_one_on_loopback_are_asked() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let world = World::new(&home, "127.0.0.53");
    told_once(&home, &world, "the name servers of this machine are on");
    let script = "mkdir -p /run/systemd/resolve && \
                  echo nameserver 192.0.2.8 > /run/systemd/resolve/resolv.conf";
    world.sh(script, &[]);
    let mut build = world.within(&build(&home, &["cat /etc/resolv.conf"]));
    let said = succeed(&mut build).stderr;
    assert!(said.contains(" nameserver 192.0.2.8\n"), "{said}");
    assert!(!said.contains("127.0.0.53"), "{said}");
}

#[test]
fn a_user_is_not_told_of_what_only_root_may() {
    let needs = [&NEEDS[..], &[Feature::UserNamespaces]].concat();
    if !require(&needs) {
        return;
    }
    let home = Home::of_nobody("");
    let world = World::new(&home, "192.0.2.7");
    world.sh("echo 0 > /proc/sys/net/ipv4/ip_forward", &[]);
    let told = succeed(&mut world.within(home.rbuild().arg("doctor"))).stdout;
    let finding = told.lines().find(|line| line.starts_with("network "));
    let end = "no    neither slirp4netns nor pasta is installed";
    assert!(finding.is_some_and(|line| line.ends_with(end)), "{told}");
    assert!(!told.contains("ip_forward"), "{told}");
}

/// A build of two commands says once why they are on the machine's network.
fn told_once(home: &Home, world: &World, because: &str) {
    let look = "cat /proc/net/dev";
    let built = succeed(&mut world.within(&build(home, &[look, look]))).stderr;
    assert_eq!(built.matches(because).count(), 1, "{built}");
    assert_eq!(built.matches(" up0:").count(), 2, "{built}");
}

/// The doctor names a line, and when that has been run all is well.
fn is_gained(home: &Home, world: &World, line: &str) {
    let mut doctor = home.rbuild();
    doctor.arg("doctor");
    let told = || succeed(&mut world.within(&doctor)).stdout;
    let before = told();
    let part = format!("to gain it: {line}; ");
    assert!(before.contains(&part), "{before}");
    world.sh(line, &[]);
    let after = told();
    let part = "yes   rbuild itself leads a network outside";
    assert!(after.contains(part), "{after}");
    let mut build = world.within(&build(home, &["cat /proc/net/dev"]));
    let said = succeed(&mut build).stderr;
    assert!(said.contains(" eth0:") && !said.contains(" up0:"), "{said}");
}
