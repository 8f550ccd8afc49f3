//! Directories that stay from build to build: `RUN --mount=type=cache`.
//!
//! ```text
//! <root>/mounts/<sha256 of its identity>/<n>/data   the directory
//! <root>/mounts/<sha256 of its identity>/<n>/lock   held while it is mounted
//! <root>/mounts/<sha256 of its identity>/<n>/new-*  a directory being made
//! ```
//!
//! Its identity is its id with all that decides how a new one looks: owner, mode, and the files it
//! starts with. Mounts that differ there are different directories, as in BuildKit.
//!
//! The lock is what makes the sharing modes hold between processes: `shared` holds it together,
//! `locked` alone and waits for it, `private` takes the first `n` whose lock is free. A command that
//! wants several takes them in the order of their identities ([`family`]), so that no two commands
//! wait for each other.
//!
//! A sandbox that moves the directory away locks the folder `<n>` until it is back, which may be
//! later than the end of the process that holds `lock`.

use std::fs;
use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::graph::CacheMount;
use crate::graph::Sharing;
use crate::oci::Digest;
use crate::solver::Cancel;
use crate::sys::Dir;
use crate::sys::Owner;
use crate::sys::file::make_private_dir;
use crate::worker::Error;

/// More builds than this do not run one step at a time on one machine.
const PRIVATE_MAX: u32 = 4096;

/// How often a lock that another holds is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// A cache mount in use; others may have it again when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    /// The directory to mount.
    pub(super) path: PathBuf,
    lock: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // A process that is just being started has the file open, too, until it becomes its program.
        let _ = self.lock.unlock();
    }
}

/// Gives the folder of all directories that are `mount` below `root`. `start` names the files that a
/// new one starts with.
pub(super) fn family(root: &Path, mount: &CacheMount, start: &str) -> PathBuf {
    let CacheMount {
        id,
        source,
        mode,
        uid,
        gid,
        ..
    } = mount;
    let identity = format!("{}:{id} {mode:o} {uid} {gid} {start} {source}", id.len());
    let digest = Digest::of(identity.as_bytes());
    root.join("mounts").join(digest.hex())
}

/// Takes a directory of `family`, shared as told, and makes and fills it if there is none. Waits until
/// it may have it or the build is canceled.
pub(super) fn acquire(
    family: &Path,
    (mount, sharing): (&CacheMount, Sharing),
    cancel: &Cancel,
    fill: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<Held, Error> {
    let candidates = if sharing == Sharing::Private {
        PRIVATE_MAX
    } else {
        1
    };
    for number in 0..candidates {
        let folder = family.join(number.to_string());
        if let Some(lock) = lock(&folder, sharing, cancel)? {
            let path = hold(&folder, mount, fill)?;
            return Ok(Held { path, lock });
        }
    }
    Err(Error::CacheMountsInUse {
        id: mount.id.clone(),
    })
}

fn lock(folder: &Path, sharing: Sharing, cancel: &Cancel) -> Result<Option<File>, Error> {
    let path = folder.join("lock");
    let error = |source: io::Error| Error::CacheMount {
        path: path.clone(),
        source,
    };
    make_private_dir(folder).map_err(error)?;
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(error)?;
    let place = File::open(folder).map_err(error)?;
    loop {
        let tried = match sharing {
            Sharing::Shared => file.try_lock_shared(),
            Sharing::Locked | Sharing::Private => file.try_lock(),
        };
        match tried.and_then(|()| place.try_lock_shared()) {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(source)) => return Err(error(source)),
            Err(TryLockError::WouldBlock) if sharing == Sharing::Private => return Ok(None),
            Err(TryLockError::WouldBlock) if cancel.is_canceled() => return Err(Error::Canceled),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
        }
    }
}

/// Gives the directory. A new one is made under another name first: one that is there is whole.
fn hold(
    folder: &Path,
    mount: &CacheMount,
    fill: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let path = folder.join("data");
    let error = |source: io::Error| Error::CacheMount {
        path: path.clone(),
        source,
    };
    if path.is_dir() {
        return Ok(path);
    }
    let unfinished = make_unfinished(folder).map_err(error)?;
    let dir = Dir::open(&unfinished)?;
    dir.set_owner(
        ".",
        Owner {
            uid: mount.uid,
            gid: mount.gid,
        },
    )?;
    dir.set_mode(".", mount.mode)?;
    fill(&unfinished)?;
    match fs::rename(&unfinished, &path) {
        Ok(()) => Ok(path),
        // Another process that shares it was first.
        Err(_) if path.is_dir() => {
            fs::remove_dir_all(&unfinished).map_err(error)?;
            Ok(path)
        }
        Err(source) => Err(error(source)),
    }
}

