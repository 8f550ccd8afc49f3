//! The cache: one suite for every backend, the files of the local one, and the stat index.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use rbuild::cache::Cache;
use rbuild::cache::CacheKey;
use rbuild::cache::Component;
use rbuild::cache::ContentDigest;
use rbuild::cache::Damaged;
use rbuild::cache::FileStamp;
use rbuild::cache::Local;
use rbuild::cache::Record;
use rbuild::cache::StatIndex;
use rbuild::graph::MkdirOp;
use rbuild::graph::Op;
use rbuild::snapshot::SnapshotId;

use crate::support::memory::Memory;
use crate::support::worker::layer;

fn key(name: &str) -> CacheKey {
    let op = Op::Mkdir(MkdirOp {
        path: name.to_owned(),
        owner: String::new(),
    });
    CacheKey::of_op(&op, &[])
}

fn snapshot(name: &str) -> SnapshotId {
    SnapshotId::new(name).unwrap()
}

fn record(name: &str) -> Record {
    Record {
        change_set: snapshot(name),
        content: Some(ContentDigest::of(name.as_bytes())),
        times: Some(ContentDigest::of(b"times")),
        base: Some(key("base")),
        components: vec![Component {
            name: "args".to_owned(),
            value: "[/bin/sh, -c, printf '\"ä\\n\"']".to_owned(),
        }],
        facts: vec![("ETag".to_owned(), "\"x\"".to_owned())],
    }
}

/// What every backend must do.
fn check_contract(cache: &impl Cache) {
    assert_eq!(cache.get(&key("a")).unwrap(), None);
    cache.put(&key("a"), &record("one")).unwrap();
    let bare = Record {
        content: None,
        times: None,
        base: None,
        components: Vec::new(),
        facts: Vec::new(),
        ..record("two")
    };
    cache.put(&key("b"), &bare).unwrap();
    assert_eq!(cache.get(&key("a")).unwrap(), Some(record("one")));
    assert_eq!(cache.get(&key("b")).unwrap(), Some(bare));
    cache.put(&key("a"), &record("three")).unwrap();
    assert_eq!(cache.get(&key("a")).unwrap(), Some(record("three")));

    let one = snapshot("one");
    assert_eq!(cache.layer(&one, "gzip").unwrap(), None);
    cache.put_layer(&one, "gzip", &layer("one.gz")).unwrap();
    cache.put_layer(&one, "zstd", &layer("one.zst")).unwrap();
    cache
        .put_layer(&snapshot("two"), "gzip", &layer("two.gz"))
        .unwrap();
    assert_eq!(cache.layer(&one, "gzip").unwrap(), Some(layer("one.gz")));
    assert_eq!(cache.layer(&one, "zstd").unwrap(), Some(layer("one.zst")));
    assert_eq!(cache.layer(&one, "").unwrap(), None);
}

#[test]
fn the_local_cache_keeps_the_contract() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("not/there/yet");
    check_contract(&Local::open(&root, SystemTime::now()));
    // Another process sees the same.
    let other = Local::open(&root, SystemTime::now());
    assert_eq!(other.get(&key("a")).unwrap(), Some(record("three")));
}

#[test]
fn a_cache_in_memory_keeps_the_contract() {
    check_contract(&Memory::default());
}

#[test]
fn asking_an_empty_cache_makes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("cache");
    let cache = Local::open(&root, SystemTime::now());
    assert_eq!(cache.get(&key("a")).unwrap(), None);
    assert_eq!(cache.list().unwrap().len(), 0);
    assert_eq!(cache.sweep(|_| true, Damaged::Goes).unwrap(), 0);
    cache.remove(&key("a")).unwrap();
    assert!(!root.exists());
}

/// Gives the one file below a folder.
fn only_file(folder: &Path) -> PathBuf {
    let mut path = folder.to_owned();
    while path.is_dir() {
        let mut entries = fs::read_dir(&path).unwrap();
        let entry = entries.next().unwrap().unwrap();
        assert!(entries.next().is_none());
        path = entry.path();
    }
    path
}

