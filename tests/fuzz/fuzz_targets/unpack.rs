//! Unpacks whatever bytes: no panic, nothing touched outside the target, nothing above the limits.
//!
//! The first byte says how. Run it as root, or it gets no further than the first `chown`, and one
//! process at a time: the folder it works in has a fixed name, so that an archive can name it.

#![no_main]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rbuild::layer::Content;
use rbuild::layer::UnpackOptions;
use rbuild::layer::is_archive;
use rbuild::layer::unpack;
use rbuild::sys::Owner;
use rbuild::sys::Root;

const ENTRIES_MAX: u64 = 64;
const BYTES_MAX: u64 = 1 << 20;
/// What a file takes up beyond its length.
const PAGE: u64 = 4096;

const BLOCK: usize = 512;

fuzz_target!(|data: &[u8]| {
    let Some((&how, data)) = data.split_first() else {
        return;
    };
    let mut blob = data.to_vec();
    if how & 1 == 0 {
        seal(&mut blob);
    }
    let owner = (how & 4 != 0).then_some(Owner { uid: 7, gid: 8 });
    let content = match how & 2 {
        0 => Content::Layer,
        _ => Content::Archive { owner },
    };
    let options = UnpackOptions {
        content,
        entries_max: ENTRIES_MAX,
        bytes_max: BYTES_MAX,
        ..UnpackOptions::layer(None)
    };
    let _ = is_archive(blob.as_slice());
    let target = HOUSE.empty_target();
    let unpacked = unpack(blob.as_slice(), &target, &options);
    HOUSE.check_outside();
    let files = files(&HOUSE.path.join("target"));
    let taken: u64 = files.iter().map(|file| file.taken).sum();
    assert!(
        taken <= BYTES_MAX + PAGE * files.len() as u64,
        "{taken} bytes taken"
    );
    match unpacked {
        Ok(unpacked) => {
            assert!(unpacked.diff_size <= BYTES_MAX);
            assert!(files.len() as u64 <= ENTRIES_MAX + unpacked.implied.len() as u64);
        }
        Err(error) => drop(error.to_string()),
    }
});

/// Makes the headers' checksums right, which no fuzzer guesses.
fn seal(tar: &mut [u8]) {
    let mut at = 0_usize;
    while let Some(header) = tar.get_mut(at..at.saturating_add(BLOCK)) {
        at += BLOCK;
        if header.iter().all(|byte| *byte == 0) {
            continue;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        if matches!(header[156], b'0' | 0 | b'7' | b'x' | b'g' | b'K' | b'L') {
            let size = str::from_utf8(&header[124..136]).unwrap_or_default();
            let size = size.trim_matches(['\0', ' ']);
            let size = usize::from_str_radix(size, 8).unwrap_or(0);
            at = at.saturating_add(size.next_multiple_of(BLOCK));
        }
    }
}

static HOUSE: LazyLock<House> = LazyLock::new(House::new);

/// A folder with the `target` and, beside it, `outside`: what no archive may reach.
struct House {
    path: PathBuf,
    root: Root,
    outside: Vec<Found>,
}

impl House {
    fn new() -> Self {
        let path = std::env::temp_dir().join("rbuild-fuzz");
        let _ = fs::remove_dir_all(&path);
        let outside = path.join("outside");
        fs::create_dir_all(outside.join("dir")).expect("a folder can be made");
        for file in ["file", "dir/file"] {
            fs::write(outside.join(file), file).expect("a file can be written");
        }
        std::os::unix::fs::symlink("dir", outside.join("link")).expect("a link can be made");
        let root = Root::open(&path).expect("the folder can be opened");
        let outside = files(&outside);
        Self {
            path,
            root,
            outside,
        }
    }

    fn empty_target(&self) -> Root {
        self.root
            .remove_all(Path::new("target"))
            .expect("the target can be removed");
        let target = self.path.join("target");
        fs::create_dir(&target).expect("the target can be made");
        Root::open(&target).expect("the target can be opened")
    }

    fn check_outside(&self) {
        assert_eq!(files(&self.path.join("outside")), self.outside);
        let beside = fs::read_dir(&self.path).expect("the folder can be read");
        assert_eq!(beside.count(), 2, "something was made beside the target");
        let target = self.path.join("target").symlink_metadata();
        let target = target.expect("the target is there");
        assert!(target.is_dir() && target.uid() == self.root_uid());
    }

    fn root_uid(&self) -> u32 {
        self.outside[0].owner.0
    }
}

/// All that can be seen of a file.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    path: PathBuf,
    inode: u64,
    links: u64,
    mode: u32,
    owner: (u32, u32),
    length: u64,
    modified: (i64, i64),
    /// Any change at all changes this.
    changed: (i64, i64),
    taken: u64,
}

/// The files below a directory.
fn files(dir: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        // A path may be too long to be read, which takes a path that is longer to be made.
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("the directory can be read").path();
            let Ok(stat) = path.symlink_metadata() else {
                continue;
            };
            if stat.is_dir() {
                left.push(path.clone());
            }
            found.push(Found {
                path,
                inode: stat.ino(),
                links: stat.nlink(),
                mode: stat.mode(),
                owner: (stat.uid(), stat.gid()),
                length: stat.len(),
                modified: (stat.mtime(), stat.mtime_nsec()),
                changed: (stat.ctime(), stat.ctime_nsec()),
                taken: if stat.is_file() {
                    stat.blocks() * 512 / stat.nlink()
                } else {
                    0
                },
            });
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}
