//! What living processes need of a folder that others clean up meanwhile.
//!
//! A process claims a name before it asks whether there is something of that name, and before it
//! gives the name to something. Claiming and cleaning exclude each other by a lock, and whoever
//! cleans removes nothing that is claimed. So what a process was told is there stays as long as the
//! process lives; and what it is told after a cleaning, the cleaning left there.
//!
//! The claims of a process are the lines of a file, which it has locked: the lock goes with the
//! process, however that ends. At first, and where they cannot be written, as on a full disk, the
//! process claims everything: nobody cleans until it settles or ends. What a process leaves to
//! others when it ends, it must have noted elsewhere before; so whoever cleans reads first the
//! claims and then the notes.

use std::collections::BTreeSet;
use std::collections::HashSet;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// What the names of the files begin with.
const PREFIX: &str = "lease-";

/// The claims of this process, as long as this lives.
#[derive(Debug)]
pub struct Lease {
    /// Held shared while something is claimed, and alone while somebody cleans.
    lock: File,
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// None while everything is claimed: then the lock is not given back.
    file: Option<(PathBuf, File)>,
    claimed: HashSet<String>,
}

/// What the living claim.
#[derive(Debug, Default)]
pub struct Claims {
    /// Whether anybody lives who may claim something.
    pub has_claimants: bool,
    /// The names.
    pub names: BTreeSet<String>,
}

impl Lease {
    /// Begins one that claims everything; waits while somebody who has `lock` alone cleans. What it
    /// settles for becomes a file in `folder`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn begin(lock: File, folder: &Path) -> io::Result<Self> {
        lock.lock_shared()?;
        Ok(Self {
            lock,
            folder: folder.to_owned(),
            state: Mutex::new(State {
                file: None,
                claimed: HashSet::new(),
            }),
        })
    }

    /// Claims from now on only what was and will be claimed by name. Who has little to do ends
    /// before that, and writes nothing.
    ///
    /// # Errors
    /// What the kernel says of the lock.
    pub fn settle(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.file.is_none()
            && let Ok(written) = write(&self.folder, &state.claimed)
        {
            self.lock.unlock()?;
            state.file = Some(written);
        }
        Ok(())
    }

    /// Claims a name; waits while somebody cleans.
    ///
    /// # Errors
    /// What the kernel says of the lock; then nothing is claimed.
    pub fn claim(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let State { file, claimed } = &mut *state;
        if claimed.contains(name) {
            return Ok(());
        }
        if let Some((path, open)) = file {
            self.lock.lock_shared()?;
            if open.write_all(line(name).as_bytes()).is_ok() {
                self.lock.unlock()?;
            } else {
                let _ = fs::remove_file(path);
                *file = None;
            }
        }
        claimed.insert(name.to_owned());
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What stays is removed by the next who cleans.
        let file = self.state().file.take();
        let _ = file.map(|(path, _)| fs::remove_file(path));
        // A process that is just being started has the file open, too, until it becomes its program.
        let _ = self.lock.unlock();
    }
}

/// Gives what the living claim in `folder`, and removes the files of the dead. To be called while
/// the lock of [`Lease::begin`] is held alone, and as long as that is so, nothing more is claimed.
///
/// # Errors
/// What the kernel says.
pub fn claims(folder: &Path) -> io::Result<Claims> {
    let mut claims = Claims::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let mut file = match File::open(entry.path()) {
            // Its process has ended meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        match file.try_lock() {
            Ok(()) => remove(&entry.path())?,
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.read_to_string(&mut text)?;
                claims.has_claimants = true;
                claims.names.extend(text.lines().map(str::to_owned));
                // It is no garbage itself.
                claims.names.extend(name.into_string());
            }
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(claims)
}

fn line(name: &str) -> String {
    format!("{name}\n")
}

/// Writes claims to a new file, and locks it.
fn write(folder: &Path, names: &HashSet<String>) -> io::Result<(PathBuf, File)> {
    let (path, mut file) = create(folder)?;
    let lines: String = names.iter().map(|name| line(name)).collect();
    let written = file.lock().and_then(|()| file.write_all(lines.as_bytes()));
    // What is not whole is worse than nothing.
    written.inspect_err(|_| drop(fs::remove_file(&path)))?;
    Ok((path, file))
}

fn create(folder: &Path) -> io::Result<(PathBuf, File)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{PREFIX}{}-{number}", process::id()));
        match File::create_new(&path) {
            // A killed process, or one in another pid namespace, has used the name.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return Ok((path, created?)),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::fs::File;

    use super::Lease;
    use super::claims;

    fn lock(folder: &tempfile::TempDir) -> File {
        let mut options = File::options();
        let options = options.create(true).append(true);
        options.open(folder.path().join("lock")).unwrap()
    }

    fn settled(folder: &tempfile::TempDir) -> Lease {
        let lease = Lease::begin(lock(folder), folder.path()).unwrap();
        lease.settle().unwrap();
        lease
    }

    #[test]
    fn what_the_living_claim_is_known_and_what_the_dead_claimed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| settled(&folder));
        for name in ["a", "b", "a"] {
            one.claim(name).unwrap();
        }
        other.claim("c").unwrap();
        fs::write(folder.path().join("lease-1-of-the-dead"), "d\n").unwrap();
        let found = claims(folder.path()).unwrap().names;
        let all = ["a", "b", "c", "d"].map(|name| found.contains(name));
        assert_eq!(all, [true, true, true, false]);
        drop(one);
        let found = claims(folder.path()).unwrap().names;
        let all = ["a", "b", "c"].map(|name| found.contains(name));
        assert_eq!(all, [false, false, true]);
        drop(other);
        assert!(!claims(folder.path()).unwrap().has_claimants);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn who_cannot_write_claims_everything() {
        let folder = tempfile::tempdir().unwrap();
        let lease = Lease::begin(lock(&folder), &folder.path().join("missing")).unwrap();
        lease.settle().unwrap();
        lease.claim("a").unwrap();
        assert!(lock(&folder).try_lock().is_err());
        drop(lease);
        lock(&folder).try_lock().unwrap();
    }

    #[test]
    fn who_has_not_settled_claims_everything_and_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let lease = Lease::begin(lock(&folder), folder.path()).unwrap();
        lease.claim("a").unwrap();
        assert!(lock(&folder).try_lock().is_err());
        assert!(!claims(folder.path()).unwrap().has_claimants);
        lease.settle().unwrap();
        lease.claim("b").unwrap();
        lease.settle().unwrap();
        lock(&folder).try_lock().unwrap();
        let found = claims(folder.path()).unwrap().names;
        assert_eq!(["a", "b"].map(|name| found.contains(name)), [true, true]);
    }
}
