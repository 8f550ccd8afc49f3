//! Files that a process of a user namespace with one user gives to others: its calls are answered
//! here, and the owners are remembered.
//!
//! What a call names is looked up as its process would: below its root directory, from its working
//! directory or the directory that it has open, and never beyond that root. Only what lies in the
//! sandbox's own root file system is remembered; for all else success is what it gets.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::ResolveFlags;
use rustix::io::Errno;

use crate::sys::Error;
use crate::sys::Handle;
use crate::sys::Result;
use crate::sys::Root;
use crate::sys::abi::ABIS;
use crate::sys::abi::Form;
use crate::sys::caller::Caller;
use crate::sys::error::Call as _;
use crate::sys::notify::Answer;
use crate::sys::notify::Call;
use crate::sys::notify::Listener;
use crate::sys::notify::low;
use crate::sys::remember;
use crate::sys::told::Told;

/// How many links the kernel follows on one way.
const LINKS_MAX: usize = 40;

/// What a call gives away.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Gift {
    what: What,
    uid: Option<u32>,
    gid: Option<u32>,
}

/// How a call names a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// By the number of an open one.
    Open(u64),
    /// By the address of a path.
    Path {
        /// Where a relative one begins; the working directory if not said.
        from: Option<u64>,
        address: u64,
        follow: bool,
        /// Whether no path at all means where it begins.
        may_be_empty: bool,
    },
}

/// Answers the calls that arrive until the last process of a sandbox has ended; `first` is one in
/// its root file system.
pub fn answer(listener: OwnedFd, first: u32) {
    let listener = Listener::new(listener);
    // Where it cannot be seen, nothing is remembered.
    let own = Caller::new(first).and_then(|first| first.open("root"));
    while let Some(call) = listener.next() {
        let answered = match &own {
            Ok(own) => carry_out(&listener, &call, own),
            Err(_) => Ok(()),
        };
        let errno = |error: Error| match error.errno() {
            0 => libc::EIO,
            errno => errno,
        };
        let answer = match answered {
            Ok(()) => Answer::Value(0),
            Err(error) => Answer::Failure(errno(error)),
        };
        listener.answer(&call, &answer);
    }
}

fn carry_out(listener: &Listener, call: &Call, own: &Handle) -> Result<()> {
    let Some(gift) = Gift::of(call) else {
        return Ok(());
    };
    let process = Caller::new(call.process)?;
    let Some(found) = find(&process, &gift.what, || listener.waits(call))? else {
        return Ok(());
    };
    if !found.is_on_mount_of(own)? {
        return Ok(());
    }
    // What its program was told to give.
    let told = Told::by(&process.said("comm"), &process.said("cmdline"));
    let uid = gift.uid.filter(|_| told.user);
    let gid = gift.gid.filter(|_| told.group);
    remember::give(&found, uid, gid)
}

impl Gift {
    fn of(call: &Call) -> Option<Gift> {
        let [one, two, three, four, five, _] = call.arguments;
        let abi = ABIS
            .iter()
            .find(|abi| abi.architecture == call.architecture)?;
        let gives = abi.gifts.iter().find(|it| it.number == call.number)?;
        let path = |address, follow| What::Path {
            from: None,
            address,
            follow,
            may_be_empty: false,
        };
        let (what, uid, gid) = match gives.form {
            Form::Path => (path(one, true), two, three),
            Form::Link => (path(one, false), two, three),
            Form::Open => (What::Open(one), two, three),
            Form::At => {
                let has = |flag: libc::c_int| five & u64::from(flag.cast_unsigned()) != 0;
                let what = What::Path {
                    from: (low(one) != low(libc::AT_FDCWD as u64)).then_some(one),
                    address: two,
                    follow: !has(libc::AT_SYMLINK_NOFOLLOW),
                    may_be_empty: has(libc::AT_EMPTY_PATH),
                };
                (what, three, four)
            }
        };
        let id = |value| Some(low(value) & gives.id).filter(|id| *id != gives.id);
        Some(Gift {
            what,
            uid: id(uid),
            gid: id(gid),
        })
    }
}

