//! A user namespace that knows one user only: becoming another, and giving files to another, is
//! refused there. What installs packages does both: it need not become another, and whom it gives
//! files to is remembered by [`gift`](crate::sys::gift).

use std::os::fd::OwnedFd;

use crate::sys::Result;
use crate::sys::notify;
use crate::sys::seccomp;
use crate::sys::seccomp::Instruction;

/// The calls by which files are given away.
#[cfg(target_arch = "x86_64")]
const GIFTS: [libc::c_long; 4] = [
    libc::SYS_chown,
    libc::SYS_fchown,
    libc::SYS_lchown,
    libc::SYS_fchownat,
];
#[cfg(not(target_arch = "x86_64"))]
const GIFTS: [libc::c_long; 2] = [libc::SYS_fchown, libc::SYS_fchownat];

/// The calls that are answered with success and not made.
const CALLS: [libc::c_long; 9] = [
    libc::SYS_setgroups,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
];
/// The kernel's name for this machine (`linux/audit.h`).
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(not(target_arch = "x86_64"))]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// The filter machine's operations, and where it finds what it looks at.
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const CALL_NUMBER: u32 = 0;
const CALL_ARCHITECTURE: u32 = 4;
const ALLOW: u32 = 0x7fff_0000;
/// An error of number 0 is none.
const SUCCEED: u32 = 0x0005_0000;
/// Another process answers.
const REFER: u32 = 0x7fc0_0000;

/// Tells whether the user namespace knows one user only.
pub fn is_alone() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    map.lines().filter_map(count).sum::<u64>() == 1
}

/// Has calls that take another user succeed without being made, in this thread and all that comes
/// of it. Gives where calls arrive that give files away, for [`answer`](crate::sys::gift::answer);
/// nothing where none can be answered: then they succeed without being made, too.
pub fn pretend() -> Result<Option<OwnedFd>> {
    match notify::install(&program(REFER)) {
        Ok(listener) => Ok(Some(listener)),
        Err(_) => seccomp::install(&program(SUCCEED)).map(|()| None),
    }
}

/// Makes the filter; `gifts` is what calls that give files away are met with.
fn program(gifts: u32) -> Vec<Instruction> {
    let step = |code, value, if_true, if_false| Instruction {
        code,
        if_true,
        if_false,
        value,
    };
    // Behind the comparisons come the answers: to other calls, to these, to gifts.
    let answers = [ALLOW, SUCCEED, gifts];
    let calls = CALLS.iter().map(|call| (call, 1));
    let calls: Vec<_> = calls.chain(GIFTS.iter().map(|call| (call, 2))).collect();
    let count = u8::try_from(calls.len()).expect("there are few");
    let mut program = vec![
        step(LOAD, CALL_ARCHITECTURE, 0, 0),
        // Programs of another architecture are left alone.
        step(JUMP_IF_EQUAL, ARCHITECTURE, 0, count + 1),
        step(LOAD, CALL_NUMBER, 0, 0),
    ];
    for (left, (call, answer)) in (0..count).rev().zip(calls) {
        let number = u32::try_from(*call).expect("calls have small numbers");
        program.push(step(JUMP_IF_EQUAL, number, left + answer, 0));
    }
    program.extend(answers.map(|answer| step(RETURN, answer, 0, 0)));
    program
}
