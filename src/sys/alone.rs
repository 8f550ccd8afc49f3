//! A user namespace that knows one user only: becoming another, and giving files to another, is
//! refused there. What installs packages does both: it need not become another, and whom it gives
//! files to is remembered by [`gift`](crate::sys::gift).

use std::os::fd::OwnedFd;

use crate::sys::Result;
use crate::sys::abi::ABIS;
use crate::sys::abi::Abi;
use crate::sys::id_map::IdMap;
use crate::sys::notify;
use crate::sys::seccomp;
use crate::sys::seccomp::Instruction;

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
    IdMap::own_users().count() == 1
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
    let mut program = vec![step(LOAD, CALL_ARCHITECTURE)];
    for abi in ABIS {
        let part = part(&abi, gifts);
        program.push(skip_unless_equal(abi.architecture, part.len()));
        program.extend(part);
    }
    program.push(step(RETURN, ALLOW));
    program
}

/// What is answered to the calls of one kind of program.
fn part(abi: &Abi, gifts: u32) -> Vec<Instruction> {
    let mut part = vec![step(LOAD, CALL_NUMBER)];
    let users = abi.users.iter().map(|number| (*number, SUCCEED));
    let gifts = abi.gifts.iter().map(|call| (call.number, gifts));
    for (number, answer) in users.chain(gifts) {
        part.extend([skip_unless_equal(number, 1), step(RETURN, answer)]);
    }
    part.push(step(RETURN, ALLOW));
    part
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
