//! The outside: starting a sandbox.

use std::fs::File;
use std::io::Seek;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;

use crate::sandbox::Error;
use crate::sandbox::apart;
use crate::sandbox::confine;
use crate::sandbox::life::Around;
use crate::sandbox::life::Life;
use crate::sandbox::running::Running;
use crate::sandbox::spec::Network;
use crate::sandbox::spec::Spec;
use crate::sandbox::stdio::Files;
use crate::sandbox::stdio::Input;
use crate::sandbox::stdio::Output;
use crate::sandbox::template::Copy;
use crate::sandbox::template::Order;
use crate::sandbox::template::Template;
use crate::sys;
use crate::sys::channel::Channel;
use crate::sys::file;
use crate::sys::namespace;

/// What is not part of the sandbox but of how it is started.
#[derive(Debug, Clone)]
pub struct SpawnOptions {
    /// What the sandbox is copied from.
    pub template: Template,
    /// Where the process reads from.
    pub input: Input,
    /// Where the process writes to.
    pub output: Output,
}

/// The path by which a process reaches its own binary.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// Starts a sandbox and returns when its program was executed or could not be.
pub fn spawn(spec: &Spec, options: &SpawnOptions) -> Result<Running, Error> {
    apart::check(spec)?;
    let files = Files::new(spec, options)?;
    let around = Around::new(spec, options.template.devices())?;
    let (copy, channel) = match copy(spec, &options.template, (files.inner, &around)) {
        Ok(made) => made,
        Err(error) => {
            around.clear()?;
            return Err(error);
        }
    };
    let mut life = Life::new(copy, &spec.isolation, around);
    let terminal = life.begin(&channel)?;
    Ok(Running {
        stdin: files.stdin,
        stdout: files.stdout,
        stderr: files.stderr,
        terminal: terminal.map(File::from),
        life,
    })
}

/// Has the template make a process for the sandbox, and hands over all that `init::run` takes;
/// gives the line to it.
fn copy(
    spec: &Spec,
    template: &Template,
    (standard, around): ([OwnedFd; 3], &Around),
) -> Result<(Copy, Channel), Error> {
    let text = handed_over(spec)?;
    let (channel, inside) = Channel::pair().map_err(Error::Start)?;
    let doors = around.doors()?;
    let mut files: Vec<BorrowedFd<'_>> = standard.iter().map(AsFd::as_fd).collect();
    files.extend([text.as_fd(), inside.as_fd()]);
    files.extend(doors.iter().map(|door| door.file.as_fd()));
    let network = joined(spec)?;
    files.extend(network.as_ref().map(AsFd::as_fd));
    let order = Order {
        namespaces: apart::namespaces(spec),
        filtered: confine::filtered(spec)
            .map_err(|problem| Error::of(confine::FILTER.to_owned(), problem))?,
        groups: doors.iter().map(|door| door.is_asked).collect(),
    };
    Ok((template.copy(&order, &files)?, channel))
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
fn handed_over(spec: &Spec) -> Result<File, Error> {
    let mut file = file::in_memory("sandbox spec").map_err(Error::Start)?;
    let write = |error| Error::Start(sys::Error::new("write(sandbox spec)", error));
    let text = serde_json::to_vec(spec).map_err(Error::Encode)?;
    std::io::Write::write_all(&mut file, &text).map_err(write)?;
    file.rewind().map_err(write)?;
    Ok(file)
}
