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
use crate::sandbox::chroot::furnish;
use crate::sys::family;
use crate::sys::loan;
use crate::sys::process;
use crate::sys::process::Child;
use crate::sys::process::Ended;

/// How long a supervisor has to end the processes below it, and then to take back what they were
/// lent, which may be large.
const TO_END: Duration = Duration::from_secs(5);
const TO_CLEAR: Duration = Duration::from_secs(60);

/// A supervisor and what it watches over.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Supervised {
    pub(in crate::sandbox) child: Arc<Child>,
    /// The root directory of all its processes.
    pub(in crate::sandbox) root: PathBuf,
}

/// Stays with a supervisor until it has ended, and with it all below it.
#[derive(Debug)]
pub(in crate::sandbox) struct Overseer {
    thread: JoinHandle<Result<Ended, Error>>,
}

impl Overseer {
    pub(in crate::sandbox) fn start(supervised: Supervised) -> Result<Overseer, Error> {
        let thread = thread::Builder::new().name("overseer".to_owned());
        let thread = thread.spawn(move || supervised.wait());
        Ok(Overseer {
            thread: thread.map_err(Error::Thread)?,
        })
    }

    /// Waits until nothing runs any more; tells how the program ended.
    pub(in crate::sandbox) fn join(self) -> Result<Ended, Error> {
        let ended = self.thread.join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Supervised {
    /// Waits until it has ended, and sees to what it left undone.
    pub(in crate::sandbox) fn wait(&self) -> Result<Ended, Error> {
        let ended = self.child.wait_unstopped().map_err(Error::Wait)?;
        match ended {
            // Copies go away with the root directory: this is a failure in any case.
            Ended::Killed(_) => {
                family::end_strays(&self.root).map_err(Error::Strays)?;
                let around = self.root.parent().unwrap_or(&self.root);
                loan::end_all(around).map_err(Error::CleanUp)?;
            }
            Ended::Exited(_) => furnish::check_cleared(&self.root)?,
        }
        Ok(ended)
    }

    /// Has it end all and itself, and sees to it that it does; does not wait for that.
    pub(in crate::sandbox) fn end(&self) -> Result<(), Error> {
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

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::sys::birth;
    use crate::sys::birth::Launch;

    /// What is said of a supervisor that exits at once.
    fn ended_in(root: PathBuf) -> Result<Ended, Error> {
        let launch = Launch {
            program: Path::new("/bin/sh"),
            args: &["sh", "-c", "exit 0"].map(|word| CString::new(word).unwrap()),
            files: &[],
            namespaces: &[],
        };
        let child = Arc::new(birth::launch(&launch).unwrap());
        Supervised { child, root }.wait()
    }

    #[test]
    fn a_supervisor_that_leaves_something_is_told_as_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        assert_eq!(ended_in(root.clone()).unwrap(), Ended::Exited(0));
        fs::create_dir(folder.path().join("aside")).unwrap();
        let error = ended_in(root).unwrap_err();
        assert!(matches!(error, Error::NotTakenBack), "{error}");
    }
}
