//! The order by which a copy of the template learns what it is to be: both sides of it.

use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;

use serde::Deserialize;
use serde::Serialize;

use crate::sandbox::Error;
use crate::sandbox::cgroup::Door;
use crate::sandbox::inside::report::Problem;
use crate::sandbox::spec::Network;
use crate::sandbox::spec::Spec;
use crate::sandbox::ungrouped::Ungrouped;
use crate::sys;
use crate::sys::channel::Channel;
use crate::sys::channel::Message;
use crate::sys::file;
use crate::sys::namespace;
use crate::sys::process;

/// All that is handed over to the copy.
///
/// The message says of each door whether the sandbox is refused if it cannot go in, and which
/// limits hold without groups. With it come standard input, output and error, the spec as a file,
/// the doors, and the network that it joins if it does.
pub(in crate::sandbox) struct Order {
    standard: [OwnedFd; 3],
    spec: File,
    doors: Vec<Door>,
    ungrouped: Ungrouped,
    network: Option<File>,
}

/// What the message says.
#[derive(Debug, Serialize, Deserialize)]
struct Text {
    are_asked: Vec<bool>,
    ungrouped: Ungrouped,
}

/// What a copy takes of it.
pub(in crate::sandbox) struct Taken {
    pub(in crate::sandbox) spec: Spec,
    pub(in crate::sandbox) doors: Vec<Door>,
    pub(in crate::sandbox) ungrouped: Ungrouped,
    pub(in crate::sandbox) network: Option<File>,
}

impl Order {
    pub(in crate::sandbox) fn new(
        spec: &Spec,
        standard: [OwnedFd; 3],
        (doors, ungrouped): (Vec<Door>, Ungrouped),
    ) -> Result<Order, Error> {
        Ok(Order {
            standard,
            spec: write(spec)?,
            doors,
            ungrouped,
            network: joined(spec)?,
        })
    }

    /// Gives the order.
    pub(in crate::sandbox) fn give(&self, channel: &Channel) -> Result<(), Error> {
        let mut files: Vec<BorrowedFd<'_>> = self.standard.iter().map(AsFd::as_fd).collect();
        files.push(self.spec.as_fd());
        files.extend(self.doors.iter().map(|door| door.file.as_fd()));
        files.extend(self.network.as_ref().map(AsFd::as_fd));
        let text = Text {
            are_asked: self.doors.iter().map(|door| door.is_asked).collect(),
            ungrouped: self.ungrouped.clone(),
        };
        let text = serde_json::to_vec(&text).map_err(Error::Encode)?;
        channel.send(&text, &files).map_err(Error::Start)
    }

    /// Takes the order that came, and the standard files for this process's own.
    pub(in crate::sandbox) fn take(message: Message) -> Result<Taken, Problem> {
        let text: Text = serde_json::from_slice(&message.bytes).map_err(unreadable)?;
        let mut files = message.files.into_iter();
        let mut next = || {
            let missing = || sys::Error::new("recvmsg()", io::ErrorKind::UnexpectedEof.into());
            files.next().ok_or_else(missing)
        };
        process::set_standard_files([next()?, next()?, next()?])?;
        let spec = read(File::from(next()?))?;
        let doors = text.are_asked.into_iter().map(|is_asked| {
            let file = File::from(next()?);
            Ok(Door { file, is_asked })
        });
        let doors = doors.collect::<sys::Result<_>>()?;
        let network = matches!(spec.network, Network::Join(_)).then(next);
        let network = network.transpose()?.map(File::from);
        Ok(Taken {
            spec,
            doors,
            ungrouped: text.ungrouped,
            network,
        })
    }
}

/// The network that the sandbox is to join. It is opened here: what is this process's own, others may
/// not look at in a container that lacks `CAP_SYS_PTRACE`.
fn joined(spec: &Spec) -> Result<Option<File>, Error> {
    match &spec.network {
        Network::Join(path) => namespace::network_at(path)
            .map(Some)
            .map_err(Error::Network),
        Network::Host | Network::None => Ok(None),
    }
}

/// The spec as a file to read from its beginning.
fn write(spec: &Spec) -> Result<File, Error> {
    let mut file = file::in_memory("sandbox spec").map_err(Error::Start)?;
    let write = |error| Error::Start(sys::Error::new("write(sandbox spec)", error));
    let text = serde_json::to_vec(spec).map_err(Error::Encode)?;
    file.write_all(&text).map_err(write)?;
    file.rewind().map_err(write)?;
    Ok(file)
}

fn read(mut file: File) -> Result<Spec, Problem> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)
        .map_err(|source| sys::Error::new("read(spec)", source))?;
    serde_json::from_slice(&text).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Problem {
    Problem::UnknownName {
        name: error.to_string(),
    }
}
