//! Asking a template that runs for copies.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc;

use crate::sandbox::Error;
use crate::sandbox::cgroup::DeviceList;
use crate::sandbox::cgroup::Parents;
use crate::sandbox::inside::report::Problem;
use crate::sandbox::template::ahead::Kind;
use crate::sys;
use crate::sys::channel::Channel;
use crate::sys::keeper::Keeper;
use crate::sys::process;
use crate::sys::process::Child;

/// A template that runs, and what was asked of it ahead.
#[derive(Debug)]
pub(super) struct Copier {
    process: Arc<Process>,
    ahead: Option<Asked>,
}

/// A copy that was asked for.
#[derive(Debug)]
struct Asked {
    kind: Kind,
    /// The line to it.
    channel: Channel,
}

/// The process of a template.
#[derive(Debug)]
struct Process {
    channel: Channel,
    keeper: Keeper<Result<(), Error>>,
    /// Dropped, it lets the keeper go.
    hold: Option<mpsc::Sender<Infallible>>,
    /// Kept until the process has ended, and those above a list for longer than it.
    _groups: (Option<Arc<DeviceList>>, Arc<Parents>),
}

/// A process that was made, and the template with which the kernel would end it.
#[derive(Debug)]
pub(in crate::sandbox) struct Copy {
    pub(in crate::sandbox) child: Arc<Child>,
    _template: Arc<Process>,
}

/// What the template answers: that there is a copy, with a handle of it, or why there is none.
pub(super) type Answer = Result<(), Problem>;

impl Copier {
    /// Asks through `channel`; `keeper` keeps the process until it hears that `hold` is gone.
    pub(super) fn new(
        channel: Channel,
        (keeper, hold): (Keeper<Result<(), Error>>, mpsc::Sender<Infallible>),
        groups: (Option<Arc<DeviceList>>, Arc<Parents>),
    ) -> Copier {
        let process = Process {
            channel,
            keeper,
            hold: Some(hold),
            _groups: groups,
        };
        Copier {
            process: Arc::new(process),
            ahead: None,
        }
    }

    /// Asks for a copy ahead, unless there is one already.
    pub(super) fn expect(&mut self, kind: &Kind) {
        if self.ahead.is_none() {
            self.ahead = self.process.ask(kind).and_then(Result::ok);
        }
    }

    /// Makes a copy, or takes the one that was asked for ahead; nothing if there is no answer.
    pub(super) fn copy(&mut self, kind: &Kind) -> Option<Result<(Copy, Channel), Error>> {
        match self.take_ahead() {
            // One that has something to say has failed, or was killed.
            Some((child, asked)) if asked.kind == *kind && !asked.channel.has_news() => {
                return Some(Ok(self.made(child, asked)));
            }
            Some((child, _)) => give_up(&child),
            None => {}
        }
        let asked = match self.process.ask(kind)? {
            Ok(asked) => asked,
            Err(error) => return Some(Err(error)),
        };
        let child = self.process.answer()?;
        Some(child.map(|child| self.made(child, asked)))
    }

    /// Gives the copy that was asked for ahead. Why there is none does not matter: it may be
    /// otherwise by now.
    fn take_ahead(&mut self) -> Option<(Child, Asked)> {
        let asked = self.ahead.take()?;
        let child = self.process.answer()?.ok()?;
        Some((child, asked))
    }

    fn made(&self, child: Child, asked: Asked) -> (Copy, Channel) {
        let copy = Copy {
            child: Arc::new(child),
            _template: Arc::clone(&self.process),
        };
        (copy, asked.channel)
    }

    /// Says why it does not answer.
    pub(super) fn why_gone(mut self) -> Error {
        // It waits for an answer that does not come.
        self.ahead = None;
        // Who knows is the keeper, unless others still need it: then it was there once.
        let ended = Arc::get_mut(&mut self.process).and_then(Process::end);
        ended.and_then(Result::err).unwrap_or(Error::Template)
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        if let Some((child, _)) = self.take_ahead() {
            give_up(&child);
        }
    }
}

/// Ends a copy that is not needed.
fn give_up(copy: &Child) {
    // What cannot be killed has ended.
    let _killed = process::signal(copy, process::KILL);
    let _ended = copy.wait();
}

impl Process {
    /// Asks for a copy, and hands over the other end of the line to it; nothing if nobody listens.
    fn ask(&self, kind: &Kind) -> Option<Result<Asked, Error>> {
        let text = match serde_json::to_vec(kind) {
            Ok(text) => text,
            Err(error) => return Some(Err(Error::Encode(error))),
        };
        let (channel, inside) = match Channel::pair() {
            Ok(ends) => ends,
            Err(error) => return Some(Err(Error::Start(error))),
        };
        self.channel.send(&text, &[inside.as_fd()]).ok()?;
        let kind = kind.clone();
        Some(Ok(Asked { kind, channel }))
    }

    /// Waits for the answer to what was asked first; nothing if there is none.
    fn answer(&self) -> Option<Result<Child, Error>> {
        let answer = self.channel.receive().ok()??;
        let handle = answer.files.into_iter().next();
        match (serde_json::from_slice(&answer.bytes).ok()?, handle) {
            (Answer::Ok(()), Some(handle)) => Some(Child::given(handle).map_err(refused)),
            // The kernel leaves out a file that this process has no number for: the template is as
            // good as before, and the copy ends when it hears no more.
            (Answer::Ok(()), None) => {
                let error = io::Error::from_raw_os_error(process::TOO_MANY_FILES);
                Some(Err(refused(sys::Error::new("recvmsg()", error))))
            }
            (Answer::Err(Problem::Call { call, errno }), _) => {
                let error = sys::Error::new(call, io::Error::from_raw_os_error(errno));
                Some(Err(refused(error)))
            }
            _ => None,
        }
    }

    fn end(&mut self) -> Option<Result<(), Error>> {
        self.hold = None;
        self.keeper.join()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left who could be told of a failure.
        let _ended = self.end();
    }
}

pub(super) fn refused(error: sys::Error) -> Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Error::Forbidden(error),
        _ => Error::Start(error),
    }
}
