//! Which devices the processes of a control group of version 2 may open: a program of the kernel's
//! that is asked each time.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;

use crate::sys::Error;
use crate::sys::Result;

/// A character device by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CharDevice {
    /// What drives it.
    pub major: u32,
    /// Which one; all of that driver's if not said.
    pub minor: Option<u32>,
}

/// Lets the processes in a group, and in those below it, open these devices and no others, for as
/// long as the group exists. Making a device is left to whoever has the right to.
pub fn allow_only(group: impl AsFd, devices: &[CharDevice]) -> Result<()> {
    attach(&load(&program(devices))?, group)
}

/// One instruction of the kernel's machine for such programs (`struct bpf_insn`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
struct Instruction {
    code: u8,
    /// The register it writes to in the lower half, the one it reads in the upper.
    registers: u8,
    /// Where a jump leads, counted from the next instruction, or what a load is off the register.
    offset: i16,
    value: i32,
}

const LOAD_WORD: u8 = 0x61;
const COPY: u8 = 0xbf;
const SET: u8 = 0xb7;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_IF_EQUAL: u8 = 0x15;
const JUMP_UNLESS_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

/// The registers: what is answered, where the question is, and what is read of it.
const ANSWER: u8 = 0;
const QUESTION: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// What the question (`struct bpf_cgroup_dev_ctx`) says: kind in the lower half of its first word,
/// access in the upper half.
const CHARACTER: i32 = 2;
const MAKE: i32 = 1;

const fn step(code: u8, registers: u8, offset: i16, value: i32) -> Instruction {
    Instruction {
        code,
        registers,
        offset,
        value,
    }
}

fn program(devices: &[CharDevice]) -> Vec<Instruction> {
    let number = |number: u32| i32::try_from(number).expect("device numbers have 20 bits");
    let mut program = vec![
        step(LOAD_WORD, KIND | QUESTION << 4, 0, 0),
        step(COPY, ACCESS | KIND << 4, 0, 0),
        step(AND, KIND, 0, 0xffff),
        step(SHIFT_RIGHT, ACCESS, 0, 16),
        step(LOAD_WORD, MAJOR | QUESTION << 4, 4, 0),
        step(LOAD_WORD, MINOR | QUESTION << 4, 8, 0),
        // The answer, unless something below finds another.
        step(SET, ANSWER, 0, 1),
        step(JUMP_UNLESS_EQUAL, ACCESS, 1, MAKE),
        step(EXIT, 0, 0, 0),
        step(JUMP_IF_EQUAL, KIND, 2, CHARACTER),
        step(SET, ANSWER, 0, 0),
        step(EXIT, 0, 0, 0),
    ];
    for device in devices {
        match device.minor {
            Some(minor) => program.extend([
                step(JUMP_UNLESS_EQUAL, MAJOR, 2, number(device.major)),
                step(JUMP_UNLESS_EQUAL, MINOR, 1, number(minor)),
                step(EXIT, 0, 0, 0),
            ]),
            None => program.extend([
                step(JUMP_UNLESS_EQUAL, MAJOR, 1, number(device.major)),
                step(EXIT, 0, 0, 0),
            ]),
        }
    }
    program.extend([step(SET, ANSWER, 0, 0), step(EXIT, 0, 0, 0)]);
    program
}

/// The kernel's numbers for the call (`linux/bpf.h`).
const PROGRAM_LOAD: libc::c_int = 5;
const PROGRAM_ATTACH: libc::c_int = 8;
const KIND_OF_PROGRAM: u32 = 15;
const KIND_OF_PLACE: u32 = 6;
/// Beside those of the groups above, which are all asked.
const BESIDE_OTHERS: u32 = 2;

/// What a program is loaded by: the beginning of the kernel's structure, whose rest is zero.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
}

/// What it is attached by.
#[repr(C)]
struct Attach {
    group: u32,
    program: u32,
    place: u32,
    flags: u32,
}

fn load(program: &[Instruction]) -> Result<OwnedFd> {
    const CALL: &str = "bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE)";
    let load = Load {
        kind: KIND_OF_PROGRAM,
        count: u32::try_from(program.len()).map_err(|_| Error::invalid(CALL))?,
        instructions: program.as_ptr().addr() as u64,
        license: c"".as_ptr().addr() as u64,
    };
    // SAFETY: the structure is laid out as the kernel's, and what it points to lives for the call,
    // which only reads.
    let made = unsafe { bpf(PROGRAM_LOAD, &load) };
    match i32::try_from(made) {
        // SAFETY: the kernel made this descriptor for the caller, and nothing owns it yet.
        Ok(number) if number >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        _ => Err(Error::new(CALL, io::Error::last_os_error())),
    }
}

fn attach(program: &OwnedFd, group: impl AsFd) -> Result<()> {
    const CALL: &str = "bpf(BPF_PROG_ATTACH, BPF_CGROUP_DEVICE)";
    let number = |file: i32| u32::try_from(file).expect("the number of an open file");
    let attach = Attach {
        group: number(group.as_fd().as_raw_fd()),
        program: number(program.as_raw_fd()),
        place: KIND_OF_PLACE,
        flags: BESIDE_OTHERS,
    };
    // SAFETY: the structure is laid out as the kernel's, and both files are open.
    match unsafe { bpf(PROGRAM_ATTACH, &attach) } {
        0 => Ok(()),
        _ => Err(Error::new(CALL, io::Error::last_os_error())),
    }
}

/// # Safety
/// The structure must be the one of this command, and all that it points to alive.
unsafe fn bpf<T>(command: libc::c_int, structure: &T) -> libc::c_long {
    // SAFETY: the kernel reads as much of the structure as its size says.
    unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(structure),
            size_of::<T>(),
        )
    }
}
