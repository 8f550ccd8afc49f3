//! Filters of system calls: programs that the kernel runs before each call of a process.

use std::io;

use crate::sys::Error;
use crate::sys::Result;

/// The filter machine's operations, and where it finds what it looks at.
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const CALL_NUMBER: u32 = 0;
const CALL_ARCHITECTURE: u32 = 4;
const ALLOW: u32 = 0x7fff_0000;
/// An error of number 0 is none.
pub(super) const SUCCEED: u32 = 0x0005_0000;
/// Another process answers.
pub(super) const REFER: u32 = 0x7fc0_0000;

/// One instruction of the kernel's classic packet filter machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions to skip if a comparison holds.
    pub if_true: u8,
    /// How many instructions to skip if it does not.
    pub if_false: u8,
    /// The number it works with.
    pub value: u32,
}

/// Has the kernel run a filter before each further system call of this thread and of what comes
/// of it. There is no way back.
///
/// Programs with more rights than their caller, such as `sudo`, go on working under it: this is
/// why it takes `CAP_SYS_ADMIN`.
pub fn install(filter: &[Instruction]) -> Result<()> {
    const CALL: &str = "seccomp(SECCOMP_SET_MODE_FILTER)";
    let program = program(filter, CALL)?;
    // SAFETY: the program and its instructions live for the call, which only reads them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(Error::new(CALL, io::Error::last_os_error())),
    }
}

/// What the kernel is told of a filter: an [`Instruction`] is laid out as its `sock_filter`.
pub(super) fn program(filter: &[Instruction], call: &str) -> Result<libc::sock_fprog> {
    Ok(libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| Error::invalid(call))?,
        filter: filter.as_ptr().cast_mut().cast(),
    })
}

/// Makes a filter that meets calls, by architecture and number, with what is said of them, and allows
/// all others.
pub(super) fn by_number<const N: usize>(parts: [(u32, Vec<(u32, u32)>); N]) -> Vec<Instruction> {
    let mut program = vec![step(LOAD, CALL_ARCHITECTURE)];
    for (architecture, calls) in parts {
        let mut part = vec![step(LOAD, CALL_NUMBER)];
        for (number, answer) in calls {
            part.extend([skip_unless_equal(number, 1), step(RETURN, answer)]);
        }
        part.push(step(RETURN, ALLOW));
        program.push(skip_unless_equal(architecture, part.len()));
        program.extend(part);
    }
    program.push(step(RETURN, ALLOW));
    program
}

fn skip_unless_equal(value: u32, distance: usize) -> Instruction {
    Instruction {
        if_false: u8::try_from(distance).expect("there are few calls"),
        ..step(JUMP_IF_EQUAL, value)
    }
}

fn step(code: u16, value: u32) -> Instruction {
    Instruction {
        code,
        if_true: 0,
        if_false: 0,
        value,
    }
}
