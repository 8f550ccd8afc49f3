//! Signals that one process passes on to another below it, each of which counts once.
//!
//! What is sent to a group of processes reaches both, and what is sent to the upper one alone only
//! that one; it cannot tell which it was. So it passes on all that another process sent, with that
//! one's number, and the lower one takes what comes both ways for one.

use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// The signals that are passed on: those by which a process is asked to end.
const ENDING: [libc::c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGQUIT, libc::SIGHUP];

/// What marks a signal that was passed on; the kernel leaves such codes to programs.
const PASSED_ON: libc::c_int = -64;

/// The process that signals to this one are meant for.
static MEANT: AtomicI32 = AtomicI32::new(-1);

/// What came last of each signal and has not come both ways.
static ALONE: [AtomicI64; ENDING.len()] = [const { AtomicI64::new(0) }; ENDING.len()];

/// Who handled each signal before.
static BEFORE: [AtomicUsize; ENDING.len()] = [const { AtomicUsize::new(0) }; ENDING.len()];

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// What the kernel tells of a signal that a process sent (`siginfo_t`).
#[repr(C)]
struct Sent {
    number: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    _pad: libc::c_int,
    pid: libc::pid_t,
    uid: libc::uid_t,
    _rest: [u64; 13],
}

const _: () = assert!(size_of::<Sent>() == size_of::<libc::siginfo_t>());

/// Leaves it to a process below this one, for as long as this one lives, what signals that end a
/// process mean. What a key at the terminal made all processes there have got; what was sent to this
/// one is passed on.
pub fn leave_to(process: OwnedFd) {
    MEANT.store(process.into_raw_fd(), Ordering::Relaxed);
    for number in ENDING {
        handle(number, pass_on);
    }
}

/// Takes a signal that was sent to this process and passed on to it as well for one. Whoever handles
/// signals already goes on doing so.
pub fn take_once() {
    for (number, before) in ENDING.into_iter().zip(&BEFORE) {
        // SAFETY: zeros are a valid action, which the call overwrites; nothing is set.
        let action = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(number, std::ptr::null(), &raw mut action);
            action
        };
        let is_handled = action.sa_flags & libc::SA_SIGINFO != 0;
        if is_handled && action.sa_sigaction != take as *const () as usize {
            before.store(action.sa_sigaction, Ordering::Relaxed);
            handle(number, take);
        }
    }
}

fn handle(number: libc::c_int, handler: Handler) {
    // SAFETY: zeros are a valid action, and what it is set to makes system calls only.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        libc::sigaction(number, &raw const action, std::ptr::null_mut());
    }
}

extern "C" fn pass_on(
    number: libc::c_int,
    info: *mut libc::siginfo_t,
    _context: *mut libc::c_void,
) {
    // SAFETY: the kernel gives what it knows of the signal. The descriptor is never closed, and what
    // was interrupted finds its error number as it was.
    unsafe {
        let is_sent = (*info).si_code <= 0;
        if is_sent {
            let before = *libc::__errno_location();
            let passed = Sent {
                number,
                errno: 0,
                code: PASSED_ON,
                _pad: 0,
                pid: (*info).si_pid(),
                uid: (*info).si_uid(),
                _rest: [0; 13],
            };
            let process = MEANT.load(Ordering::Relaxed);
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                process,
                number,
                &raw const passed,
                0,
            );
            *libc::__errno_location() = before;
        }
    }
}

extern "C" fn take(number: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(index) = ENDING.iter().position(|ending| *ending == number) else {
        return;
    };
    // SAFETY: the kernel gives what it knows of the signal, and a process that sent it has a number.
    let (code, sender) = unsafe { ((*info).si_code, (*info).si_pid()) };
    let comes_again = match code {
        PASSED_ON => came(&ALONE[index], sender, false),
        libc::SI_USER => came(&ALONE[index], sender, true),
        _ => false,
    };
    if !comes_again {
        // SAFETY: it was a handler of this kind that stood there.
        let before: Handler = unsafe { std::mem::transmute(BEFORE[index].load(Ordering::Relaxed)) };
        before(number, info, context);
    }
}

/// Notes that a signal came from a process, straight or passed on; tells whether it had come the
/// other way.
fn came(alone: &AtomicI64, sender: i32, is_straight: bool) -> bool {
    // Whoever is not seen from here has the number 0.
    let number = i64::from(sender) + 1;
    let this = if is_straight { number } else { -number };
    let next = |last| Some(if last == -this { 0 } else { this });
    alone.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) == Ok(-this)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_both_ways_counts_once() {
        let alone = AtomicI64::new(0);
        let (straight, passed) = (true, false);
        for (sender, way, again) in [
            (7, straight, false),
            (7, passed, true),
            (7, passed, false),
            (7, straight, true),
            // Sent to the upper one alone, twice.
            (7, passed, false),
            (7, passed, false),
            // Another's.
            (8, straight, false),
            (8, passed, true),
            (0, passed, false),
            (0, straight, true),
        ] {
            assert_eq!(came(&alone, sender, way), again, "{sender} {way}");
        }
    }
}