#[test]
fn a_damaged_record_is_none_wherever_it_is_damaged() {
    let home = tempfile::tempdir().unwrap();
    let cache = Local::open(home.path(), SystemTime::now());
    cache.put(&key("a"), &record("one")).unwrap();
    let path = only_file(&home.path().join("records"));
    let whole = fs::read(&path).unwrap();
    for position in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x20;
        fs::write(&path, &damaged).unwrap();
        assert_eq!(cache.get(&key("a")).unwrap(), None, "byte {position}");
        fs::write(&path, &whole[..position]).unwrap();
        assert_eq!(cache.get(&key("a")).unwrap(), None, "torn at {position}");
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert_eq!(cache.get(&key("a")).unwrap(), None);
    assert_eq!(cache.list().unwrap().len(), 0);
    // It is replaced, or swept away.
    cache.put(&key("a"), &record("one")).unwrap();
    assert_eq!(cache.get(&key("a")).unwrap(), Some(record("one")));
    fs::write(&path, "").unwrap();
    cache.sweep(|_| true, Damaged::Goes).unwrap();
    assert!(!path.exists());
}

#[test]
fn a_record_of_another_version_is_none() {
    let home = tempfile::tempdir().unwrap();
    let cache = Local::open(home.path(), SystemTime::now());
    cache.put(&key("a"), &record("one")).unwrap();
    let path = only_file(&home.path().join("records"));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("rbuild-cache-1", "rbuild-cache-2", 1)).unwrap();
    assert_eq!(cache.get(&key("a")).unwrap(), None);
}

