//! The profile: what is answered to which call.

use std::collections::BTreeMap;

use crate::sandbox::seccomp::parts::Ranges;
use crate::sys::id::Capabilities;

/// The calls, their numbers and when they are allowed.
const CALLS: &str = include_str!("calls.txt");

/// A way to call the kernel, with numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Abi {
    X86_64,
    I386,
    X32,
    Aarch64,
    Arm,
}

/// What is answered to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is carried out.
    Allowed,
    /// It may not be made.
    Refused,
    /// There is no such call.
    Unknown,
    /// It is carried out for some values of its first argument: for those from each of these
    /// numbers on the verdict beside it holds.
    ByValue(&'static [(u32, Verdict)]),
    /// It is carried out if its first argument has none of these bits.
    Without(u32),
}

/// Address families. Refused are those that nobody misses, from DECnet to CAIF; ALG, behind which
/// too many holes were found; and VSOCK, which reaches past every network namespace.
const FAMILIES: [(u32, Verdict); 16] = [
    (0, Verdict::Allowed),
    (12, Verdict::Refused),
    (13, Verdict::Allowed),
    (19, Verdict::Refused),
    (21, Verdict::Allowed),
    (23, Verdict::Refused),
    (24, Verdict::Allowed),
    (25, Verdict::Refused),
    (26, Verdict::Allowed),
    (34, Verdict::Refused),
    (35, Verdict::Allowed),
    (37, Verdict::Refused),
    (39, Verdict::Allowed),
    (40, Verdict::Refused),
    (41, Verdict::Allowed),
    (46, Verdict::Refused),
];

/// Linux, 32-bit Linux, each also with old version numbers, and the question which one it is.
const PERSONALITIES: [(u32, Verdict); 9] = [
    (0, Verdict::Allowed),
    (1, Verdict::Refused),
    (8, Verdict::Allowed),
    (9, Verdict::Refused),
    (0x2_0000, Verdict::Allowed),
    (0x2_0001, Verdict::Refused),
    (0x2_0008, Verdict::Allowed),
    (0x2_0009, Verdict::Refused),
    (u32::MAX, Verdict::Allowed),
];

/// `CLONE_NEWNS` and all the other new namespaces.
const NAMESPACES: u32 = 0x7e02_0000;

/// The bit that marks calls of x32 programs.
const X32: u32 = 1 << 30;

/// Calls of 32-bit ARM from here on are no system calls as others are, and no newer than those.
const ARM_PRIVATE: u32 = 0xf_0000;

/// Gives the verdicts on all numbers.
pub(super) fn ranges(abis: &[Abi], capabilities: Capabilities) -> Ranges {
    let mut ranges = vec![(0, Verdict::Refused)];
    let mut begin = |number, verdict| {
        ranges.pop_if(|(from, _)| *from == number);
        if ranges.last().is_none_or(|(_, last)| *last != verdict) {
            ranges.push((number, verdict));
        }
    };
    for abi in abis {
        let base = if *abi == Abi::X32 { X32 } else { 0 };
        let calls = calls(*abi, capabilities);
        let newest = calls.range(..ARM_PRIVATE).next_back();
        let newest = newest.map_or(0, |(number, _)| *number);
        begin(base, Verdict::Refused);
        for (number, verdict) in calls {
            begin(base + number, verdict);
            let beyond = match number < newest {
                true => Verdict::Refused,
                false => Verdict::Unknown,
            };
            begin(base + number + 1, beyond);
        }
    }
    ranges
}

/// Gives the verdicts on the calls that the profile names.
pub(super) fn calls(abi: Abi, capabilities: Capabilities) -> BTreeMap<u32, Verdict> {
    let lines = CALLS.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut columns = line.split_ascii_whitespace().skip(1);
            let number = columns.nth(abi as usize)?.parse().ok()?;
            let condition = columns.last()?;
            Some((number, verdict(condition, capabilities)))
        })
        .collect()
}

fn verdict(condition: &str, capabilities: Capabilities) -> Verdict {
    let has = |name| Capabilities::named(name).is_some_and(|one| capabilities.contains(one));
    match condition {
        "allow" => Verdict::Allowed,
        "socket" => Verdict::ByValue(&FAMILIES),
        "personality" => Verdict::ByValue(&PERSONALITIES),
        "clone" | "clone3" if has("SYS_ADMIN") => Verdict::Allowed,
        "clone" => Verdict::Without(NAMESPACES),
        "clone3" => Verdict::Unknown,
        names => match names.split(',').any(has) {
            true => Verdict::Allowed,
            false => Verdict::Refused,
        },
    }
}
