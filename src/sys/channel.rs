//! A private line between a process and the one it starts, which carries messages and open files.

use std::io::IoSlice;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::AddressFamily;
use rustix::net::RecvAncillaryBuffer;
use rustix::net::RecvAncillaryMessage;
use rustix::net::RecvFlags;
use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;
use rustix::net::SocketFlags;
use rustix::net::SocketType;

use crate::sys::Error;
use crate::sys::Result;
use crate::sys::error::Call;
use crate::sys::file;

/// The longest message; below the default size of a socket's buffer.
pub const MESSAGE_MAX: usize = 64 * 1024;

/// How many open files a message carries at most.
pub const FILES_MAX: usize = 16;

/// One end of the line. A message arrives whole or not at all.
#[derive(Debug)]
pub struct Channel {
    fd: OwnedFd,
}

/// What arrived.
#[derive(Debug)]
pub struct Message {
    /// The bytes sent.
    pub bytes: Vec<u8>,
    /// The open files sent with them, in the order in which they were sent.
    pub files: Vec<OwnedFd>,
}

impl Channel {
    /// Makes both ends.
    pub fn pair() -> Result<(Channel, Channel)> {
        let flags = SocketFlags::CLOEXEC;
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map(|(one, other)| (Channel { fd: one }, Channel { fd: other }))
            .call(|| "socketpair(AF_UNIX, SOCK_SEQPACKET)".to_owned())
    }

    /// Takes an end that was handed to this process.
    pub fn from_fd(fd: OwnedFd) -> Channel {
        Channel { fd }
    }

    /// Sends a message; fails if the other end is gone, or the message or its files are too many.
    pub fn send(&self, bytes: &[u8], files: &[BorrowedFd<'_>]) -> Result<()> {
        if bytes.len() > MESSAGE_MAX || files.len() > FILES_MAX {
            let (bytes, files) = (bytes.len(), files.len());
            return Err(Error::invalid(format!(
                "sendmsg({bytes} bytes, {files} files)"
            )));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(files));
        }
        let parts = [IoSlice::new(bytes)];
        rustix::net::sendmsg(&self.fd, &parts, &mut ancillary, SendFlags::NOSIGNAL)
            .map(|_| ())
            .call(|| format!("sendmsg({} bytes)", bytes.len()))
    }

    /// Says whether a message has come or the other end is gone; waits for neither.
    pub fn has_news(&self) -> bool {
        file::is_readable_within(&self.fd, Duration::ZERO)
    }

    /// Waits for a message; nothing when the other end is gone.
    pub fn receive(&self) -> Result<Option<Message>> {
        let mut bytes = vec![0; MESSAGE_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            match rustix::net::recvmsg(&self.fd, &mut parts, &mut ancillary, flags) {
                Err(Errno::INTR) => {}
                // The other end died with unread messages.
                Err(Errno::CONNRESET) => return Ok(None),
                received => break received.call(|| "recvmsg()".to_owned())?.bytes,
            }
        };
        if length == 0 {
            return Ok(None);
        }
        bytes.truncate(length);
        let mut files = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                files.extend(received);
            }
        }
        Ok(Some(Message { bytes, files }))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