#[test]
fn a_failure_to_read_names_the_file() {
    let home = tempfile::tempdir().unwrap();
    let cache = Local::open(home.path(), SystemTime::now());
    cache.put(&key("a"), &record("one")).unwrap();
    let path = only_file(&home.path().join("records"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = cache.get(&key("a")).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read {}", path.display()));
    let error = cache.put(&key("a"), &record("one")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot write {}", path.display())
    );
    // What was begun is not left behind.
    let shelf = fs::read_dir(path.parent().unwrap()).unwrap();
    assert_eq!(shelf.count(), 1);
}

#[test]
fn many_writers_and_readers_see_whole_records_only() {
    let home = tempfile::tempdir().unwrap();
    let records: Vec<Record> = (0..4).map(|number| record(&format!("r{number}"))).collect();
    std::thread::scope(|scope| {
        for mine in &records {
            scope.spawn(|| {
                let cache = Local::open(home.path(), SystemTime::now());
                for _ in 0..200 {
                    cache.put(&key("a"), mine).unwrap();
                    let seen = cache.get(&key("a")).unwrap().unwrap();
                    assert!(records.contains(&seen));
                }
            });
        }
    });
    only_file(&home.path().join("records"));
}

#[test]
fn what_is_of_use_is_known_by_its_time() {
    let home = tempfile::tempdir().unwrap();
    let written = SystemTime::now();
    let cache = Local::open(home.path(), written);
    cache.put(&key("a"), &record("one")).unwrap();
    cache.put(&key("b"), &record("two")).unwrap();
    let later = written + Duration::from_secs(7200);
    let cache = Local::open(home.path(), later);
    cache.get(&key("b")).unwrap();
    let mut entries = cache.list().unwrap();
    entries.sort_by_key(|entry| entry.used);
    assert_eq!(entries.len(), 2);
    assert_eq!(
        (entries[0].key, &entries[0].record),
        (key("a"), &record("one"))
    );
    assert!(entries[0].used < later);
    assert_eq!((entries[1].key, entries[1].used), (key("b"), later));
    assert!(entries[1].size_bytes > 100);
    cache.remove(&key("a")).unwrap();
    cache.remove(&key("a")).unwrap();
    assert_eq!(cache.get(&key("a")).unwrap(), None);
    assert_eq!(cache.list().unwrap().len(), 1);
}

#[test]
fn a_sweep_forgets_layers_of_lost_change_sets_and_old_leftovers() {
    let home = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let cache = Local::open(home.path(), now);
    cache.put(&key("a"), &record("one")).unwrap();
    cache
        .put_layer(&snapshot("one"), "gzip", &layer("1"))
        .unwrap();
    cache
        .put_layer(&snapshot("two"), "gzip", &layer("2"))
        .unwrap();
    let shelf = only_file(&home.path().join("records"));
    let leftover = shelf.parent().unwrap().join(".1-1");
    fs::write(&leftover, "half").unwrap();
    assert!(
        cache
            .sweep(|id| id.as_str() == "one", Damaged::Goes)
            .unwrap()
            > 0
    );
    assert!(leftover.exists(), "it may be a file that is being written");
    assert_eq!(
        cache.layer(&snapshot("one"), "gzip").unwrap(),
        Some(layer("1"))
    );
    assert_eq!(cache.layer(&snapshot("two"), "gzip").unwrap(), None);
    let tomorrow = Local::open(home.path(), now + Duration::from_secs(2 * 24 * 3600));
    assert_eq!(tomorrow.sweep(|_| true, Damaged::Goes).unwrap(), 4);
    assert!(!leftover.exists());
    assert_eq!(tomorrow.get(&key("a")).unwrap(), Some(record("one")));
}

fn stamp(path: &Path) -> FileStamp {
    let metadata = fs::metadata(path).unwrap();
    FileStamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size_bytes: metadata.size(),
        modified: (
            metadata.mtime(),
            u32::try_from(metadata.mtime_nsec()).unwrap(),
        ),
        changed: (
            metadata.ctime(),
            u32::try_from(metadata.ctime_nsec()).unwrap(),
        ),
    }
}

/// A folder for indexes and one with files that are older than any clock's tick.
fn files(names: &[&str]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let home = tempfile::tempdir().unwrap();
    let paths = names.iter().map(|name| home.path().join(name));
    let paths: Vec<PathBuf> = paths.collect();
    for path in &paths {
        fs::write(path, path.to_str().unwrap()).unwrap();
    }
    std::thread::sleep(Duration::from_millis(50));
    (home, paths)
}

/// Asks for a file, reads it if it must be, and says whether it was known.
fn ask(index: &StatIndex, path: &Path) -> bool {
    let stamp = stamp(path);
    let known = index.get(&stamp);
    let digest = ContentDigest::of(&fs::read(path).unwrap());
    if known.is_none() {
        index.insert(&stamp, &digest);
    }
    assert!(known.is_none_or(|known| known == digest));
    known.is_some()
}

#[test]
fn an_index_knows_files_that_have_not_changed() {
    let (home, paths) = files(&["a", "b", "c"]);
    let folder = home.path().join("stat");
    let index = StatIndex::open(&folder, "/context");
    assert!(paths.iter().all(|path| !ask(&index, path)));
    assert!(paths.iter().all(|path| ask(&index, path)));
    index.save().unwrap();
    let index = StatIndex::open(&folder, "/context");
    assert!(paths.iter().all(|path| ask(&index, path)));
    // Nothing is new, so nothing is written.
    fs::remove_dir_all(&folder).unwrap();
    index.save().unwrap();
    assert!(!folder.exists());
    let other = StatIndex::open(&folder, "/other");
    assert!(!ask(&other, &paths[0]));
}

#[test]
fn an_index_forgets_the_old_state_of_a_changed_file() {
    let (home, paths) = files(&["a", "b"]);
    let folder = home.path().join("stat");
    let index = StatIndex::open(&folder, "");
    assert!(paths.iter().all(|path| !ask(&index, path)));
    index.save().unwrap();
    let size = fs::metadata(only_file(&folder)).unwrap().len();
    fs::write(&paths[0], "changed").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let index = StatIndex::open(&folder, "");
    assert!(!ask(&index, &paths[0]));
    index.save().unwrap();
    assert_eq!(fs::metadata(only_file(&folder)).unwrap().len(), size);
    let index = StatIndex::open(&folder, "");
    assert!(paths.iter().all(|path| ask(&index, path)));
}

#[test]
fn a_file_that_was_just_written_is_read_again() {
    let (home, paths) = files(&["a"]);
    let folder = home.path().join("stat");
    // However long this takes, no tick of the clock lies between the change and the reading.
    let now = stamp(&paths[0]);
    let just_written = FileStamp {
        changed: (now.changed.0 + 3600, 1),
        ..now
    };
    for _ in 0..2 {
        let index = StatIndex::open(&folder, "");
        assert_eq!(index.get(&just_written), None);
        index.insert(&just_written, &ContentDigest::of(b"new"));
        index.save().unwrap();
    }
}

#[test]
fn whole_seconds_are_trusted_later() {
    let (home, paths) = files(&["a"]);
    let folder = home.path().join("stat");
    let is_kept = |changed: i64| {
        let stamp = FileStamp {
            changed: (changed, 0),
            ..stamp(&paths[0])
        };
        let index = StatIndex::open(&folder, "");
        assert_eq!(index.get(&stamp), None);
        index.insert(&stamp, &ContentDigest::of(b""));
        index.save().unwrap();
        StatIndex::open(&folder, "").get(&stamp).is_some()
    };
    for (age, is_trusted) in [(0, false), (1, false), (10, true)] {
        // A second that ends meanwhile makes the file older than was meant.
        let kept = loop {
            let now = seconds();
            let kept = is_kept(now - age);
            if seconds() == now {
                break kept;
            }
        };
        assert_eq!(kept, is_trusted, "{age}");
    }
}

/// The time in whole seconds.
fn seconds() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_secs()).unwrap()
}

