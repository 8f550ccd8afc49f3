//! Sockets by which a command reaches an ssh agent.
//!
//! A command never gets the agent's own socket: its owner and mode are the user's, and the command
//! may run as somebody else. It gets one of its own, from which each connection is carried over.

use std::fs;
use std::io;
use std::net::Shutdown;
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
        // An agent that is gone is a connection that is closed.
        if let Ok(outside) = UnixStream::connect(agent) {
            let _broken = carry(inside, outside);
        }
    }
}

/// Copies both ways, each on a thread of its own, until both ends are closed.
fn carry(inside: UnixStream, outside: UnixStream) -> io::Result<()> {
    let hold = inside.try_clone()?;
    let pairs = [
        (inside.try_clone()?, outside.try_clone()?),
        (outside, inside),
    ];
    for (mut from, mut to) in pairs {
        let thread = thread::Builder::new().name("ssh".to_owned());
        let carrying = thread.spawn(move || {
            let _broken = io::copy(&mut from, &mut to);
            let _closed = to.shutdown(Shutdown::Write);
        });
        if let Err(error) = carrying {
            // Nobody is to wait for what is not carried.
            hold.shutdown(Shutdown::Both)?;
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::io::Write;
    use std::net::Shutdown;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixListener;
    use std::os::unix::net::UnixStream;

    use super::Access;
    use super::Forward;
    use crate::sys::Owner;

    #[test]
    fn carries_questions_and_answers_and_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let agent = folder.path().join("real");
        let listener = UnixListener::bind(&agent).unwrap();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = String::new();
            stream.read_to_string(&mut question).unwrap();
            stream
                .write_all(format!("answer to {question}").as_bytes())
                .unwrap();
        });
        let metadata = fs::metadata(folder.path()).unwrap();
        let owner = Owner {
            uid: metadata.uid(),
            gid: metadata.gid(),
        };
        let access = Access { owner, mode: 0o640 };
        let forward = Forward::start(&agent, (folder.path(), "f"), access).unwrap();
        let path = forward.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"x").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer to x");
        answering.join().unwrap();
        drop(forward);
        assert!(!path.exists());
    }
}
