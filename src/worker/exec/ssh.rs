//! Sockets by which a command reaches an ssh agent.
//!
//! A command never gets the agent's own socket: its owner and mode are the user's, and the command
//! may run as somebody else. It gets one of its own, from which each connection is carried over: the
//! requests for keys and signatures, and no other, for the agent is to stay as the user has it.

mod message;

use std::fs;
use std::io;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;

use crate::sys;
use crate::sys::Dir;
use crate::sys::Owner;
use crate::worker::Error;

use self::message::Message;

/// A socket that leads to an agent, for one command; it is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Forward {
    path: PathBuf,
    done: Arc<AtomicBool>,
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
        let listener = UnixListener::bind(&short)
            .map_err(|source| sys::Error::new(format!("bind({folder:?}, {name:?})"), source))?;
        dir.set_owner(name, access.owner)?;
        dir.set_mode(name, access.mode)?;
        let done = Arc::new(AtomicBool::new(false));
        let (agent, stop) = (agent.to_owned(), Arc::clone(&done));
        let thread = thread::Builder::new().name("ssh".to_owned());
        let forwarding = thread.spawn(move || accept(&listener, &agent, &stop));
        forwarding.map_err(Error::no_thread)?;
        Ok(Self {
            path: folder.join(name),
            done,
        })
    }

    /// Gives the path of the socket.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection, so that it sees that it is done.
        let _woken = UnixStream::connect(&self.path);
        let _removed = fs::remove_file(&self.path);
    }
}

fn accept(listener: &UnixListener, agent: &Path, done: &AtomicBool) {
    while let Ok((inside, _)) = listener.accept() {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let agent = agent.to_owned();
        let thread = thread::Builder::new().name("ssh".to_owned());
        // Nobody is to wait for what is not carried: without a thread, as when it breaks off, the
        // connection is closed.
        let _carrying = thread.spawn(move || carry(&inside, &agent));
    }
}

/// Has an agent answer the requests of a connection, until that is closed; those that would change
/// the agent never come there.
fn carry(inside: &UnixStream, agent: &Path) -> io::Result<()> {
    let outside = UnixStream::connect(agent)?;
    while let Some(request) = Message::read(inside)? {
        let answer = match request.only_uses_keys() {
            true => ask(&outside, &request)?,
            false => Message::failure(),
        };
        answer.write(inside)?;
    }
    Ok(())
}

fn ask(agent: &UnixStream, request: &Message) -> io::Result<Message> {
    request.write(agent)?;
    let answer = Message::read(agent)?;
    answer.ok_or_else(|| ErrorKind::UnexpectedEof.into())
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
    use super::Forward;
    use crate::sys::Owner;

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
}
