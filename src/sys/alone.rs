//! A user namespace that knows one user only: becoming another, and giving files to another, is
//! refused there. What installs packages does both and needs neither.

use crate::sys::Result;
use crate::sys::seccomp;
use crate::sys::seccomp::Instruction;

/// The calls that are answered with success and not made.
#[cfg(target_arch = "x86_64")]
const CALLS: [libc::c_long; 13] = [
    libc::SYS_chown,
    libc::SYS_fchown,
    libc::SYS_lchown,
    libc::SYS_fchownat,
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
#[cfg(not(target_arch = "x86_64"))]
const CALLS: [libc::c_long; 11] = [
    libc::SYS_fchown,
    libc::SYS_fchownat,
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

/// Tells whether the user namespace knows one user only.
pub fn is_alone() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    map.lines().filter_map(count).sum::<u64>() == 1
}

/// Has calls that take another user succeed without being made, in this thread and all that comes
/// of it.
pub fn pretend() -> Result<()> {
    seccomp::install(&program())
}

fn program() -> Vec<Instruction> {
    let step = |code, value, if_true, if_false| Instruction {
        code,
        if_true,
        if_false,
        value,
    };
    let count = u8::try_from(CALLS.len()).expect("there are few");
    let mut program = vec![
        step(LOAD, CALL_ARCHITECTURE, 0, 0),
        // Programs of another architecture are left alone.
        step(JUMP_IF_EQUAL, ARCHITECTURE, 0, count + 1),
        step(LOAD, CALL_NUMBER, 0, 0),
    ];
    for (left, call) in (0..count).rev().zip(CALLS) {
        let number = u32::try_from(call).expect("calls have small numbers");
        program.push(step(JUMP_IF_EQUAL, number, left + 1, 0));
    }
    program.push(step(RETURN, ALLOW, 0, 0));
    program.push(step(RETURN, SUCCEED, 0, 0));
    program
}