#[test]
fn a_damaged_index_knows_nothing() {
    let (home, paths) = files(&["a", "b"]);
    let folder = home.path().join("stat");
    let index = StatIndex::open(&folder, "");
    assert!(paths.iter().all(|path| !ask(&index, path)));
    index.save().unwrap();
    let path = only_file(&folder);
    let whole = fs::read(&path).unwrap();
    for position in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[position] ^= 1;
        fs::write(&path, &damaged).unwrap();
        let index = StatIndex::open(&folder, "");
        assert_eq!(index.get(&stamp(&paths[0])), None, "byte {position}");
        fs::write(&path, &whole[..position]).unwrap();
        let index = StatIndex::open(&folder, "");
        assert_eq!(index.get(&stamp(&paths[0])), None, "torn at {position}");
    }
    let index = StatIndex::open(&folder, "");
    assert!(!ask(&index, &paths[0]));
    index.save().unwrap();
    assert!(ask(&StatIndex::open(&folder, ""), &paths[0]));
}

#[test]
fn an_index_is_not_kept_full_of_files_that_nobody_asks_for() {
    let (home, paths) = files(&["a"]);
    let folder = home.path().join("stat");
    let digest = ContentDigest::of(b"");
    let index = StatIndex::open(&folder, "");
    for inode in 0..50_000 {
        let stamp = FileStamp {
            inode: 1 << 40 | inode,
            ..stamp(&paths[0])
        };
        index.get(&stamp);
        index.insert(&stamp, &digest);
    }
    index.save().unwrap();
    assert!(fs::metadata(only_file(&folder)).unwrap().len() > 50_000 * 80);
    let index = StatIndex::open(&folder, "");
    assert!(!ask(&index, &paths[0]));
    index.save().unwrap();
    assert!(fs::metadata(only_file(&folder)).unwrap().len() < 1000);
    assert!(ask(&StatIndex::open(&folder, ""), &paths[0]));
}
