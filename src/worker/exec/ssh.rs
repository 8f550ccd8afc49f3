//! Sockets by which a command reaches an ssh agent.
//!
//! A command never gets the agent's own socket: its owner and mode are the user's, and the command
//! may run as somebody else. It gets one of its own, from which each connection is carried over: the
//! requests for keys and signatures, and no other, for the agent is to stay as the user has it.

mod connection;
mod message;

use std::fs;
use std::io;
use std::io::PipeReader;
use std::io::PipeWriter;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::sys;
use crate::sys::Dir;
use crate::sys::Owner;
use crate::sys::file;
use crate::worker::Error;

/// How many connections are carried at a time; more wait. Each takes a thread and two open files,
/// which others of this build need too.
const CONNECTIONS: usize = 64;

/// How long to wait after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// A socket that leads to an agent, for one command; it is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Forward {
    path: PathBuf,
    /// Whose end the threads take for the command's.
    _command: PipeWriter,
}

/// Who may use a forwarded socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) owner: Owner,
    pub(super) mode: u32,
}

impl Forward {
    /// Makes a socket named `name` in `folder` that leads to the agent at `agent`.
    pub(super) fn start(
        agent: &Path,
        (folder, name): (&Path, &str),
        access: Access,
    ) -> Result<Self, Error> {
        let dir = Dir::open(folder)?;
        // The name under /proc is short enough for a socket's address, however long the path is.
        let short = format!("/proc/self/fd/{}/{name}", dir.as_fd().as_raw_fd());
        let failed = |call: String| move |source| sys::Error::new(call, source);
        let bind = format!("bind({folder:?}, {name:?})");
        let listener = UnixListener::bind(&short).map_err(failed(bind))?;
        dir.set_owner(name, access.owner)?;
        dir.set_mode(name, access.mode)?;
        // Then no thread waits in `accept`, which knows of no command.
        listener
            .set_nonblocking(true)
            .map_err(failed("ioctl(FIONBIO)".to_owned()))?;
        let (command, end) = io::pipe().map_err(failed("pipe2()".to_owned()))?;
        let (agent, command) = (agent.to_owned(), Arc::new(command));
        let thread = thread::Builder::new().name("ssh".to_owned());
        let forwarding = thread.spawn(move || accept(&listener, &agent, &command));
        forwarding.map_err(Error::no_thread)?;
        Ok(Self {
            path: folder.join(name),
            _command: end,
        })
    }

    /// Gives the path of the socket.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _removed = fs::remove_file(&self.path);
    }
}

/// One of the connections that are carried at a time. Dropped, it is the next one's.
struct Permit(mpsc::Sender<()>);

impl Drop for Permit {
    fn drop(&mut self) {
        // Once the command has ended nobody waits for it.
        let _given_back = self.0.send(());
    }
}

/// Carries connections until the command has ended, each on a thread of its own.
fn accept(listener: &UnixListener, agent: &Path, command: &Arc<PipeReader>) {
    let (give_back, free) = mpsc::channel();
    let permit = || Permit(give_back.clone());
    drop((0..CONNECTIONS).map(|_| permit()).collect::<Vec<_>>());
    while free.recv().is_ok() {
        let permit = permit();
        let ready = file::wait_readable([listener.as_fd(), command.as_fd()]);
        if ready[1] {
            return;
        }
        match listener.accept() {
            Ok((inside, _)) => start(inside, agent, command, permit),
            // Where no more files may be open, one is closed sooner or later.
            Err(_) => {
                file::is_readable_within(&**command, PAUSE);
            }
        }
    }
}

