//! Which system calls a sandbox may make: those that Docker's default profile lets a container
//! make, and with the same answers. A call that the profile leaves out is refused (`EPERM`); one
//! that is newer than the profile does not exist (`ENOSYS`), so that programs fall back on older
//! ones, as runc has it. No call ends a process.
//!
//! [`calls.txt`](calls.txt) is the profile, `profile.rs` reads it, `parts.rs` takes out what can only
//! be refused once a sandbox is set up, and `program.rs` makes of it what the kernel runs. Nothing
//! here makes a system call. Start reading at [`filter`].

mod parts;
mod profile;
mod program;

#[cfg(test)]
mod tests;

use crate::sys::id::Capabilities;
use crate::sys::seccomp::Instruction;

use self::profile::Abi;
use self::profile::Verdict;
use self::program::Section;

/// A kind of machine, with all the ways in which its programs call the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    /// Runs x86-64, x32 and i386 programs.
    X86,
    /// Runs 64-bit and 32-bit ARM programs.
    Arm,
}

impl Machine {
    /// What this program was compiled for.
    pub(super) const THIS: Machine = match cfg!(target_arch = "aarch64") {
        true => Machine::Arm,
        false => Machine::X86,
    };

    /// The kernel's names for what programs are compiled for (`AUDIT_ARCH_…`), the usual one
    /// first, each with its calls.
    fn sections(self) -> [(u32, &'static [Abi]); 2] {
        match self {
            Machine::X86 => [
                (0xc000_003e, &[Abi::X86_64, Abi::X32]),
                (0x4000_0003, &[Abi::I386]),
            ],
            Machine::Arm => [(0xc000_00b7, &[Abi::Aarch64]), (0x4000_0028, &[Abi::Arm])],
        }
    }
}

/// A filter in two parts. The kernel asks both about each call, and a refusal of either holds.
#[derive(Debug)]
pub(super) struct Filter {
    /// All of it but for some calls by which a sandbox is set up: a large program, which it takes
    /// the kernel a while to install.
    pub(super) ahead: Vec<Instruction>,
    /// These calls.
    pub(super) rest: Vec<Instruction>,
}

/// Makes the filter for a sandbox whose root has these capabilities.
pub(super) fn filter(machine: Machine, capabilities: Capabilities) -> Filter {
    let [usual, other] = machine.sections().map(|(architecture, abis)| Section {
        architecture,
        ranges: profile::ranges(abis, capabilities),
    });
    let (ahead, rest) = parts::part(&usual.ranges, machine);
    let of_usual = |ranges| Section { ranges, ..usual };
    Filter {
        ahead: program::compile(&[of_usual(ahead), other], Verdict::Unknown),
        rest: program::compile(&[of_usual(rest)], Verdict::Allowed),
    }
}
