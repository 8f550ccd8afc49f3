//! The outside's eye on a supervisor: the command below it may stop or kill it.
//!
//! A supervisor that was stopped goes on at once. Of one that was killed, the processes are found by
//! their root directory. One that does not end when it is told to loses first the processes that may
//! keep it from that, and then its life.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::sandbox::Error;
use crate::sandbox::furnish;
use crate::sys::family;
use crate::sys::process;
use crate::sys::process::Child;
use crate::sys::process::Ended;

/// How long a supervisor has to end the processes below it, and then to take back what they were
/// lent, which may be large.
const TO_END: Duration = Duration::from_secs(5);
const TO_CLEAR: Duration = Duration::from_secs(60);

/// A supervisor and what it watches over.
#[derive(Debug, Clone)]
pub(super) struct Supervised {
    pub(super) child: Arc<Child>,
    /// The root directory of all its processes.
    pub(super) root: PathBuf,
}

/// Stays with a supervisor until it has ended, and with it all below it.
#[derive(Debug)]
pub(super) struct Overseer {
    thread: JoinHandle<Result<Ended, Error>>,
}

impl Overseer {
    pub(super) fn start(supervised: Supervised) -> Result<Overseer, Error> {
        let thread = thread::Builder::new().name("overseer".to_owned());
        let thread = thread.spawn(move || supervised.wait());
        Ok(Overseer {
            thread: thread.map_err(Error::Thread)?,
        })
    }

    /// Waits until nothing runs any more; tells how the program ended.
    pub(super) fn join(self) -> Result<Ended, Error> {
        let ended = self.thread.join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Supervised {
    /// Waits until it has ended, and sees to what it left undone.
    pub(super) fn wait(&self) -> Result<Ended, Error> {
        let ended = self.child.wait_unstopped().map_err(Error::Wait)?;
        match ended {
            // What was lent goes away with the root directory: this is a failure in any case.
            Ended::Killed(_) => family::end_strays(&self.root).map_err(Error::Strays)?,
            Ended::Exited(_) => furnish::check_cleared(&self.root).map_err(Error::CleanUp)?,
        }
        Ok(ended)
    }

    /// Has it end all and itself, and sees to it that it does; does not wait for that.
    pub(super) fn end(&self) -> Result<(), Error> {
        process::signal(&*self.child, family::END).map_err(Error::Signal)?;
        let supervised = self.clone();
        let thread = thread::Builder::new().name("end".to_owned());
        match thread.spawn(move || supervised.insist()) {
            Ok(_detached) => Ok(()),
            Err(_) => process::signal(&*self.child, process::KILL).map_err(Error::Signal),
        }
    }

    fn insist(&self) {
        if self.child.ends_within(TO_END) {
            return;
        }
        // Who waits for it says what keeps it from being ended.
        let _ended = family::end_strays(&self.root);
        if !self.child.ends_within(TO_CLEAR) {
            let _ended = process::signal(&*self.child, process::KILL);
        }
    }
}
