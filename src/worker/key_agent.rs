//! An ssh agent for key files that a build is given without one.

use std::ffi::CString;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::sandbox;
use crate::sys;
use crate::sys::file::open_regular;
use crate::sys::id;
use crate::sys::keeper;
use crate::sys::keeper::Keeper;
use crate::sys::process;
use crate::sys::process::Child;
use crate::worker::Error;

const AGENT: &str = "ssh-agent";
const SOCKET: &str = "agent";
/// How many bytes a socket's path may have: `unix(7)`.
const SOCKET_PATH_MAX: usize = 107;
/// How long an agent may take to listen, and how often that is tried.
const START: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// An agent that holds key files, OpenSSH's own; it ends when this is dropped, and with this process
/// however that ends.
#[derive(Debug)]
pub struct KeyAgent {
    process: Arc<Child>,
    keeper: Keeper<()>,
    socket: PathBuf,
}

impl KeyAgent {
    /// Starts an agent with `keys`; its socket is made in `folder`, which must be the user's alone.
    ///
    /// # Errors
    /// [`Error::SshKeyFile`] if there is no such key, [`Error::SshAgent`] if OpenSSH is not
    /// installed, [`Error::SshKey`] if a key cannot be used: one that asks for a passphrase cannot.
    pub fn start(keys: &[PathBuf], folder: &Path) -> Result<Self, Error> {
        for path in keys {
            open_regular(path).map_err(|source| Error::SshKeyFile {
                path: path.clone(),
                source,
            })?;
        }
        let agent = Self::launch(folder.join(SOCKET))?;
        agent.wait_until_it_listens();
        agent.add(keys)?;
        Ok(agent)
    }

    /// Gives the path of the agent's socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Starts one without keys.
    fn launch(socket: PathBuf) -> Result<Self, Error> {
        let program = sandbox::find_here(AGENT).ok_or_else(|| Error::SshAgent {
            program: AGENT,
            source: ErrorKind::NotFound.into(),
        })?;
        let bytes = socket.as_os_str().as_encoded_bytes();
        if bytes.len() > SOCKET_PATH_MAX {
            return Err(Error::SshSocket { path: socket });
        }
        let args = [AGENT.as_bytes(), b"-D", b"-a", bytes];
        let args = args.map(|arg| CString::new(arg).expect("no path has a NUL"));
        let (tell, told) = mpsc::sync_channel(1);
        let keep = move || keep(&program, &args, &tell);
        let keeper = Keeper::start(AGENT, keep).map_err(Error::no_thread)?;
        let process = told.recv().expect("the thread says how it went")?;
        Ok(Self {
            process,
            keeper,
            socket,
        })
    }

    /// Waits as long as that may take; who comes too early is told so.
    fn wait_until_it_listens(&self) {
        for _ in 0..START.as_millis() / PAUSE.as_millis() {
            if UnixStream::connect(&self.socket).is_ok() || self.process.ends_within(PAUSE) {
                break;
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "keys are read by OpenSSH itself")]
    fn add(&self, keys: &[PathBuf]) -> Result<(), Error> {
        let added = Command::new("ssh-add")
            .arg("-q")
            .args(keys)
            .env("SSH_AUTH_SOCK", &self.socket)
            .env("SSH_ASKPASS_REQUIRE", "never")
            .stdin(Stdio::null())
            .output()
            .map_err(|source| Error::SshAgent {
                program: "ssh-add",
                source,
            })?;
        if !added.status.success() {
            let message = String::from_utf8_lossy(&added.stderr).trim().to_owned();
            return Err(Error::SshKey { message });
        }
        Ok(())
    }
}

/// Starts an agent, tells how that went, and stays until it has ended.
fn keep(program: &Path, args: &[CString], tell: &mpsc::SyncSender<sys::Result<Arc<Child>>>) {
    // Where it is to have the rights of a group of its own, as in Debian, so that nobody may look
    // into it, the kernel would not end it with this thread. It forbids that itself as well.
    let launched = id::forbid_new_privileges()
        .and_then(|()| keeper::launch(program, args, &[]))
        .map(Arc::new);
    let child = launched.as_ref().ok().map(Arc::clone);
    // Who is told waits for it.
    let _told = tell.send(launched);
    if let Some(child) = child {
        let _ended = child.wait();
    }
}

impl Drop for KeyAgent {
    fn drop(&mut self) {
        // If it has ended already, all is well.
        let _ended = process::signal(&*self.process, process::KILL);
        let _kept = self.keeper.join();
    }
}
