//! The processes of the machine, those of tests that run at the same time included, and signals to
//! those of one's own.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use rustix::process::Pid;
use rustix::process::Signal;

/// The command lines, with spaces between the arguments.
pub(crate) fn command_lines() -> Vec<String> {
    // A process that is gone by now has none.
    let lines = all().filter_map(|process| fs::read(process.join("cmdline")).ok());
    let shown = |line: Vec<u8>| {
        let text = String::from_utf8_lossy(&line);
        text.trim_end_matches('\0').replace('\0', " ")
    };
    lines.map(shown).collect()
}

/// The folders in `/proc` of the processes whose root directory is below a folder.
pub(crate) fn rooted_in(folder: &Path) -> Vec<PathBuf> {
    let folder = fs::canonicalize(folder).unwrap();
    let lives_there = |process: &PathBuf| {
        let root = fs::read_link(process.join("root"));
        root.is_ok_and(|root| root.starts_with(&folder))
    };
    all().filter(lives_there).collect()
}

/// Sends a signal to a process that the test started.
pub(crate) fn signal(pid: u32, signal: Signal) {
    rustix::process::kill_process(of_number(pid), signal).unwrap();
}

/// Sends a signal to the group of a process that the test started as its leader.
pub(crate) fn signal_group(leader: u32, signal: Signal) {
    rustix::process::kill_process_group(of_number(leader), signal).unwrap();
}

fn of_number(pid: u32) -> Pid {
    Pid::from_raw(pid.try_into().unwrap()).unwrap()
}

fn all() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.map(|entry| entry.path())
}
