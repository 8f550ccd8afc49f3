//! The process that a sandbox without a process namespace is watched over by.
//!
//! It is the parent of the program and of all that the program leaves behind, passes signals on,
//! and when the program ends, or rbuild does, it kills the rest.

use crate::sandbox::init::Inside;
use crate::sandbox::report::Problem;
use crate::sys::family;
use crate::sys::family::Heard;
use crate::sys::family::Side;
use crate::sys::process;
use crate::sys::process::Ended;

/// Leaves this process behind to watch; the new one that returns from here goes on.
pub(super) fn supervise(_: &mut Inside) -> Result<(), Problem> {
    family::watch_over()?;
    match family::fork()? {
        Side::Child => Ok(process::signal_at_parents_end(process::KILL)?),
        Side::Parent(program) => {
            // Its ends of pipes would keep readers waiting.
            process::close_from(0);
            end_as(watch(program))
        }
    }
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
