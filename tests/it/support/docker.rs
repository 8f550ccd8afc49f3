//! A docker daemon of a test's own, started by hand.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::Feature;
use super::home::output;

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

/// Process 1 of namespaces of its own: when it ends, so does all that it started, and with that go
/// the mounts and the network. It ends with its standard input, however the test program ends.
///
/// A daemon without a bridge takes that of another away, hence the network; and it would use the
/// containerd of another.
const SCRIPT: &str = r#"
set -e
[ ! -e /run/containerd ] || mount -t tmpfs tmpfs /run/containerd
touch "$1/net"
unshare --net="$1/net" true
slirp4netns --configure --mtu=65520 --ready-fd=3 --netns-type=path "$1/net" tap0 \
    3>"$1/ready" >/dev/null 2>&1 &
nsenter --net="$1/net" dockerd --host="unix://$1/socket" --pidfile="$1/pid" \
    --data-root="$1/data" --exec-root="$1/exec" --bridge=none --iptables=false \
    --insecure-registry="$2/32" >"$1/log" 2>&1 &
cat >/dev/null
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
        let shell = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--mount-proc"])
            .args(["sh", "-c", SCRIPT, "sh"])
            .arg(folder.path())
            .arg(LOOPBACK)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let docker = Docker { shell, folder };
        for _ in 0..600 {
            if docker.is_ready() {
                return docker;
            }
            thread::sleep(Duration::from_millis(100));
        }
        let log = fs::read_to_string(docker.path().join("log")).unwrap_or_default();
        panic!("dockerd does not answer:\n{log}");
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
