//! Where sandboxes come from: a process that makes copies of itself.
//!
//! It is this very binary, started once: to map, link and seal it for every sandbox would take as
//! long as all that a sandbox needs. A copy is not the template's child but this process's, which
//! waits for it as for any other; none needs the template once it was made. `serve.rs` is the
//! template's own side.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::mpsc;

use serde::Deserialize;
use serde::Serialize;

use crate::sandbox::Error;
use crate::sandbox::anchor::Anchor;
use crate::sandbox::cgroup::DeviceList;
use crate::sandbox::cgroup::Parents;
use crate::sandbox::keeper::Keeper;
use crate::sandbox::report::Problem;
use crate::sandbox::sealed::Program;
use crate::sandbox::serve;
use crate::sandbox::spec::Isolation;
use crate::sys;
use crate::sys::channel::Channel;
use crate::sys::id::Capabilities;
use crate::sys::namespace::Namespace;
use crate::sys::process;
use crate::sys::process::Child;

/// How often a copy is asked for. The template may be killed at any time, as when memory runs out,
/// and nothing of what was asked has begun then.
const ATTEMPTS: usize = 2;

/// A program that sandboxes are copies of, until they become their own. It is started when the
/// first is, or before. Cheap to clone; dropped, the process ends when the last of its sandboxes has.
#[derive(Debug, Clone)]
pub struct Template {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    program: PathBuf,
    /// Locked while it is asked for a copy: it answers in the order in which it is asked.
    process: Mutex<Option<Arc<Process>>>,
    /// The devices that its sandboxes can open, where the kernel keeps a list of them.
    devices: OnceLock<Option<Arc<DeviceList>>>,
    /// What its sandboxes are limited by is made below these.
    parents: Arc<Parents>,
}

/// A template that runs.
#[derive(Debug)]
pub(super) struct Process {
    channel: Channel,
    keeper: Keeper,
    /// Dropped, it lets the keeper go.
    hold: Option<mpsc::Sender<Infallible>>,
    /// Kept until the process has ended.
    _devices: Option<Arc<DeviceList>>,
    /// Dropped after that.
    _parents: Arc<Parents>,
}

/// A process that was made, and the template with which the kernel would end it.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) child: Arc<Child>,
    _template: Arc<Process>,
}

/// What is asked of the template: a copy, with the files that come with this.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// The namespaces it has for itself.
    pub(super) namespaces: Vec<Namespace>,
    /// Which system calls are kept from it: those that need other capabilities. None are, if not
    /// said.
    pub(super) filtered: Option<Capabilities>,
    /// For each control group whose door comes with this, whether the sandbox is refused if it
    /// cannot go in.
    pub(super) groups: Vec<bool>,
}

/// What the template answers: that there is a copy, with a handle of it, or why there is none.
pub(super) type Answer = Result<(), Problem>;

impl Template {
    /// Makes sandboxes of a binary whose `main` begins with
    /// [`init_if_requested`](crate::sandbox::init_if_requested). Nothing is started yet.
    pub fn new(program: impl Into<PathBuf>) -> Template {
        Template {
            shared: Arc::new(Shared {
                program: program.into(),
                devices: OnceLock::new(),
                process: Mutex::default(),
                parents: Arc::new(Parents),
            }),
        }
    }

    /// The list of devices that its copies can open, unless there is none or one of them could not
    /// go under it: it alone knows. Made when it is first asked for.
    pub(super) fn devices(&self) -> Option<&Arc<DeviceList>> {
        let make = || DeviceList::new().ok().map(Arc::new);
        self.shared.devices.get_or_init(make).as_ref()
    }

    /// Starts the program, if it does not run yet, and waits for nothing. Whoever starts a sandbox
    /// learns of a failure.
    pub fn begin(&self, isolation: &Isolation) {
        let running = self.shared.process.lock();
        let mut running = running.unwrap_or_else(PoisonError::into_inner);
        if running.is_none() {
            let has_own_numbers = *isolation == Isolation::Namespace;
            *running = self.start(has_own_numbers).ok().map(Arc::new);
        }
    }

