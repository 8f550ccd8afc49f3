//! A world of two networks, made for one test: a machine that has neither slirp4netns nor pasta, and
//! that reaches a second one. Nothing of the machine that the tests run on is changed.

use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::net::Ipv4Addr;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use rbuild::sys::namespace;

use super::Feature;
use super::home::Home;
use super::home::succeed;
use super::modes::within;

/// What such a world, and a build of busybox in it, takes.
pub(crate) const NEEDS: [Feature; 7] = [
    Feature::Root,
    Feature::Namespaces,
    Feature::Program("busybox"),
    Feature::Program("ip"),
    Feature::Program("iptables"),
    Feature::Program("nft"),
    Feature::Lines,
];

/// The address of the machine, and that of the one it reaches.
pub(crate) const HERE: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 1);
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 2);

/// Programs are looked for in more places than one, and the same one may be found in several. Where
/// there is systemd, the list of name servers is a link into `/run`.
const BE_HERE: &str = "ip link set lo up && echo 1 > /proc/sys/net/ipv4/ip_forward && \
    for folder in $(echo $PATH | tr : ' ') /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do \
    for program in slirp4netns pasta; do \
    [ ! -e $folder/$program ] || mount --bind /dev/null $folder/$program || exit; \
    done; done && mount -t tmpfs none /run && place=$(readlink -m /etc/resolv.conf) && \
    mkdir -p ${place%/*} && { [ -e $place ] || : > $place; } && mount --bind \"$0\" $place";

const BE_OUTSIDE: &str = "ip link set lo up";

/// Puts the two on one network, and says where networks of the first would be reached.
const CONNECT: &str = "ip link add up0 mtu 1400 type veth peer name out0 netns $0 && \
    ip addr add 10.9.9.1/24 dev up0 && ip link set up0 up && \
    nsenter -t $0 -n sh -c 'ip addr add 10.9.9.2/24 dev out0 && ip link set out0 up && \
    ip route add 198.18.0.0/15 via 10.9.9.1 && ip addr add 203.0.113.1/32 dev lo' && \
    ip route add default via 10.9.9.2";

/// Both machines; gone with the test.
#[derive(Debug)]
pub(crate) struct World {
    here: Child,
    outside: Child,
}

impl World {
    /// Makes the world; its machine asks this name server.
    pub(crate) fn new(home: &Home, name_server: &str) -> World {
        let names = home.write("resolv.conf", &format!("nameserver {name_server}\n"));
        let world = World {
            here: machine(BE_HERE, names.to_str().unwrap()),
            outside: machine(BE_OUTSIDE, ""),
        };
        let outside = world.outside.id().to_string();
        world.sh(CONNECT, &[&outside]);
        world
    }

    /// The same command, on the machine.
    pub(crate) fn within(&self, command: &Command) -> Command {
        let pid = self.here.id().to_string();
        within(["nsenter", "-t", &pid, "-n", "-m", "--"], command)
    }

    /// Runs a script on the machine and gives what it says.
    pub(crate) fn sh(&self, script: &str, args: &[&str]) -> String {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).args(args);
        succeed(&mut self.within(&shell)).stdout
    }

    /// Does something on the machine's network; what is opened stays there.
    pub(crate) fn here<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        on_network_of(&self.here, work)
    }

    /// Does something on the network of the machine outside.
    pub(crate) fn outside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        on_network_of(&self.outside, work)
    }

    /// The addresses of the networks that the machine leads outside.
    pub(crate) fn led(&self) -> Vec<Ipv4Addr> {
        let routes = self.sh("ip -4 route show", &[]);
        let to = |line: &str| {
            let (to, rest) = line.split_once(' ')?;
            rest.starts_with("dev rbuild").then(|| to.parse().unwrap())
        };
        routes.lines().filter_map(to).collect()
    }
}

fn on_network_of<T: Send>(machine: &Child, work: impl FnOnce() -> T + Send) -> T {
    let network: File = namespace::network_of(machine.id()).unwrap();
    namespace::on_network(&network, work).unwrap()
}

/// Starts a machine: a process that does nothing until its input ends.
fn machine(begin: &str, argument: &str) -> Child {
    let script = format!("{begin} && echo begun && exec cat");
    let mut machine = Command::new("unshare")
        .args(["-n", "-m", "sh", "-c", &script, argument])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(machine.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    machine
}

impl Drop for World {
    fn drop(&mut self) {
        for machine in [&mut self.here, &mut self.outside] {
            drop(machine.stdin.take());
            // A test that fails says more than this.
            let _ended = machine.wait();
        }
    }
}
