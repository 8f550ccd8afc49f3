//! Directory trees as text, to compare all that a layer keeps of them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use proptest::prelude::Strategy;
use proptest::prelude::prop;
use proptest::prelude::prop_oneof;
use rbuild::oci::Digest;
use rbuild::sys::Dir;
use rbuild::sys::FileKind;
use rbuild::sys::Node;
use rbuild::sys::Root;
use rbuild::sys::Timestamp;

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
        let stat = match dir.stat(name) {
            // An overlay may name a whiteout of its own that hides nothing.
            Err(error) if error.is_not_found() => continue,
            stat => stat.unwrap(),
        };
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

/// One thing done to a tree; what is impossible in the tree it meets is left undone.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Directory(String, u32),
    File(String, String, u32),
    Symlink(String, String),
    Link(String, String),
    Fifo(String),
    Remove(String),
    Rename(String, String),
    Mode(String, u32),
    Time(String, i64),
    Attribute(String, String),
}

/// Makes up what to do to a tree of few names, so that the same ones meet often.
pub(crate) fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let path = || "[abc](/[abc]){0,2}";
    let mode = prop::sample::select(vec![0o644, 0o755, 0o700, 0o4755, 0o2770, 0o1777, 0]);
    let step = prop_oneof![
        3 => (path(), mode.clone()).prop_map(|(path, mode)| Step::Directory(path, mode)),
        3 => (path(), "[x-z]{0,3}", mode.clone())
            .prop_map(|(path, content, mode)| Step::File(path, content, mode)),
        1 => (path(), path()).prop_map(|(path, target)| Step::Symlink(path, target)),
        1 => (path(), path()).prop_map(|(path, target)| Step::Link(path, target)),
        1 => path().prop_map(Step::Fifo),
        2 => path().prop_map(Step::Remove),
        1 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (path(), mode).prop_map(|(path, mode)| Step::Mode(path, mode)),
        1 => (path(), 0..3_i64).prop_map(|(path, time)| Step::Time(path, time)),
        1 => (path(), "[a-c]{1}").prop_map(|(path, value)| Step::Attribute(path, value)),
    ];
    prop::collection::vec(step, 0..count)
}

/// Does it all, one step after the other.
pub(crate) fn perform(root: &Root, steps: &[Step]) {
    for step in steps {
        // That a step fails, since its path does not exist or is something else, is part of it.
        let _ = perform_one(root, step);
    }
}

fn perform_one(root: &Root, step: &Step) -> rbuild::sys::Result<()> {
    let at = |path: &str| root.parent(Path::new(path));
    match step {
        Step::Directory(path, mode) => {
            let (dir, name) = at(path)?;
            dir.make_dir(name, *mode)
        }
        Step::File(path, content, mode) => {
            let (dir, name) = at(path)?;
            dir.remove_file(&name)
                .or_else(|error| match error.is_not_found() {
                    true => Ok(()),
                    false => Err(error),
                })?;
            let mut file = dir.create_file(name, *mode)?;
            std::io::Write::write_all(&mut file, content.as_bytes()).unwrap();
            Ok(())
        }
        Step::Symlink(path, target) => {
            let (dir, name) = at(path)?;
            dir.symlink(Path::new(target), name)
        }
        Step::Link(path, target) => {
            let ((dir, name), (from, old)) = (at(path)?, at(target)?);
            from.link(old, &dir, name)
        }
        Step::Fifo(path) => {
            let (dir, name) = at(path)?;
            dir.make_node(name, Node::Fifo, 0o600)
        }
        Step::Remove(path) => root.remove_all(Path::new(path)),
        Step::Rename(from, to) => {
            let ((dir, name), (new_dir, new)) = (at(from)?, at(to)?);
            dir.rename(name, &new_dir, new)
        }
        Step::Mode(path, mode) => {
            let (dir, name) = at(path)?;
            dir.set_mode(name, *mode)
        }
        Step::Time(path, seconds) => {
            let (dir, name) = at(path)?;
            dir.set_modified(
                name,
                Timestamp {
                    seconds: *seconds,
                    nanoseconds: 0,
                },
            )
        }
        Step::Attribute(path, value) => {
            let (dir, name) = at(path)?;
            // Of all attributes only this one goes through layers.
            let mut capability = [1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            capability[4] = value.as_bytes()[0];
            dir.set_xattr(name, OsStr::new("security.capability"), &capability)
        }
    }
}
