//! Filters of system calls: programs that the kernel runs before each call of a process.

use std::io;

use crate::sys::Error;
use crate::sys::Result;

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