    /// Makes a process that is to become a sandbox.
    pub(super) fn copy(&self, order: &Order, files: &[BorrowedFd<'_>]) -> Result<Copy, Error> {
        let text = serde_json::to_vec(order).map_err(Error::Encode)?;
        let running = self.shared.process.lock();
        let mut running = running.unwrap_or_else(PoisonError::into_inner);
        let mut why_gone = Error::Template;
        for _ in 0..ATTEMPTS {
            let process = match &mut *running {
                Some(process) => process,
                none => {
                    let has_own_numbers = order.namespaces.contains(&Namespace::Pid);
                    none.insert(Arc::new(self.start(has_own_numbers)?))
                }
            };
            if let Some(child) = process.ask(&text, files) {
                return Ok(Copy {
                    child: Arc::new(child?),
                    _template: Arc::clone(process),
                });
            }
            why_gone = running.take().map_or(Error::Template, Process::why_gone);
        }
        Err(why_gone)
    }

    /// Starts it and does not wait: what is asked meanwhile is answered when it is there.
    ///
    /// The kernel kills its copies too when the thread that started it ends. If they have numbers of
    /// their own for their processes, none of these outlives the anchor.
    fn start(&self, has_own_numbers: bool) -> Result<Process, Error> {
        let (channel, inside) = Channel::pair().map_err(Error::Start)?;
        let (hold, held) = mpsc::channel();
        let (program, devices) = (self.shared.program.clone(), self.devices().cloned());
        // Without a way in, it is as if there were no list.
        let door = devices.as_ref().and_then(|list| list.door().ok());
        let keep = move || keep(&program, (inside, door), (has_own_numbers, &held));
        Ok(Process {
            channel,
            keeper: Keeper::start("sandboxes", keep)?,
            hold: Some(hold),
            _devices: devices,
            _parents: Arc::clone(&self.shared.parents),
        })
    }
}

impl Process {
    /// Asks for a copy; nothing if there is no answer.
    fn ask(&self, order: &[u8], files: &[BorrowedFd<'_>]) -> Option<Result<Child, Error>> {
        self.channel.send(order, files).ok()?;
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

    /// Says why it does not answer.
    fn why_gone(process: Arc<Process>) -> Error {
        // Who knows is the keeper, unless others still need it: then it was there once.
        let ended = Arc::into_inner(process).and_then(|mut process| process.end());
        ended.and_then(Result::err).unwrap_or(Error::Template)
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

/// Starts the template and stays until nobody needs it any more.
fn keep(
    program: &Path,
    (inside, door): (Channel, Option<File>),
    (has_own_numbers, held): (bool, &mpsc::Receiver<Infallible>),
) -> Result<(), Error> {
    let program = Program::sealed(program);
    let anchor = has_own_numbers.then(|| Anchor::start(&program));
    let anchor = anchor.transpose().map_err(refused)?;
    let child = launch(&program, &inside, door.as_ref()).map_err(refused)?;
    drop((inside, door));
    // It is told nothing, and returns when the other end is dropped.
    let _released = held.recv();
    process::signal(&child, process::KILL).map_err(Error::Signal)?;
    child.wait().map_err(Error::Wait)?;
    anchor.map_or(Ok(()), Anchor::end)
}

fn launch(program: &Program, inside: &Channel, door: Option<&File>) -> sys::Result<Child> {
    let text = |text| CString::new(text).expect("it has no NUL");
    let mut args = vec![text(serve::NAME)];
    let mut files = vec![inside.as_fd()];
    if let Some(door) = door {
        args.push(text(serve::WITH_DOOR));
        files.push(door.as_fd());
    }
    program.launch(&[], &args, &files)
}

fn refused(error: sys::Error) -> Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Error::Forbidden(error),
        _ => Error::Start(error),
    }
}
