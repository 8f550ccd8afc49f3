//! An ssh agent for key files that a build is given without one.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::worker::Error;

const SOCKET: &str = "agent";
/// How long an agent may take to be there.
const START: Duration = Duration::from_secs(5);

/// An agent that holds key files, OpenSSH's own; it ends when this is dropped.
#[derive(Debug)]
pub struct KeyAgent {
    child: Child,
    socket: PathBuf,
}

impl KeyAgent {
    /// Starts an agent with `keys`; its socket is made in `folder`, which must be the user's alone.
    ///
    /// # Errors
    /// [`Error::SshKeyFile`] if there is no such key, [`Error::SshAgent`] if OpenSSH is not
    /// installed, [`Error::SshKey`] if a key cannot be used: one that asks for a passphrase cannot.
    #[expect(
        clippy::disallowed_methods,
        reason = "keys are kept by OpenSSH's own agent"
    )]
    pub fn start(keys: &[PathBuf], folder: &Path) -> Result<Self, Error> {
        let socket = folder.join(SOCKET);
        for path in keys {
            fs::File::open(path).map_err(|source| Error::SshKeyFile {
                path: path.clone(),
                source,
            })?;
        }
        let failed = |program| move |source| Error::SshAgent { program, source };
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed("ssh-agent"))?;
        let agent = Self { child, socket };
        let pause = Duration::from_millis(5);
        for _ in 0..START.as_millis() / pause.as_millis() {
            if agent.socket.exists() {
                break;
            }
            thread::sleep(pause);
        }
        let added = Command::new("ssh-add")
            .arg("-q")
            .args(keys)
            .env("SSH_AUTH_SOCK", &agent.socket)
            .env("SSH_ASKPASS_REQUIRE", "never")
            .stdin(Stdio::null())
            .output()
            .map_err(failed("ssh-add"))?;
        if !added.status.success() {
            let message = String::from_utf8_lossy(&added.stderr).trim().to_owned();
            return Err(Error::SshKey { message });
        }
        Ok(agent)
    }

    /// Gives the path of the agent's socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for KeyAgent {
    fn drop(&mut self) {
        // It has ended already if it cannot be killed.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
