//! Verdicts become a program for the kernel's filter machine.
//!
//! Every call is looked up by halving, in some eight comparisons. Since Linux 5.11 the kernel
//! finds out once which calls are allowed in any case, and does not run the program for them.

use crate::sandbox::seccomp::parts::Ranges;
use crate::sandbox::seccomp::profile::Verdict;
use crate::sys::seccomp::Instruction;

/// The calls of the programs of one architecture.
pub(super) struct Section {
    /// The kernel's name for it.
    pub(super) architecture: u32,
    /// The verdicts on them.
    pub(super) ranges: Ranges,
}

/// Where in `struct seccomp_data` the program finds what it looks at; the numbers that are 64 bits
/// long have their lower half first on all machines there are here.
const CALL: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENT_LOW: u32 = 16;
const ARGUMENT_HIGH: u32 = 20;

/// The machine's operations (`linux/bpf_common.h`).
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP_IF_BITS: u16 = 0x45;
const RETURN: u16 = 0x06;

/// The kernel's actions: carry the call out, or return an error.
const ALLOW: u32 = 0x7fff_0000;
const ERROR: u32 = 0x0005_0000;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Makes the program; `otherwise` is the verdict on all calls of an architecture without a section.
pub(super) fn compile(sections: &[Section], otherwise: Verdict) -> Vec<Instruction> {
    let mut program = vec![plain(LOAD, ARCHITECTURE)];
    for section in sections {
        let mut part = vec![plain(LOAD, CALL)];
        part.extend(search(&section.ranges));
        program.extend(skip_unless(JUMP_IF_EQUAL, section.architecture, part.len()));
        program.extend(part);
    }
    program.extend(answer(otherwise));
    program
}

/// Finds the verdict on the number that was loaded.
fn search(ranges: &[(u32, Verdict)]) -> Vec<Instruction> {
    if let [(_, verdict)] = ranges {
        return answer(*verdict);
    }
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    let [(first, _), ..] = upper else {
        return answer(Verdict::Refused);
    };
    // The upper half comes first: below it are more calls that the kernel does not know by heart.
    let upper = search(upper);
    let mut part = skip_unless(JUMP_IF_AT_LEAST, *first, upper.len());
    part.extend(upper);
    part.extend(search(lower));
    part
}

/// Skips instructions unless a comparison holds. A conditional jump reaches 255 of them.
fn skip_unless(comparison: u16, value: u32, distance: usize) -> Vec<Instruction> {
    let compare = |if_false| Instruction {
        code: comparison,
        if_true: 0,
        if_false,
        value,
    };
    match u8::try_from(distance) {
        Ok(distance) => vec![compare(distance)],
        Err(_) => {
            let far = u32::try_from(distance).expect("a program has 4096 instructions at most");
            let over_the_jump = Instruction {
                if_true: 1,
                ..compare(0)
            };
            vec![over_the_jump, plain(JUMP, far)]
        }
    }
}

fn answer(verdict: Verdict) -> Vec<Instruction> {
    let give = |answer| vec![plain(RETURN, answer)];
    match verdict {
        Verdict::Allowed => give(ALLOW),
        Verdict::Refused => give(ERROR | EPERM),
        Verdict::Unknown => give(ERROR | ENOSYS),
        Verdict::ByValue(values) => {
            let mut part = vec![plain(LOAD, ARGUMENT_LOW)];
            part.extend(search(values));
            // What is longer than 32 bits has none of the values.
            let mut all = vec![plain(LOAD, ARGUMENT_HIGH)];
            all.extend(skip_unless(JUMP_IF_EQUAL, 0, part.len()));
            all.extend(part);
            all.extend(answer(Verdict::Refused));
            all
        }
        Verdict::Without(bits) => {
            let refusal = answer(Verdict::Refused);
            let mut part = vec![plain(LOAD, ARGUMENT_LOW)];
            part.extend(skip_unless(JUMP_IF_BITS, bits, refusal.len()));
            part.extend(refusal);
            part.extend(answer(Verdict::Allowed));
            part
        }
    }
}

fn plain(code: u16, value: u32) -> Instruction {
    Instruction {
        code,
        if_true: 0,
        if_false: 0,
        value,
    }
}
