//! A filter in two parts: one that can be installed before a sandbox is set up, and what is missing
//! there, which refuses the calls by which it is set up.

use crate::sandbox::seccomp::Machine;
use crate::sandbox::seccomp::profile::Verdict;

/// Verdicts in order; each holds from its number up to the next.
pub(super) type Ranges = Vec<(u32, Verdict)>;

/// The calls that are made to set up a sandbox after the first part is there, and that may be
/// refused to its program: by number on x86-64 and on aarch64.
const SET_UP: [(u32, u32); 12] = [
    (155, 41),  // pivot_root
    (161, 51),  // chroot
    (165, 40),  // mount
    (166, 39),  // umount2
    (170, 161), // sethostname
    (308, 268), // setns
    (428, 428), // open_tree
    (429, 429), // move_mount
    (430, 430), // fsopen
    (431, 431), // fsconfig
    (432, 432), // fsmount
    (442, 442), // mount_setattr
];

/// Gives the verdicts of both parts on the calls that programs for this machine usually make.
pub(super) fn part(all: &Ranges, machine: Machine) -> (Ranges, Ranges) {
    let (mut ahead, mut rest) = (all.clone(), vec![(0, Verdict::Allowed)]);
    for (x86, arm) in SET_UP {
        let number = match machine {
            Machine::X86 => x86,
            Machine::Arm => arm,
        };
        set(&mut rest, number, verdict(all, number));
        set(&mut ahead, number, Verdict::Allowed);
    }
    (ahead, rest)
}

fn verdict(ranges: &Ranges, number: u32) -> Verdict {
    let after = ranges.partition_point(|(from, _)| *from <= number);
    ranges[after - 1].1
}

fn set(ranges: &mut Ranges, number: u32, new: Verdict) {
    let next = (number + 1, verdict(ranges, number + 1));
    ranges.retain(|(from, _)| *from != number && *from != next.0);
    let place = ranges.partition_point(|(from, _)| *from < number);
    ranges.splice(place..place, [(number, new), next]);
    ranges.dedup_by(|(_, later), (_, before)| later == before);
}
