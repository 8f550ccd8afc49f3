//! A docker daemon of a test's own, started by hand.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

use super::Feature;
use super::home::output;
use super::wait::PATIENCE;

/// What [`Docker::start`] takes.
pub(crate) const DOCKER: [Feature; 5] = [
    Feature::Root,
    Feature::Namespaces,
    Feature::Program("dockerd"),
    Feature::Program("docker"),
    Feature::Program("slirp4netns"),
];

/// Where containers find this machine's loopback interface.
pub(crate) const LOOPBACK: &str = "10.0.2.2";

/// Who tells containers the addresses of names.
const NAMES: &str = "10.0.2.3";

/// Ends with its standard input, however the test program ends, and with it all that it started, the
/// mounts, the network and the control groups.
const SCRIPT: &str = r#"
group=rbuild-test${1##*/}
unshare --mount --pid --fork --mount-proc sh -c "$3" sh "$1" "$2" "$group" "$4"
groups() { find /sys/fs/cgroup -depth -type d -path "*/$group*" "$@"; }
for try in $(seq 3000); do
    groups -exec rmdir {} + 2>/dev/null
    [ -n "$(groups)" ] || exit 0
    sleep 0.1
done
"#;

/// Process 1 of namespaces of its own: a daemon without a bridge takes that of another away, hence
/// the network. A daemon that waits in vain for its containerd, on a machine that has much else to
/// do, ends: then there is another.
const NAMESPACES: &str = r#"
set -e
touch "$1/net"
unshare --net="$1/net" true
slirp4netns --configure --mtu=65520 --ready-fd=3 --netns-type=path "$1/net" tap0 \
    3>"$1/ready" >/dev/null 2>&1 &
nsenter --net="$1/net" unshare --mount sh -c "$4" sh "$@" >"$1/log" 2>&1 &
cat >/dev/null
"#;

/// A daemon writes in `/run` and `/etc/docker` whatever it is told, and reads there what is another's:
/// it has both for itself. The rest of `/etc` is copied, since `/etc/docker` may be missing.
const DAEMON: &str = r#"
set -e
mount -t tmpfs tmpfs /run
cp -a /etc /run/etc
mount --bind /run/etc /etc
rm -rf /etc/docker
while sleep 0.1; do
    dockerd --host="unix://$1/socket" --pidfile="$1/pid" --data-root="$1/data" \
        --exec-root="$1/exec" --bridge=none --iptables=false --cgroup-parent="/$3" \
        --insecure-registry="$2/32" || rm -f "$1/pid"
done
"#;

/// A running daemon; it ends with this value, as do its containers.
#[derive(Debug)]
pub(crate) struct Docker {
    shell: Child,
    folder: TempDir,
}

impl Docker {
    /// Starts one that has no image.
    pub(crate) fn start() -> Docker {
        // The path of a socket must be short.
        let folder = tempfile::tempdir().unwrap();
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(folder.path())
            .args([LOOPBACK, NAMESPACES, DAEMON])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let docker = Docker { shell, folder };
        let begun = Instant::now();
        while !docker.is_ready() {
            if begun.elapsed() > PATIENCE {
                let log = fs::read_to_string(docker.path().join("log")).unwrap_or_default();
                panic!("dockerd does not answer:\n{log}");
            }
            thread::sleep(Duration::from_millis(100));
        }
        docker
    }

    /// The client of this daemon, with nothing taken from the user's own settings.
    pub(crate) fn client(&self) -> Command {
        let mut command = Command::new("docker");
        command
            .env("DOCKER_HOST", self.host())
            .env("DOCKER_CONFIG", self.path())
            .env_remove("DOCKER_CONTEXT")
            .stdin(Stdio::null());
        command
    }

    /// `docker run` of a container with default rights and a way out.
    pub(crate) fn run(&self) -> Command {
        let mut command = self.client();
        command
            .args(["run", "--rm", "--network=host"])
            .arg(format!("--dns={NAMES}"));
        command
    }

    fn is_ready(&self) -> bool {
        let has_network = fs::read(self.path().join("ready")).is_ok_and(|said| !said.is_empty());
        has_network && output(self.client().arg("version")).code == Some(0)
    }

    fn host(&self) -> String {
        format!("unix://{}", self.path().join("socket").display())
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
