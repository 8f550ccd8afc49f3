//! The filter against the profile as Docker words it, by running it.

use super::*;

/// The profile, in one line a call.
const GOLDEN: &str = include_str!("../../../testdata/seccomp/docker.txt");

const EPERM: u32 = 0x5_0001;
const ENOSYS: u32 = 0x5_0026;
const ALLOW: u32 = 0x7fff_0000;

/// Runs a filter on a call as the kernel does: the smallest answer of its parts holds.
fn run(filter: &Filter, architecture: u32, call: u32, argument: u64) -> u32 {
    let part = |part| run_part(part, architecture, call, argument);
    part(&filter.ahead).min(part(&filter.rest))
}

fn run_part(filter: &[Instruction], architecture: u32, call: u32, argument: u64) -> u32 {
    let (low, high) = (argument as u32, (argument >> 32) as u32);
    let (mut at, mut loaded) = (0, 0);
    loop {
        let instruction = filter[at];
        let value = instruction.value;
        let jump = |holds| match holds {
            true => usize::from(instruction.if_true),
            false => usize::from(instruction.if_false),
        };
        at += 1;
        match instruction.code {
            0x20 => loaded = [call, architecture, 0, 0, low, high][value as usize / 4],
            0x05 => at += value as usize,
            0x15 => at += jump(loaded == value),
            0x35 => at += jump(loaded >= value),
            0x45 => at += jump(loaded & value != 0),
            0x06 => return value,
            other => panic!("{other:#x} is no operation of a filter"),
        }
    }
}

fn capabilities(names: &[&str]) -> Capabilities {
    Capabilities::union(names.iter().map(|name| Capabilities::named(name).unwrap()))
}

/// What Docker answers to a call with this condition.
fn expected(condition: &str, has: &[&str], argument: u64) -> bool {
    let (kind, rest) = condition.split_once(' ').unwrap_or((condition, ""));
    let mut words = rest.split(' ');
    match kind {
        "everybody" => true,
        "capability" => words.any(|name| has.contains(&name)),
        "argument" => words.any(|values| {
            let (first, last) = values.split_once('-').unwrap_or((values, values));
            (first.parse().unwrap()..=last.parse().unwrap()).contains(&argument)
        }),
        "without" => {
            let bits: u64 = words.next().unwrap().parse().unwrap();
            argument & bits == 0 || has.contains(&words.next_back().unwrap())
        }
        other => panic!("{other} is no condition"),
    }
}

/// All calls that the profile names, by number.
fn golden(abi: Abi) -> Vec<(u32, &'static str, &'static str)> {
    let lines = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    let named = |name: &str| {
        let mut lines = include_str!("calls.txt").lines();
        let line = lines.find(|line| line.split_whitespace().next() == Some(name))?;
        line.split_whitespace().nth(1 + abi as usize)?.parse().ok()
    };
    lines
        .filter_map(|line| {
            let (name, condition) = line.split_once(' ').unwrap();
            Some((named(name)?, name, condition))
        })
        .collect()
}

const ABIS: [(Machine, u32, Abi, u32); 5] = [
    (Machine::X86, 0xc000_003e, Abi::X86_64, 0),
    (Machine::X86, 0xc000_003e, Abi::X32, 1 << 30),
    (Machine::X86, 0x4000_0003, Abi::I386, 0),
    (Machine::Arm, 0xc000_00b7, Abi::Aarch64, 0),
    (Machine::Arm, 0x4000_0028, Abi::Arm, 0),
];

const ARGUMENTS: [u64; 16] = [
    0,
    1,
    8,
    11,
    12,
    16,
    38,
    40,
    45,
    46,
    0x2_0000,
    0x2_0009,
    0x1000_0000,
    0x0001_0f00,
    0xffff_ffff,
    0x1_0000_0000,
];

#[test]
fn every_call_is_answered_as_docker_does() {
    let sets: [&[&str]; 4] = [
        &crate::sandbox::DEFAULT_CAPABILITIES,
        &[],
        &["SYS_ADMIN", "SYS_TIME"],
        &["BPF", "SYS_NICE", "SYS_PTRACE"],
    ];
    for (machine, architecture, abi, base) in ABIS {
        let golden = golden(abi);
        assert!(golden.len() > 250, "{abi:?} has few calls");
        for has in sets {
            let filter = filter(machine, capabilities(has));
            for call in 0..1000 {
                let known = golden.iter().find(|(number, ..)| *number == call);
                for argument in ARGUMENTS {
                    let allowed =
                        known.is_some_and(|(_, _, condition)| expected(condition, has, argument));
                    let newest = if abi == Abi::X32 { 547 } else { 466 };
                    let name = known.map_or("", |(_, name, _)| name);
                    let answer = match allowed {
                        true => ALLOW,
                        false if name == "clone3" || call > newest => ENOSYS,
                        false => EPERM,
                    };
                    assert_eq!(
                        run(&filter, architecture, base + call, argument),
                        answer,
                        "{abi:?} {call} {name}({argument:#x}) with {has:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_sandbox_can_be_set_up_under_the_first_part() {
    let filter = filter(Machine::X86, Capabilities::union([]));
    for (name, call) in [("pivot_root", 155), ("umount2", 166), ("move_mount", 429)] {
        let answer = |part| run_part(part, 0xc000_003e, call, 0);
        assert_eq!(
            (answer(&filter.ahead), answer(&filter.rest)),
            (ALLOW, EPERM),
            "{name}"
        );
        assert_eq!(
            run_part(&filter.ahead, 0x4000_0003, 21, 0),
            EPERM,
            "mount on i386"
        );
    }
    assert!(filter.rest.len() < 80, "{} instructions", filter.rest.len());
}

#[test]
fn the_table_lists_what_the_profile_names() {
    let names = |text: &'static str| -> Vec<&str> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.split_whitespace().next())
            .collect()
    };
    let mut expected = names(GOLDEN);
    // It exists on RISC-V only.
    expected.retain(|name| *name != "riscv_hwprobe");
    assert_eq!(names(include_str!("calls.txt")), expected);
}

#[test]
fn strange_architectures_and_numbers_have_no_calls() {
    let filter = filter(Machine::X86, Capabilities::ALL);
    assert_eq!(run(&filter, 0xc000_00b7, 0, 0), ENOSYS);
    for call in [u32::MAX, 1 << 31, (1 << 30) + 1000, (1 << 30) - 1] {
        assert_eq!(run(&filter, 0xc000_003e, call, 0), ENOSYS, "{call:#x}");
        assert_eq!(run(&filter, 0x4000_0003, call, 0), ENOSYS, "{call:#x}");
    }
}
