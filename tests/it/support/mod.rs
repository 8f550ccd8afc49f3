//! What several test files share.

pub(crate) mod docker;
pub(crate) mod docker_registry;
pub(crate) mod golden;
pub(crate) mod guard;
pub(crate) mod memory;
pub(crate) mod registry;
pub(crate) mod tree;
pub(crate) mod wire;
pub(crate) mod worker;

use std::env;
use std::net::TcpStream;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

pub(crate) mod home;
pub(crate) mod image;
pub(crate) mod log;
pub(crate) mod modes;
pub(crate) mod peers;
pub(crate) mod port;
pub(crate) mod processes;
pub(crate) mod program;
pub(crate) mod random;
pub(crate) mod takers;
pub(crate) mod wait;
pub(crate) mod world;

/// Something a test needs and a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "no test file needs all of them")]
pub(crate) enum Feature {
    /// The test runs as root.
    Root,
    /// New mount, pid, ipc, uts and network namespaces can be made.
    Namespaces,
    /// New user namespaces can be made.
    UserNamespaces,
    /// In a new network there can be lines to others, and rules for packets.
    Lines,
    /// An overlay file system can be mounted.
    Overlay,
    /// A program is in the search path.
    Program(&'static str),
    /// A server outside this machine, such as a package mirror, answers at this host and port.
    Server(&'static str),
}

/// What RUN needs, where an image is made of this machine's busybox.
#[allow(dead_code, reason = "not every test file runs something")]
pub(crate) const RUNS_BUSYBOX: [Feature; 3] = [
    Feature::Root,
    Feature::Namespaces,
    Feature::Program("busybox"),
];

/// Whether all the features are there. A missing one is printed as the reason for which the test
/// is skipped; with `RBUILD_REQUIRE_ALL=1` it fails the test.
#[allow(dead_code, reason = "pure rooms need nothing")]
pub(crate) fn require(features: &[Feature]) -> bool {
    let Some(missing) = features.iter().find(|feature| !is_there(**feature)) else {
        return true;
    };
    skip(&format!("this machine lacks {missing:?}"));
    false
}

/// Says why a test does nothing here; where everything must run (`RBUILD_REQUIRE_ALL=1`), fails.
#[expect(clippy::print_stdout, reason = "a test that is skipped says why")]
pub(crate) fn skip(reason: &str) {
    let must = env::var_os("RBUILD_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!must, "cannot run here: {reason}");
    println!("skipped: {reason}");
}

fn is_there(feature: Feature) -> bool {
    match feature {
        Feature::Root => rustix::process::geteuid().is_root(),
        Feature::Namespaces => {
            succeeds(Command::new("unshare").args(["-m", "-p", "-f", "-i", "-u", "-n", "true"]))
        }
        Feature::UserNamespaces => succeeds(Command::new("unshare").args(["-U", "-r", "true"])),
        Feature::Lines => lines_are_made(),
        Feature::Overlay => overlay_mounts(),
        Feature::Program(name) => find_program(name),
        Feature::Server(address) => answers(address),
    }
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Tries it in a mount namespace of its own, so that nothing stays mounted.
fn overlay_mounts() -> bool {
    let Ok(folder) = tempfile::tempdir() else {
        return false;
    };
    let script = "cd \"$1\" && mkdir lower upper work merged && mount -t overlay overlay \
                  -o lowerdir=lower,upperdir=upper,workdir=work merged";
    succeeds(
        Command::new("unshare")
            .args(["-m", "sh", "-c", script, "sh"])
            .arg(folder.path()),
    )
}

fn lines_are_made() -> bool {
    let script = "ip link add name here0 type veth peer name there0 && nft add table inet t && iptables -w -L";
    succeeds(Command::new("unshare").args(["-n", "sh", "-c", script]))
}

fn find_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([
            Path::new("/usr/sbin").to_owned(),
            Path::new("/sbin").to_owned(),
        ])
        .any(|folder| folder.join(name).is_file())
}

/// Asks more than once: an answer that is lost on its way is no server that is not there.
fn answers(address: &str) -> bool {
    (0..3).any(|_| {
        let addresses = address.to_socket_addrs();
        let mut addresses = addresses.into_iter().flatten();
        addresses
            .any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(30)).is_ok())
    })
}