/// Makes an empty directory that no other thread or process uses.
fn make_unfinished(folder: &Path) -> io::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("new-{}-{number}", std::process::id()));
        match fs::create_dir(&path) {
            // A killed process, or one in another pid namespace, has used the name.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| path),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use super::Held;
    use super::acquire;
    use super::family;
    use crate::graph::CacheMount;
    use crate::graph::Sharing;
    use crate::solver::Cancel;
    use crate::worker::Error;

    fn mount(root: &Path, sharing: Sharing) -> CacheMount {
        let metadata = fs::metadata(root).unwrap();
        CacheMount {
            id: "/root/.cache/x".to_owned(),
            sharing,
            input: None,
            source: String::new(),
            readonly: false,
            mode: 0o700,
            uid: metadata.uid(),
            gid: metadata.gid(),
        }
    }

    /// Takes the mount; says also whether its directory was made for it.
    fn take(root: &Path, sharing: Sharing) -> (Held, bool) {
        let wanted = mount(root, sharing);
        let mut is_new = false;
        let fill = |_: &Path| {
            is_new = true;
            Ok(())
        };
        let family = family(root, &wanted, "");
        let held = acquire(&family, (&wanted, sharing), &Cancel::new(), fill).unwrap();
        (held, is_new)
    }

    #[test]
    fn shared_is_one_and_private_is_another() {
        let root = tempfile::tempdir().unwrap();
        let (first, is_first_new) = take(root.path(), Sharing::Shared);
        let (second, is_second_new) = take(root.path(), Sharing::Shared);
        let (private, is_private_new) = take(root.path(), Sharing::Private);
        assert_eq!(first.path, second.path);
        assert_ne!(first.path, private.path);
        assert!(is_first_new && !is_second_new && is_private_new);
        assert_eq!(fs::metadata(&first.path).unwrap().mode() & 0o7777, 0o700);
        drop((first, second));
        assert!(!take(root.path(), Sharing::Private).1);
    }

    #[test]
    fn what_was_not_filled_to_the_end_is_not_there() {
        let root = tempfile::tempdir().unwrap();
        let wanted = mount(root.path(), Sharing::Shared);
        let family = family(root.path(), &wanted, "");
        let broken = |_: &Path| Err(Error::Canceled);
        assert!(acquire(&family, (&wanted, wanted.sharing), &Cancel::new(), broken).is_err());
        assert!(take(root.path(), Sharing::Shared).1);
    }

    #[test]
    fn locked_waits_for_the_other() {
        let root = tempfile::tempdir().unwrap();
        let (held, _) = take(root.path(), Sharing::Locked);
        fs::write(held.path.join("mark"), "").unwrap();
        let folder = root.path().to_owned();
        let waiting = std::thread::spawn(move || {
            let (held, _) = take(&folder, Sharing::Locked);
            held.path.join("mark").exists()
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!waiting.is_finished());
        drop(held);
        assert!(waiting.join().unwrap());
    }

    /// Asserts that whoever wants to have the mount alone waits, until he is canceled.
    fn assert_waits(root: &Path) {
        let wanted = mount(root, Sharing::Locked);
        let family = family(root, &wanted, "");
        let cancel = Cancel::new();
        cancel.cancel();
        let ended = acquire(&family, (&wanted, wanted.sharing), &cancel, |_| Ok(()));
        assert!(matches!(ended, Err(Error::Canceled)));
    }

    #[test]
    fn what_a_sandbox_has_moved_away_is_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let (held, _) = take(root.path(), Sharing::Locked);
        let away = File::open(held.path.parent().unwrap()).unwrap();
        away.lock().unwrap();
        drop(held);
        assert_waits(root.path());
        drop(away);
        assert!(!take(root.path(), Sharing::Locked).1);
    }

    #[test]
    fn a_canceled_build_waits_for_no_lock() {
        let root = tempfile::tempdir().unwrap();
        let _held = take(root.path(), Sharing::Locked);
        assert_waits(root.path());
    }
}
