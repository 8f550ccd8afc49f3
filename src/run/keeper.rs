//! The process that keeps a container, known by two locks on a file, which the kernel gives back
//! however it ends.
//!
//! One says that it lives: who looks shares it with all who look. The other says who it is. A number
//! that was written down could be a stranger's by now, or belong to a process of another namespace:
//! two containers of a CI may share a volume.

use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::run::Error;
use crate::run::signal;
use crate::sys::file;
use crate::sys::owner_lock;
use crate::sys::owner_lock::Owner;
use crate::sys::process;

const LOCK: &str = "lock";

/// How long somebody who holds the first lock may take to hold the second, or give back the first.
const BETWEEN: Duration = Duration::from_secs(10);

/// How often that is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a keeper may take to kill its program and clear away what it made.
const CLEARING: Duration = Duration::from_secs(60);

/// How long a killed keeper may take to end; what it wrote may have to reach the disk.
const DYING: Duration = Duration::from_secs(30);

/// Makes the file of a new container's locks.
pub(super) fn make_lock(folder: &Path) -> io::Result<()> {
    File::create_new(folder.join(LOCK)).map(drop)
}

/// Becomes the keeper of the container in a folder until what it gives is dropped, or the file is
/// opened and closed once more.
pub(super) fn become_keeper(folder: &Path) -> io::Result<File> {
    let file = File::options().append(true).open(folder.join(LOCK))?;
    file.lock()?;
    // A file system that has no such locks leaves it unknown who the keeper is.
    let _unknown = owner_lock::take(&file);
    Ok(file)
}

/// Tells whether the container in a folder has a keeper, and the number of that if it has one here.
pub(super) fn look(folder: &Path) -> (bool, Option<u32>) {
    match File::open(folder.join(LOCK)) {
        Ok(file) if is_held(&file) => (true, number(&file)),
        _ => (false, None),
    }
}

fn is_held(file: &File) -> bool {
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// A container that was asked to end.
#[derive(Debug)]
#[must_use]
pub struct Stopping {
    keeper: OwnedFd,
    name: String,
    since: Instant,
}

/// Asks the keeper of a container to end, which it passes on; none if there is none any more.
pub(super) fn ask_to_end(folder: &Path, name: &str) -> Result<Option<Stopping>, Error> {
    let Some(keeper) = find(folder, name)? else {
        return Ok(None);
    };
    let stopping = Stopping {
        keeper,
        name: name.to_owned(),
        since: Instant::now(),
    };
    let [first, ..] = signal::wishes();
    stopping.send(&[first])?;
    Ok(Some(stopping))
}

impl Stopping {
    /// Waits for the end. When the time is over, has the keeper kill the program and clear away what it
    /// made; the program ends even if the keeper cannot do that.
    ///
    /// # Errors
    /// [`Error::Signal`] or [`Error::Undying`]: then it runs.
    pub fn end(&self, patience: Duration) -> Result<(), Error> {
        let [_asked, others @ ..] = signal::wishes();
        let left = patience.saturating_sub(self.since.elapsed());
        let attempts: [(&[i32], Duration); 3] =
            [(&[], left), (&others, CLEARING), (&[process::KILL], DYING)];
        for (signals, time) in attempts {
            self.send(signals)?;
            if file::is_readable_within(&self.keeper, time) {
                return Ok(());
            }
        }
        Err(Error::Undying {
            name: self.name.clone(),
        })
    }

    fn send(&self, signals: &[i32]) -> Result<(), Error> {
        let sent = signals
            .iter()
            .try_for_each(|number| process::signal(&self.keeper, *number));
        sent.map_err(|source| Error::Signal {
            name: self.name.clone(),
            source,
        })
    }
}

/// Takes hold of the keeper; none if there is none any more.
fn find(folder: &Path, name: &str) -> Result<Option<OwnedFd>, Error> {
    let Ok(file) = File::open(folder.join(LOCK)) else {
        return Ok(None);
    };
    let out_of_sight = || Error::OutOfSight {
        name: name.to_owned(),
    };
    let begun = Instant::now();
    while is_held(&file) {
        match owner_lock::owner(&file) {
            Ok(Owner::Process(number)) => {
                if let Some(keeper) = hold(number, &file) {
                    return Ok(Some(keeper));
                }
            }
            Ok(Owner::OutOfSight) => return Err(out_of_sight()),
            Ok(Owner::Nobody) | Err(_) => {}
        }
        if begun.elapsed() > BETWEEN {
            return Err(out_of_sight());
        }
        thread::sleep(PAUSE);
    }
    Ok(None)
}

/// Takes hold of the process that had the second lock. It is that one if it still has it then: while
/// it lives, its number is nobody else's.
fn hold(owner: u32, file: &File) -> Option<OwnedFd> {
    let process = process::open(owner).ok()?;
    (number(file) == Some(owner)).then_some(process)
}

fn number(file: &File) -> Option<u32> {
    match owner_lock::owner(file) {
        Ok(Owner::Process(number)) => Some(number),
        Ok(Owner::Nobody | Owner::OutOfSight) | Err(_) => None,
    }
}
