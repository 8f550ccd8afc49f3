//! A sandbox from its birth until nothing of it is left.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::sandbox::Error;
use crate::sandbox::cgroup::Cgroup;
use crate::sandbox::cgroup::DeviceList;
use crate::sandbox::cgroup::Door;
use crate::sandbox::chroot::overseer::Overseer;
use crate::sandbox::chroot::overseer::Supervised;
use crate::sandbox::inside::report::Lack;
use crate::sandbox::inside::report::Report;
use crate::sandbox::inside::stub::Stubs;
use crate::sandbox::inside::system::CONSTANTS;
use crate::sandbox::limits::Limits;
use crate::sandbox::processors;
use crate::sandbox::running::ExitStatus;
use crate::sandbox::running::Killer;
use crate::sandbox::spec::Isolation;
use crate::sandbox::spec::Rootfs;
use crate::sandbox::spec::Spec;
use crate::sandbox::template::copying::Copy;
use crate::sandbox::template::order::Order;
use crate::sandbox::ungrouped::Ungrouped;
use crate::sys::Dir;
use crate::sys::channel::Channel;
use crate::sys::gift;
use crate::sys::proc_self;
use crate::sys::process::Ended;

/// A sandbox that was born. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Life {
    copy: Copy,
    killer: Killer,
    around: Around,
    /// Answers the calls by which it gives files away.
    gifts: Option<JoinHandle<()>>,
    supervised: Option<Supervised>,
    overseer: Option<Overseer>,
    lacks: Vec<Lack>,
    is_over: bool,
}

/// What is made for a sandbox outside, and put right again when it is gone.
#[derive(Debug)]
pub(super) struct Around {
    root: Rootfs,
    limits: Limits,
    cgroup: Cgroup,
    /// The limits that no group keeps.
    ungrouped: Ungrouped,
    /// The mount points that it made.
    stubs: Stubs,
}

impl Around {
    /// Makes what the sandbox of `spec` needs and cannot make inside; `list` is that of the
    /// template.
    pub(super) fn new(spec: &Spec, list: Option<&Arc<DeviceList>>) -> Result<Around, Error> {
        if let Some(list) = &spec.limits.cpus {
            // The kernel may take a list with others, and heed none of it.
            processors::check(list, &processors::online())?;
        }
        let (cgroup, missed) = Cgroup::new(&spec.limits, spec.security, list)?;
        let has_namespaces = spec.isolation == Isolation::Namespace;
        Ok(Around {
            ungrouped: Ungrouped::of(&spec.limits, has_namespaces, missed)?,
            root: spec.root.clone(),
            limits: spec.limits.clone(),
            cgroup,
            stubs: Stubs::default(),
        })
    }

    /// Says by what it is limited: the ways into its control groups, and what holds without any.
    pub(super) fn bounds(&self) -> Result<(Vec<Door>, Ungrouped), Error> {
        Ok((self.cgroup.doors()?, self.ungrouped.clone()))
    }

    /// Removes what the sandbox left behind, now that it is gone and its mounts with it.
    pub(super) fn clear(&self) -> Result<(), Error> {
        match &self.root {
            Rootfs::Directory(path) => self.stubs.remove(path),
            Rootfs::Overlay { upper, work, .. } => {
                // Something in here keeps a volatile overlay from being mounted again, lest
                // somebody trusts it after a crash. There was none.
                match Dir::open(work).and_then(|work| work.remove_all("work")) {
                    Err(error) if !error.is_not_found() => Err(error),
                    _ => self.stubs.remove(upper),
                }
            }
        }
        .map_err(Error::CleanUp)
    }
}

