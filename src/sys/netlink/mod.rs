//! The kernel's networking, asked and told by messages: [`Routes`] for interfaces, addresses and
//! routes, and [`filter`] for what happens to packets.

pub mod filter;

mod message;
mod route;

pub use self::route::Ends;
pub use self::route::Routes;

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::AddressFamily;
use rustix::net::Protocol;
use rustix::net::RecvFlags;
use rustix::net::SendFlags;
use rustix::net::SocketFlags;
use rustix::net::SocketType;

use crate::sys::Error;
use crate::sys::Result;
use crate::sys::error::Call;

use self::message::Message;
use self::message::replies;
use self::message::u32_at;

/// Asks for an answer that says whether it was done.
const ACKNOWLEDGE: u16 = 4;
/// Asks for all there is; the answer has an end.
const ALL: u16 = 0x300;
/// Makes something new, and refuses if it is there.
const MAKE: u16 = 0x600;

/// The kinds of answers that end an answer.
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// More than the kernel sends at once.
const ANSWER_BYTES: usize = 64 << 10;

/// A line to the kernel about the network that the thread which opened it was on then.
#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    fn open(protocol: Option<Protocol>) -> Result<Socket> {
        let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
        let number = protocol.map_or(0, |protocol| protocol.as_raw().get());
        let fd = rustix::net::socket_with(family, SocketType::RAW, flags, protocol)
            .call(|| format!("socket(AF_NETLINK, {number})"))?;
        Ok(Socket { fd, sequence: 0 })
    }

    /// Sends messages at once and gives what is answered to them, without what says that it was done.
    fn ask(&mut self, messages: &[Message]) -> Result<Vec<Vec<u8>>> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            message.write(self.sequence, &mut bytes);
        }
        let failed = |at: usize| {
            let message = messages.get(at).or(messages.last());
            format!("netlink({})", message.map_or("", |message| message.name))
        };
        rustix::net::send(&self.fd, &bytes, SendFlags::empty()).call(|| failed(0))?;
        let ends = messages.iter().filter(|it| it.has(ACKNOWLEDGE | ALL));
        let mut missing = ends.count();
        let mut answers = Vec::new();
        let mut buffer = vec![0; ANSWER_BYTES];
        while missing > 0 {
            let length = self.receive(&mut buffer).call(|| failed(0))?;
            for reply in replies(&buffer[..length]) {
                let at = reply.sequence.wrapping_sub(first) as usize;
                match (reply.kind, u32_at(reply.body, 0)) {
                    // It belongs to a question before.
                    _ if at >= messages.len() => {}
                    (DONE, _) | (ERROR, Some(0)) => missing = missing.saturating_sub(1),
                    (ERROR, code) => return Err(refusal(code)).call(|| failed(at)),
                    _ => answers.push(reply.body.to_vec()),
                }
            }
        }
        Ok(answers)
    }

    /// The kernel has answered when it has taken what was sent, so nothing is waited for.
    fn receive(&self, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        loop {
            match rustix::net::recv(&self.fd, &mut *buffer, RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                received => return received.map(|(length, _)| length),
            }
        }
    }
}

/// The kernel writes its error numbers as negative ones.
fn refusal(code: Option<u32>) -> io::Error {
    let code = code.unwrap_or_default().cast_signed();
    io::Error::from_raw_os_error(code.wrapping_neg())
}

/// An answer that is not what was asked for.
fn unknown(name: &str) -> Error {
    let text = "the answer lacks what was asked for";
    Error::new(
        format!("netlink({name})"),
        io::Error::new(io::ErrorKind::InvalidData, text),
    )
}
