//! Finding out by doing it whether a sandbox can be made: rights, filters of system calls, security
//! modules and what a container hides of `/proc` all have a say.

use std::ffi::CStr;
use std::ptr;

use crate::sys::Error;
use crate::sys::Result;
use crate::sys::birth;
use crate::sys::namespace::Namespace;
use crate::sys::process::Ended;

/// Tries to make these namespaces, to mount their `/proc` and to have it as root directory; nothing
/// is left of it.
///
/// # Panics
/// If none for processes or none for mounts is among them: the mount would be on this machine.
pub fn namespaces(own: &[Namespace]) -> Result<()> {
    let needed = [Namespace::Mount, Namespace::Pid];
    let has_needed = needed.iter().all(|namespace| own.contains(namespace));
    assert!(has_needed, "{needed:?} are not in {own:?}");
    let mut trial = Trial { call: "", errno: 0 };
    // SAFETY: `trial` outlives the call, which returns when the child has exited.
    let child = unsafe { birth::vfork(own, try_to_mount, (&raw mut trial).cast()) };
    let child = child.map_err(|source| Error::new(format!("clone({own:?})"), source))?;
    outcome(child.wait()?, &trial)
}

/// Says whether all was done: one that was killed may have no failed call to tell of.
fn outcome(ended: Ended, trial: &Trial) -> Result<()> {
    match (ended, trial.errno) {
        (Ended::Exited(0), 0) => Ok(()),
        (Ended::Exited(0), errno) => Err(Error::new(
            trial.call,
            std::io::Error::from_raw_os_error(errno),
        )),
        (Ended::Exited(code), _) => Err(broken_off(format!("exited with code {code}"))),
        (Ended::Killed(signal), _) => Err(broken_off(format!("was killed by signal {signal}"))),
    }
}

fn broken_off(how: String) -> Error {
    let source = std::io::Error::other(format!("the process that tried it {how}"));
    Error::new("mount(\"/proc\")", source)
}

/// What becomes of it.
struct Trial {
    /// The call that failed.
    call: &'static str,
    errno: libc::c_int,
}

extern "C" fn try_to_mount(trial: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the pointer is to the `Trial` of `namespaces`, which waits and does not touch it
    // meanwhile. Everything called here is a plain system call on constants.
    unsafe {
        let trial = &mut *trial.cast::<Trial>();
        if let Err(call) = mount_and_pivot() {
            *trial = Trial {
                call,
                errno: *libc::__errno_location(),
            };
        }
        libc::_exit(0)
    }
}

/// Mounts `/proc` and changes the root directory as a sandbox does; if that is not possible, gives the
/// call that failed, and `errno` says why.
fn mount_and_pivot() -> std::result::Result<(), &'static str> {
    const PROC: &CStr = c"proc";
    const CREATE: libc::c_int = 6;
    const ATTRIBUTES: u64 =
        libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    const FROM_HANDLE: libc::c_uint = 4;
    let none = ptr::null::<libc::c_char>();
    // SAFETY: plain numbers and texts that end with NUL; the new process has few open files, and
    // they end with it.
    unsafe {
        let private = libc::MS_REC | libc::MS_PRIVATE;
        if libc::mount(none, c"/".as_ptr(), none, private, ptr::null()) != 0 {
            return Err("mount(\"/\", MS_PRIVATE)");
        }
        let context = libc::syscall(libc::SYS_fsopen, PROC.as_ptr(), 1);
        if context < 0 {
            return Err("fsopen(\"proc\")");
        }
        if libc::syscall(libc::SYS_fsconfig, context, CREATE, none, none, 0) != 0 {
            return Err("fsconfig(\"proc\")");
        }
        let made = libc::syscall(libc::SYS_fsmount, context, 1, ATTRIBUTES);
        if made < 0 {
            return Err("fsmount(\"proc\")");
        }
        let (here, target) = (libc::AT_FDCWD, c"/proc".as_ptr());
        let moved = libc::syscall(
            libc::SYS_move_mount,
            made,
            c"".as_ptr(),
            here,
            target,
            FROM_HANDLE,
        );
        if moved != 0 {
            return Err("move_mount(\"/proc\")");
        }
        let there = libc::chdir(target) == 0;
        let dot = c".".as_ptr();
        match there && libc::syscall(libc::SYS_pivot_root, dot, dot) == 0 {
            true => Ok(()),
            false => Err("pivot_root()"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_came_to_its_end_has_tried() {
        let tried = |ended, errno| {
            let call = "mount(\"/\", MS_PRIVATE)";
            outcome(ended, &Trial { call, errno }).map_err(|error| error.in_one_line())
        };
        assert_eq!(tried(Ended::Exited(0), 0), Ok(()));
        let refused = tried(Ended::Exited(0), libc::EPERM).unwrap_err();
        assert!(
            refused.starts_with("mount(\"/\", MS_PRIVATE): "),
            "{refused}"
        );
        let killed = tried(Ended::Killed(9), 0).unwrap_err();
        assert!(killed.ends_with("was killed by signal 9"), "{killed}");
        let exited = tried(Ended::Exited(7), 0).unwrap_err();
        assert!(exited.ends_with("exited with code 7"), "{exited}");
    }

    #[test]
    #[should_panic(expected = "[Mount, Pid] are not in [Pid]")]
    fn nothing_is_mounted_on_this_machine() {
        let _ = namespaces(&[Namespace::Pid]);
    }
}
