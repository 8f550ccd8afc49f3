//! The process that a sandbox without a process namespace is watched over by.
//!
//! It is the parent of the program and of all that the program leaves behind, passes signals on,
//! and when the program ends, or rbuild does, it kills the rest and takes back what they were lent. It
//! is in another session than the program, whose signals to its own do not reach it.

use crate::sandbox::chroot::furnish::Furnished;
use crate::sandbox::inside::Inside;
use crate::sandbox::inside::report::Problem;
use crate::sandbox::spec::Isolation;
use crate::sandbox::spec::Rootfs;
use crate::sys::family;
use crate::sys::family::Heard;
use crate::sys::family::Side;
use crate::sys::process;
use crate::sys::process::Ended;

/// Puts what the sandbox is to find at its mount points there.
pub(in crate::sandbox) fn furnish(inside: &mut Inside) -> Result<(), Problem> {
    // Whatever happens from here on has to be put right.
    family::watch_over()?;
    let spec = &inside.spec;
    if let (Isolation::Chroot { own }, Rootfs::Directory(root)) = (&spec.isolation, &spec.root) {
        let furnished = Furnished::new(root, own, spec)?;
        inside.lacks_devices = furnished.lacks_devices;
        inside.furnished = Some(furnished);
    }
    Ok(())
}

/// Leaves this process behind to watch; the new one that returns from here goes on.
pub(in crate::sandbox) fn supervise(inside: &mut Inside) -> Result<(), Problem> {
    let furnished = inside.furnished.take();
    match family::fork() {
        Ok(Side::Child) => Ok(process::signal_at_parents_end(process::KILL)?),
        Ok(Side::Parent(program)) => {
            // Its ends of pipes would keep readers waiting.
            inside.close_files();
            let ended = watch(program);
            clear(furnished);
            end_as(ended)
        }
        Err(error) => {
            clear(furnished);
            Err(error.into())
        }
    }
}

fn clear(furnished: Option<Furnished>) {
    // What it leaves is found by who waits for this process.
    let _left = furnished.map(|mut furnished| furnished.clear());
}

fn watch(program: i32) -> Ended {
    loop {
        match family::listen() {
            Heard::End => {
                family::end_all();
                return Ended::Killed(process::KILL);
            }
            Heard::Other(number) => family::signal_child(program, number),
            Heard::Child => {
                while let Ok(Some((child, ended))) = family::reap() {
                    if child == program {
                        family::end_all();
                        return ended;
                    }
                }
            }
        }
    }
}

/// Ends this process as the program ended.
#[expect(
    clippy::disallowed_methods,
    reason = "this process is no `rbuild` that a user started: it has no `cli`"
)]
fn end_as(ended: Ended) -> ! {
    match ended {
        Ended::Exited(code) => std::process::exit(code),
        Ended::Killed(signal) => family::die_by(signal),
    }
}