fn start(inside: UnixStream, agent: &Path, command: &Arc<PipeReader>, permit: Permit) {
    let (agent, command) = (agent.to_owned(), Arc::clone(command));
    let thread = thread::Builder::new().name("ssh".to_owned());
    // Nobody is to wait for what is not carried: without a thread, as when it breaks off, the
    // connection is closed.
    let _carrying = thread.spawn(move || {
        let _permit = permit;
        connection::carry(inside, &agent, &command)
    });
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixListener;
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::path::PathBuf;

    use super::Access;
    use super::CONNECTIONS;
    use super::Forward;
    use super::PAUSE;
    use crate::sys::Owner;
    use crate::sys::file;

    /// What an agent is asked for its keys with, and what it answers that has none.
    const LIST: [u8; 5] = [0, 0, 0, 1, 11];
    const NO_KEYS: [u8; 9] = [0, 0, 0, 5, 12, 0, 0, 0, 0];
    /// To forget all keys, and that nothing is done.
    const REMOVE_ALL: [u8; 5] = [0, 0, 0, 1, 19];
    const FAILURE: [u8; 5] = [0, 0, 0, 1, 5];

    /// An agent of the test's own, and where it listens.
    fn agent(folder: &Path) -> (UnixListener, PathBuf) {
        let path = folder.join("real");
        (UnixListener::bind(&path).unwrap(), path)
    }

    fn forward(agent: &Path, folder: &Path) -> Forward {
        let metadata = fs::metadata(folder).unwrap();
        let owner = Owner {
            uid: metadata.uid(),
            gid: metadata.gid(),
        };
        let access = Access { owner, mode: 0o640 };
        Forward::start(agent, (folder, "f"), access).unwrap()
    }

    fn read<const LENGTH: usize>(mut stream: &UnixStream) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn carries_questions_and_answers_and_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (listener, agent) = agent(folder.path());
        let forward = forward(&agent, folder.path());
        let path = forward.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        let mut client = UnixStream::connect(&path).unwrap();
        let (mut asked, _) = listener.accept().unwrap();
        for _ in 0..2 {
            client.write_all(&LIST).unwrap();
            assert_eq!(read(&asked), LIST);
            asked.write_all(&NO_KEYS).unwrap();
            assert_eq!(read(&client), NO_KEYS);
        }
        drop(client);
        assert_eq!(asked.read(&mut [0]).unwrap(), 0);
        drop(forward);
        assert!(!path.exists());
    }

    #[test]
    fn an_agent_never_hears_of_what_would_change_it() {
        let folder = tempfile::tempdir().unwrap();
        let (listener, agent) = agent(folder.path());
        let forward = forward(&agent, folder.path());
        let mut client = UnixStream::connect(forward.path()).unwrap();
        let (asked, _) = listener.accept().unwrap();
        client.write_all(&REMOVE_ALL).unwrap();
        assert_eq!(read(&client), FAILURE);
        client.write_all(&LIST).unwrap();
        // The first that comes.
        assert_eq!(read(&asked), LIST);
        // An agent that ends without an answer, and a client that is told so.
        drop((asked, listener));
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn what_is_no_message_ends_a_connection() {
        let folder = tempfile::tempdir().unwrap();
        let (listener, agent) = agent(folder.path());
        let forward = forward(&agent, folder.path());
        let mut client = UnixStream::connect(forward.path()).unwrap();
        let (mut asked, _) = listener.accept().unwrap();
        client.write_all(&u32::MAX.to_be_bytes()).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        assert_eq!(asked.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn what_an_agent_never_answers_ends_with_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let (listener, agent) = agent(folder.path());
        let forward = forward(&agent, folder.path());
        let mut client = UnixStream::connect(forward.path()).unwrap();
        let (mut asked, _) = listener.accept().unwrap();
        client.write_all(&LIST).unwrap();
        assert_eq!(read(&asked), LIST);
        drop(forward);
        assert_eq!(asked.read(&mut [0]).unwrap(), 0);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn only_so_many_connections_are_carried_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (listener, agent) = agent(folder.path());
        let forward = forward(&agent, folder.path());
        let connect = || UnixStream::connect(forward.path()).unwrap();
        let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| connect()).collect();
        let carried: Vec<_> = (0..CONNECTIONS)
            .map(|_| listener.accept().unwrap())
            .collect();
        let mut waiting = connect();
        waiting.write_all(&LIST).unwrap();
        assert!(!file::is_readable_within(&listener, 2 * PAUSE));
        // One is closed, and the next is carried.
        clients.pop();
        let (next, _) = listener.accept().unwrap();
        assert_eq!(read(&next), LIST);
        drop(carried);
    }
}