/// Finds what a call names; nothing if it is the kernel's own.
fn find(process: &Caller, what: &What, waits: impl Fn() -> bool) -> Result<Option<Handle>> {
    let link = match what {
        What::Open(number)
        | What::Path {
            from: Some(number), ..
        } => {
            format!("fd/{}", low(*number))
        }
        What::Path { from: None, .. } => "cwd".to_owned(),
    };
    let root = Root::new(process.open("root")?.into_dir());
    let (path, follow) = match what {
        What::Open(_) => (PathBuf::new(), false),
        What::Path {
            address, follow, ..
        } => (process.read_path(*address)?, *follow),
    };
    let base = match path.is_absolute() {
        true => None,
        false => Some(process.open(&link)?),
    };
    // All of it was the process's that waits, and not another's that has its number.
    if !waits() {
        return Err(Error::new(
            "chown()",
            io::Error::from_raw_os_error(libc::ESRCH),
        ));
    }
    match (base, what) {
        _ if is_kernels(&path) => Ok(None),
        (Some(base), What::Open(_)) => Ok(Some(base)),
        (Some(base), What::Path { may_be_empty, .. }) if path.as_os_str().is_empty() => {
            let missing = || Error::new("chown(\"\")", io::Error::from_raw_os_error(libc::ENOENT));
            may_be_empty.then_some(Some(base)).ok_or_else(missing)
        }
        (Some(base), _) => match beneath(&base, &path, follow) {
            Err(Errno::XDEV) => {
                let place = process.read_link_inside(&link)?;
                let place = place.ok_or_else(|| Error::invalid("chown()"))?;
                resolve(&root, &place.join(&path), follow)
            }
            found => found.map(Some).call(|| format!("chown({path:?})")),
        },
        (None, _) => resolve(&root, &path, follow),
    }
}

/// Finds what a path names below a root; nothing if it leads through the kernel's own links.
fn resolve(root: &Root, path: &Path, follow: bool) -> Result<Option<Handle>> {
    let found = match follow {
        true => root.resolve(path),
        false => root.resolve_link(path),
    };
    match found {
        Err(error) if error.errno() == libc::ELOOP => Ok(None),
        // There each process finds files of its own.
        Err(error) if error.is_not_found() && leads_to_kernels(root, path, follow) => Ok(None),
        found => found.map(Some),
    }
}

/// Tells whether a path is the kernel's own by its text. What goes up in it may come out anywhere.
fn is_kernels(path: &Path) -> bool {
    let goes_up = path.components().any(|part| part == Component::ParentDir);
    !goes_up && (path.starts_with("/proc") || path.starts_with("/dev"))
}

/// Tells whether a path is the kernel's own, or names a link that leads there if it is followed, maybe
/// through others.
fn leads_to_kernels(root: &Root, path: &Path, follow: bool) -> bool {
    let next = |link: &PathBuf| {
        let target = root.read_link(link).ok()?;
        Some(without_dots(&link.parent()?.join(target)))
    };
    std::iter::successors(Some(without_dots(path)), next)
        .take(if follow { LINKS_MAX } else { 1 })
        .any(|path| is_kernels(&path))
}

/// Goes up in a path where it says so, by its text.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::Normal(name) => clean.push(name),
            _ => {}
        }
    }
    clean
}

/// Finds what a path names below a directory that it does not leave on its way.
fn beneath(base: &Handle, path: &Path, follow: bool) -> rustix::io::Result<Handle> {
    let flags = match follow {
        true => OFlags::PATH | OFlags::CLOEXEC,
        false => OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW,
    };
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(base, path, flags, Mode::empty(), inside) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            found => return found.map(Handle::from_fd),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::Root;
    use super::is_kernels;
    use super::resolve;

    #[test]
    fn what_leads_to_the_kernels_files_is_not_missing() {
        let home = tempfile::tempdir().unwrap();
        let dir = |path: &str| home.path().join(path);
        fs::create_dir_all(dir("var/log")).unwrap();
        fs::create_dir(dir("dev")).unwrap();
        symlink("/proc/self/fd/1", dir("dev/stdout")).unwrap();
        for (target, link) in [
            ("/dev/stdout", "absolute"),
            ("../../dev/stdout", "relative"),
            ("relative", "more"),
            ("/nowhere", "missing"),
            ("loop", "loop"),
        ] {
            symlink(target, dir("var/log").join(link)).unwrap();
        }
        let root = Root::open(home.path()).unwrap();
        let find = |name, follow| resolve(&root, &Path::new("/var/log").join(name), follow);
        for name in ["absolute", "relative", "more"] {
            assert!(find(name, true).unwrap().is_none(), "{name}");
            assert!(find(name, false).unwrap().is_some(), "{name}");
        }
        // What goes up may come out elsewhere, and is looked up.
        for path in ["/dev/../var/log/missing", "/proc/../var/log/missing"] {
            assert!(!is_kernels(Path::new(path)), "{path}");
        }
        assert!(is_kernels(Path::new("//./proc/./self")));
        assert!(!is_kernels(Path::new("/process")));
        let above = |name: &str| resolve(&root, &Path::new("/var/log/../..").join(name), false);
        assert!(above("dev/../var/log/missing").unwrap().is_some());
        assert!(above("proc/self/cwd").unwrap().is_none());
        assert!(above("process").unwrap_err().is_not_found());
        assert!(find("missing", true).unwrap_err().is_not_found());
        assert!(find("none", true).unwrap_err().is_not_found());
    }
}
