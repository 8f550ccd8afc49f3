//! A connection of a command to an agent, which is carried until the command has ended.

use std::io;
use std::io::ErrorKind;
use std::io::PipeReader;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::sys::file;

use super::message::Message;

/// One end of it, from which nothing comes any more once the command has ended: an agent may have
/// its user asked, who takes his time.
struct End<'a> {
    stream: UnixStream,
    /// At its end when the command has ended.
    command: &'a PipeReader,
}

impl Read for &End<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = file::wait_readable([self.stream.as_fd(), self.command.as_fd()]);
        match ready[1] {
            true => Err(ErrorKind::ConnectionAborted.into()),
            false => (&self.stream).read(buffer),
        }
    }
}

/// Has an agent answer the requests of a connection, until that is closed; those that would change
/// the agent never come there.
pub(super) fn carry(inside: UnixStream, agent: &Path, command: &PipeReader) -> io::Result<()> {
    let outside = UnixStream::connect(agent)?;
    let end = |stream| End { stream, command };
    let (inside, outside) = (end(inside), end(outside));
    while let Some(request) = Message::read(&inside)? {
        let answer = match request.only_uses_keys() {
            true => ask(&outside, &request)?,
            false => Message::failure(),
        };
        answer.write(&inside.stream)?;
    }
    Ok(())
}

fn ask(agent: &End<'_>, request: &Message) -> io::Result<Message> {
    request.write(&agent.stream)?;
    let answer = Message::read(agent)?;
    answer.ok_or_else(|| ErrorKind::UnexpectedEof.into())
}