impl Life {
    pub(super) fn new(copy: Copy, isolation: &Isolation, around: Around) -> Life {
        let child = &copy.child;
        let supervised = match (isolation, &around.root) {
            (Isolation::Chroot { .. }, Rootfs::Directory(root)) => Some(Supervised {
                child: Arc::clone(child),
                root: root.clone(),
            }),
            _ => None,
        };
        Life {
            killer: Killer::new(Arc::clone(child), supervised.clone()),
            copy,
            around,
            gifts: None,
            supervised,
            overseer: None,
            lacks: Vec::new(),
            is_over: false,
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.copy.child.pid()
    }

    pub(super) fn ends_within(&self, time: Duration) -> bool {
        self.copy.child.ends_within(time)
    }

    /// Says which limits hold for less than all of it, and what it goes without.
    pub(super) fn notes(&self) -> Vec<String> {
        let lacks = self.lacks.iter().map(|lack| lack.note());
        self.around
            .ungrouped
            .note()
            .into_iter()
            .chain(lacks)
            .collect()
    }

    pub(super) fn killer(&self) -> &Killer {
        &self.killer
    }

    /// Follows it until its program is executed; gives the user's end of its terminal.
    pub(super) fn begin(
        &mut self,
        channel: &Channel,
        order: &Order,
    ) -> Result<Option<OwnedFd>, Error> {
        // The program may stop its supervisor before that has closed its end of the line.
        let overseer = self.supervised.clone().map(Overseer::start).transpose();
        let begun = overseer.map_err(Some).and_then(|overseer| {
            self.overseer = overseer;
            self.listen(channel, order)
        });
        let known = match begun {
            Ok(terminal) => return Ok(terminal),
            Err(known) => known,
        };
        self.killer.kill()?;
        let status = self.end()?;
        Err(known.unwrap_or_else(|| Error::Vanished {
            status: format!("with code {}", status.code),
        }))
    }

    /// Listens until the program is executed. An error that is not known is nothing: the sandbox
    /// ended without a word.
    fn listen(
        &mut self,
        channel: &Channel,
        order: &Order,
    ) -> Result<Option<OwnedFd>, Option<Error>> {
        let mut ready = None;
        // The inside waits for this: now it knows that it will not outlive this process.
        match order.give(channel) {
            Err(Error::Start(error)) if error.kind() == io::ErrorKind::BrokenPipe => Err(None),
            given => given.map_err(Some),
        }?;
        while let Ok(Some(message)) = channel.receive() {
            match serde_json::from_slice(&message.bytes) {
                Ok(Report::Stubs(made)) => self.around.stubs = made,
                Ok(Report::Gifts) => {
                    let pid = self.pid();
                    let answer = move |calls| gift::answer(calls, pid);
                    self.gifts = Some(start(message.files, answer).map_err(Some)?);
                }
                // Nobody waits for this: it ends with the sandbox's last process, which may be a dead
                // one that is left to a container's first process.
                Ok(Report::Lookups { lacks_devices }) => {
                    let devices = if lacks_devices { CONSTANTS } else { &[] };
                    let answer = move |calls| proc_self::answer(calls, devices);
                    drop(start(message.files, answer).map_err(Some)?);
                }
                Ok(Report::Lacks(lack)) => self.lacks.push(lack),
                Ok(Report::Ready) => ready = Some(message.files.into_iter().next()),
                Ok(Report::Failed { step, problem }) => return Err(Some(Error::of(step, problem))),
                Err(_) => return Err(None),
            }
        }
        ready.ok_or(None)
    }

    /// Waits until its first process, and so all in it, has ended, and removes what is left.
    pub(super) fn end(&mut self) -> Result<ExitStatus, Error> {
        self.is_over = true;
        let ended = self.wait();
        if let Some(gifts) = self.gifts.take() {
            // A panic in it has been reported where it happened.
            let _ended = gifts.join();
        }
        self.around.clear()?;
        let exceeded = self.around.cgroup.exceeded(&self.around.limits);
        Ok(ExitStatus::of(ended?, exceeded))
    }

    fn wait(&mut self) -> Result<Ended, Error> {
        match (self.overseer.take(), &self.supervised) {
            (Some(overseer), _) => overseer.join(),
            (None, Some(supervised)) => supervised.wait(),
            (None, None) => self.copy.child.wait().map_err(Error::Wait),
        }
    }
}

/// Has a thread answer the calls that arrive at a file, until it is gone.
fn start(
    files: Vec<OwnedFd>,
    answer: impl FnMut(OwnedFd) + Send + 'static,
) -> Result<JoinHandle<()>, Error> {
    let thread = std::thread::Builder::new().name("answers".to_owned());
    let answers = thread.spawn(move || files.into_iter().for_each(answer));
    answers.map_err(Error::Thread)
}

impl Drop for Life {
    fn drop(&mut self) {
        if !self.is_over {
            // Nobody is left who could be told of a failure.
            let _ = self.killer.kill();
            let _ = self.end();
        }
    }
}
