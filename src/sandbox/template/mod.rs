//! Where sandboxes come from: a process that makes copies of itself.
//!
//! It is this very binary, started once: to map, link and seal it for every sandbox would take as
//! long as all that a sandbox needs. A copy is not the template's child but this process's, which
//! waits for it as for any other; none needs the template once it was made. `copying.rs` asks for
//! copies, `serve.rs` is the template's own side, and `ahead.rs` what a copy does before it is needed.

pub(in crate::sandbox) mod ahead;
pub(in crate::sandbox) mod anchor;
pub(in crate::sandbox) mod copying;
pub(in crate::sandbox) mod order;
mod sealed;
pub(in crate::sandbox) mod serve;

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::mpsc;

use crate::sandbox::Error;
use crate::sandbox::cgroup::DeviceList;
use crate::sandbox::cgroup::Parents;
use crate::sandbox::spec::Isolation;
use crate::sandbox::spec::Spec;
use crate::sandbox::template::ahead::Kind;
use crate::sandbox::template::anchor::Anchor;
use crate::sandbox::template::copying::Copier;
use crate::sandbox::template::copying::Copy;
use crate::sandbox::template::copying::refused;
use crate::sandbox::template::sealed::Program;
use crate::sys;
use crate::sys::channel::Channel;
use crate::sys::keeper::Keeper;
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
    copier: Mutex<Option<Copier>>,
    /// The devices that its sandboxes can open, where the kernel keeps a list of them.
    devices: OnceLock<Option<Arc<DeviceList>>>,
    /// What its sandboxes are limited by is made below these.
    parents: Arc<Parents>,
}

impl Template {
    /// Makes sandboxes of a binary whose `main` begins with
    /// [`init_if_requested`](crate::sandbox::init_if_requested). Nothing is started yet.
    pub fn new(program: impl Into<PathBuf>) -> Template {
        Template {
            shared: Arc::new(Shared {
                program: program.into(),
                devices: OnceLock::new(),
                copier: Mutex::default(),
                parents: Arc::new(Parents::keep()),
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
        let mut copier = self.copier();
        if copier.is_none() {
            let has_own_numbers = *isolation == Isolation::Namespace;
            *copier = self.start(has_own_numbers).ok();
        }
    }

    /// Has a copy begin for a sandbox like that of `spec` which is likely to follow, and waits for
    /// nothing. If it cannot, whoever starts that sandbox learns of it.
    pub fn expect(&self, spec: &Spec) {
        if let (Ok(kind), Some(copier)) = (Kind::of(spec), &mut *self.copier()) {
            copier.expect(&kind);
        }
    }

    /// Makes a process that is to become a sandbox; gives the line to it as well.
    pub(super) fn copy(&self, kind: &Kind) -> Result<(Copy, Channel), Error> {
        let mut copier = self.copier();
        let mut why_gone = Error::Template;
        for _ in 0..ATTEMPTS {
            let there = match &mut *copier {
                Some(there) => there,
                none => none.insert(self.start(kind.namespaces.contains(&Namespace::Pid))?),
            };
            if let Some(made) = there.copy(kind) {
                return made;
            }
            why_gone = copier.take().map_or(Error::Template, Copier::why_gone);
        }
        Err(why_gone)
    }

    fn copier(&self) -> MutexGuard<'_, Option<Copier>> {
        let copier = self.shared.copier.lock();
        copier.unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it and does not wait: what is asked meanwhile is answered when it is there.
    ///
    /// The kernel kills its copies too when the thread that started it ends. If they have numbers of
    /// their own for their processes, none of these outlives the anchor.
    fn start(&self, has_own_numbers: bool) -> Result<Copier, Error> {
        let (channel, inside) = Channel::pair().map_err(Error::Start)?;
        let (hold, held) = mpsc::channel();
        let (program, devices) = (self.shared.program.clone(), self.devices().cloned());
        // Without a way in, it is as if there were no list.
        let door = devices.as_ref().and_then(|list| list.door().ok());
        let keep = move || keep(&program, (inside, door), (has_own_numbers, &held));
        let keeper = Keeper::start("sandboxes", keep).map_err(Error::Thread)?;
        let groups = (devices, Arc::clone(&self.shared.parents));
        Ok(Copier::new(channel, (keeper, hold), groups))
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
    let ended = anchor.as_ref().map_or(Ok(()), Anchor::end);
    // A template that is killed may have made a copy that it told nobody of.
    process::wait_for_all();
    ended
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
