//! Directories that stay from build to build: `RUN --mount=type=cache`.
//!
//! ```text
//! <root>/mounts/<sha256 of its identity>/<n>/data   the directory
//! <root>/mounts/<sha256 of its identity>/<n>/lock   held while it is mounted
//! ```
//!
//! Its identity is its id with all that decides how a new one looks: owner, mode, and the files it
//! starts with. Mounts that differ there are different directories, as in BuildKit.
//!
//! The lock is what makes the sharing modes hold between processes: `shared` holds it together,
//! `locked` alone and waits for it, `private` takes the first `n` whose lock is free.

use std::fs;
use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use crate::graph::CacheMount;
use crate::graph::Sharing;
use crate::oci::Digest;
use crate::sys::Dir;
use crate::sys::Owner;
use crate::worker::Error;

/// More builds than this do not run one step at a time on one machine.
const PRIVATE_MAX: u32 = 4096;

/// A cache mount in use; others may have it again when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    /// The directory to mount.
    pub(super) path: PathBuf,
    /// Whether it was made just now.
    pub(super) fresh: bool,
    _lock: File,
}

/// Takes the directory of `mount` below `root`, and makes it if there is none. `start` names the
/// files that a new one starts with. May wait.
pub(super) fn acquire(root: &Path, mount: &CacheMount, start: &str) -> Result<Held, Error> {
    let CacheMount {
        id,
        source,
        mode,
        uid,
        gid,
        ..
    } = mount;
    let identity = format!("{}:{id} {mode:o} {uid} {gid} {start} {source}", id.len());
    let family = root
        .join("mounts")
        .join(Digest::of(identity.as_bytes()).hex());
    let candidates = if mount.sharing == Sharing::Private {
        PRIVATE_MAX
    } else {
        1
    };
    for number in 0..candidates {
        let folder = family.join(number.to_string());
        if let Some(lock) = lock(&folder, mount.sharing)? {
            return hold(&folder, lock, mount);
        }
    }
    Err(Error::CacheMountsInUse {
        id: mount.id.clone(),
    })
}

fn lock(folder: &Path, sharing: Sharing) -> Result<Option<File>, Error> {
    let path = folder.join("lock");
    let error = |source: io::Error| Error::CacheMount {
        path: path.clone(),
        source,
    };
    fs::create_dir_all(folder).map_err(error)?;
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(error)?;
    match sharing {
        Sharing::Shared => file.lock_shared().map_err(error)?,
        Sharing::Locked => file.lock().map_err(error)?,
        Sharing::Private => match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(error(source)),
        },
    }
    Ok(Some(file))
}

/// Makes the directory under another name first: one that is there has its owner and mode.
fn hold(folder: &Path, lock: File, mount: &CacheMount) -> Result<Held, Error> {
    let path = folder.join("data");
    let error = |source: io::Error| Error::CacheMount {
        path: path.clone(),
        source,
    };
    if path.is_dir() {
        return Ok(Held {
            path,
            fresh: false,
            _lock: lock,
        });
    }
    let unfinished = folder.join(unique_name());
    fs::create_dir_all(&unfinished).map_err(error)?;
    let dir = Dir::open(&unfinished)?;
    dir.set_owner(
        ".",
        Owner {
            uid: mount.uid,
            gid: mount.gid,
        },
    )?;
    dir.set_mode(".", mount.mode)?;
    match fs::rename(&unfinished, &path) {
        Ok(()) => Ok(Held {
            path,
            fresh: true,
            _lock: lock,
        }),
        // Another process that shares it was first.
        Err(_) if path.is_dir() => {
            fs::remove_dir_all(&unfinished).map_err(error)?;
            Ok(Held {
                path,
                fresh: false,
                _lock: lock,
            })
        }
        Err(source) => Err(error(source)),
    }
}

/// A name that no other thread or process uses now.
fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("new-{}-{number}", std::process::id())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use super::acquire;
    use crate::graph::CacheMount;
    use crate::graph::Sharing;

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

    #[test]
    fn shared_is_one_and_private_is_another() {
        let root = tempfile::tempdir().unwrap();
        let first = acquire(root.path(), &mount(root.path(), Sharing::Shared), "").unwrap();
        let second = acquire(root.path(), &mount(root.path(), Sharing::Shared), "").unwrap();
        let private = acquire(root.path(), &mount(root.path(), Sharing::Private), "").unwrap();
        assert_eq!(first.path, second.path);
        assert_ne!(first.path, private.path);
        assert!(first.fresh && !second.fresh && private.fresh);
        assert_eq!(fs::metadata(&first.path).unwrap().mode() & 0o7777, 0o700);
        drop((first, second));
        let again = acquire(root.path(), &mount(root.path(), Sharing::Private), "").unwrap();
        assert!(!again.fresh);
    }

    #[test]
    fn locked_waits_for_the_other() {
        let root = tempfile::tempdir().unwrap();
        let wanted = mount(root.path(), Sharing::Locked);
        let held = acquire(root.path(), &wanted, "").unwrap();
        fs::write(held.path.join("mark"), "").unwrap();
        let folder = root.path().to_owned();
        let waiting = std::thread::spawn(move || {
            let held = acquire(&folder, &wanted, "").unwrap();
            held.path.join("mark").exists()
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!waiting.is_finished());
        drop(held);
        assert!(waiting.join().unwrap());
    }
}
