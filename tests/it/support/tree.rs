//! Directory trees as text, to compare all that a layer keeps of them.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use rbuild::oci::Digest;
use rbuild::sys::Dir;
use rbuild::sys::FileKind;

/// Runs a shell script in a folder, which makes trees that no library call makes as readably.
pub(crate) fn shell(folder: &Path, script: &str) -> String {
    let output = Command::new("sh")
        .args(["-euc", script])
        .current_dir(folder)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// How exactly trees are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    /// To the nanosecond.
    Exact,
    /// In whole seconds.
    Seconds,
    /// Not at all.
    Ignored,
}

/// Lists a tree without its root: a line a file, in the order of their paths.
pub(crate) fn listing(dir: &Dir, times: Times) -> Vec<String> {
    let mut lines = Vec::new();
    list(dir, "", times, &mut HashMap::new(), &mut lines);
    lines
}

fn list(
    dir: &Dir,
    above: &str,
    times: Times,
    first_names: &mut HashMap<(u64, u64), String>,
    lines: &mut Vec<String>,
) {
    let mut entries = dir.entries().unwrap();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    for entry in entries {
        let name = &entry.name;
        let path = format!("{above}{}", name.to_string_lossy());
        let stat = dir.stat(name).unwrap();
        if stat.kind == FileKind::CharDevice && stat.device == (0, 0) {
            // A whiteout has metadata that nobody heeds.
            lines.push(format!("{path} whiteout"));
            continue;
        }
        let owner = (stat.owner.uid, stat.owner.gid);
        let mut line = format!("{path} {:?} {:o} {owner:?}", stat.kind, stat.mode);
        match times {
            Times::Exact => write!(line, " {:?}", stat.modified).unwrap(),
            Times::Seconds => write!(line, " {}", stat.modified.seconds).unwrap(),
            Times::Ignored => {}
        }
        match stat.kind {
            FileKind::File => {
                let mut content = Vec::new();
                let mut file = dir.open_file(name).unwrap();
                std::io::Read::read_to_end(&mut file, &mut content).unwrap();
                write!(line, " {} {}", stat.size, Digest::of(&content).hex()).unwrap();
            }
            FileKind::Symlink => write!(line, " -> {:?}", dir.read_link(name).unwrap()).unwrap(),
            FileKind::CharDevice | FileKind::BlockDevice => {
                write!(line, " {:?}", stat.device).unwrap();
            }
            _ => {}
        }
        for key in dir.xattrs(name).unwrap() {
            let value = dir.xattr(name, &key).unwrap().unwrap();
            write!(line, " {}={value:?}", key.to_string_lossy()).unwrap();
        }
        if !stat.is_dir() && stat.links > 1 {
            let first = first_names
                .entry(stat.identity)
                .or_insert_with(|| path.clone());
            write!(line, " = {first}").unwrap();
        }
        lines.push(line);
        if stat.is_dir() {
            list(
                &dir.open_dir(name).unwrap(),
                &format!("{path}/"),
                times,
                first_names,
                lines,
            );
        }
    }
}
