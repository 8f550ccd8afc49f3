//! The map of the house, checked: which room may use which, where outside crates live, and how
//! large a file may be. The compiler keeps only crates acyclic; within one crate this does.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// A room, its floor, and the rooms it may use: all of lower floors.
const ROOMS: [(&str, u32, &str); 18] = [
    ("oci", 0, ""),
    ("progress", 0, ""),
    ("sys", 0, ""),
    ("graph", 1, "oci"),
    ("store", 1, "oci sys"),
    ("layer", 1, "oci sys"),
    ("sandbox", 1, "sys progress"),
    ("dockerfile", 2, "graph oci"),
    ("snapshot", 2, "layer sys"),
    ("remote", 2, "oci store progress"),
    // Of `snapshot`, only the names of change sets.
    ("cache", 3, "graph oci snapshot sys"),
    ("export", 3, "oci store"),
    // Of `snapshot`, only the names of change sets; of `oci`, layers.
    ("solver", 4, "graph cache progress oci snapshot"),
    (
        "worker",
        5,
        "solver cache graph snapshot sandbox layer store remote oci sys progress",
    ),
    // Managing what is stored needs neither a Dockerfile nor a sandbox.
    ("manage", 6, "cache snapshot store remote oci progress"),
    // Of `sandbox`, only which ways of keeping commands apart there are.
    (
        "build",
        6,
        "worker solver cache export dockerfile snapshot remote graph layer sandbox store oci progress",
    ),
    (
        "run",
        6,
        "worker snapshot sandbox remote store oci sys progress",
    ),
    // Requests are made of values of the rooms below: registries, networks, limits, signals.
    (
        "cli",
        7,
        "build run manage dockerfile export graph oci progress remote sandbox solver store sys",
    ),
];

/// The rooms inside the worker, the largest room there is, and which of each other they may use:
/// of those named before. The ops at the end do not know each other.
const ROOMS_OF_WORKER: [(&str, &str); 10] = [
    ("error", ""),
    ("key_agent", ""),
    ("stoppable", ""),
    ("files", ""),
    ("output", "files"),
    ("change_set", "files stoppable"),
    ("copy", "change_set files stoppable"),
    ("exec", "change_set files"),
    ("mkdir", "change_set files"),
    ("source", "change_set files"),
];

/// An outside crate and the rooms that know it. Its types do not pass their doors.
const HOMES: [(&str, &str); 17] = [
    ("pest", "dockerfile"),
    ("pest_derive", "dockerfile"),
    ("petgraph", "graph"),
    ("oci_spec", "oci"),
    ("sha2", "oci"),
    ("blake3", "cache layer"),
    ("tar", "layer export"),
    ("flate2", "layer"),
    ("libdeflater", "layer"),
    ("zstd", "layer"),
    ("oci_distribution", "remote"),
    ("reqwest", "remote"),
    ("clap", "cli"),
    ("rustix", "sys"),
    ("libc", "sys"),
    ("memmap2", "sys"),
    ("rayon", "layer worker"),
];

const LINES_MAX: usize = 400;

#[test]
fn arrows_point_down() {
    let floors: BTreeMap<&str, u32> = ROOMS.iter().map(|room| (room.0, room.1)).collect();
    for (room, floor, uses) in ROOMS {
        for used in uses.split_whitespace() {
            assert!(
                floors[used] < floor,
                "{room} may not use {used} of the same or a higher floor"
            );
        }
    }
}

#[test]
fn rooms_use_only_what_the_table_says() {
    let mut wrong = BTreeSet::new();
    for (path, room) in files() {
        let Some(&(_, _, uses)) = ROOMS.iter().find(|known| known.0 == room) else {
            assert!(
                ["lib", "main"].contains(&room.as_str()),
                "{room} is in no table"
            );
            continue;
        };
        for line in code(&path) {
            assert!(
                !line.contains("use crate::{"),
                "{}: one `use` a line",
                path.display()
            );
            for used in after_each(&line, "crate::") {
                if used != room && !uses.split_whitespace().any(|known| known == used) {
                    wrong.insert(format!("{room} uses {used}: {}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn arrows_inside_the_worker_point_down_too() {
    let mut above = BTreeSet::new();
    for (room, uses) in ROOMS_OF_WORKER {
        let down = uses.split_whitespace().all(|used| above.contains(used));
        assert!(down, "worker/{room} may only use what is named before it");
        above.insert(room);
    }
    let mut wrong = BTreeSet::new();
    for (path, _) in files().into_iter().filter(|(_, room)| room == "worker") {
        let room = room_in(&source().join("worker"), &path);
        if room == "mod" {
            // The door: what all share, and which op goes where.
            continue;
        }
        let known = ROOMS_OF_WORKER.iter().find(|known| known.0 == room);
        let (_, uses) = known.unwrap_or_else(|| panic!("worker/{room} is in no table"));
        for line in code(&path) {
            for used in after_each(&line, "crate::worker::") {
                let is_room = above.contains(used) && used != room;
                if is_room && !uses.split_whitespace().any(|known| known == used) {
                    wrong.insert(format!("{room} uses {used}: {}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn crates_stay_at_home() {
    let mut wrong = BTreeSet::new();
    for (path, room) in files() {
        for line in code(&path) {
            for (name, homes) in HOMES {
                let used = line.contains(&format!("use {name}::"))
                    || words(&line).any(|(before, word, after)| {
                        word == name && after.starts_with("::") && !before.ends_with("::")
                    });
                if used && !homes.split_whitespace().any(|home| home == room) {
                    wrong.insert(format!(
                        "{name} is not at home in {room}: {}",
                        path.display()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn unsafe_is_in_one_room() {
    for (path, room) in files() {
        let found = code(&path)
            .iter()
            .any(|line| words(line).any(|(_, word, _)| word == "unsafe"));
        assert!(!found || room == "sys", "unsafe in {}", path.display());
    }
}

#[test]
fn files_are_small() {
    let long: Vec<_> = files()
        .into_iter()
        .map(|(path, _)| (code(&path).len(), path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .collect();
    assert!(
        long.is_empty(),
        "over {LINES_MAX} lines without tests: {long:#?}"
    );
}

/// Gives every source file with the room it is in.
fn files() -> Vec<(PathBuf, String)> {
    let source = source();
    let mut found = Vec::new();
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the source") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|kind| kind != "rs") {
                // A table that a source file includes.
                continue;
            }
            let room = room_in(&source, &path);
            found.push((path, room));
        }
    }
    found.sort();
    found
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Names the room of `folder` that a file below it is in: a folder, or a file alone.
fn room_in(folder: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(folder).expect("it was found below");
    let first = inside.iter().next().expect("a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Gives the lines of a file up to its tests, without comments.
fn code(path: &Path) -> Vec<String> {
    if path.ends_with("tests.rs") {
        return Vec::new();
    }
    let text = fs::read_to_string(path).expect("a source file");
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    lines.filter(is_code).map(str::to_owned).collect()
}

/// Gives the word after each occurrence of `mark`.
fn after_each<'a>(line: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(mark).map(move |(at, _)| {
        let rest = &line[at + mark.len()..];
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        &rest[..end]
    })
}

/// Gives each word of a line with what stands before and after it.
fn words(line: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        start += line[start..].find(is_word)?;
        let end = line[start..]
            .find(|c: char| !is_word(c))
            .map_or(line.len(), |at| start + at);
        let found = (&line[..start], &line[start..end], &line[end..]);
        start = end;
        Some(found)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
