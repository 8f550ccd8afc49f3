//! Snapshots on disk. One suite of tests holds for every snapshotter.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use proptest::prelude::prop_assert_eq;
use proptest::test_runner::Config;
use proptest::test_runner::TestRunner;
use rbuild::layer;
use rbuild::layer::Below;
use rbuild::layer::ChangeKind;
use rbuild::layer::Compression;
use rbuild::layer::Extent;
use rbuild::layer::PackOptions;
use rbuild::layer::UnpackOptions;
use rbuild::snapshot;
use rbuild::snapshot::Copy;
use rbuild::snapshot::Overlay;
use rbuild::snapshot::SnapshotId;
use rbuild::snapshot::Snapshotter;
use rbuild::snapshot::Stack;
use rbuild::sys::MakeDirs;
use rbuild::sys::Owner;
use rbuild::sys::Root;
use rbuild::sys::Symlinks;
use rbuild::sys::Timestamp;

use crate::support::Feature;
use crate::support::random::repeatable;
use crate::support::require;
use crate::support::tree::Times;
use crate::support::tree::listing;
use crate::support::tree::perform;
use crate::support::tree::steps;

/// Runs a test with each snapshotter that this machine allows, on a store of its own.
fn with_each(test: impl Fn(&dyn Snapshotter, &Path)) {
    if !require(&[Feature::Root]) {
        return;
    }
    if require(&[Feature::Overlay]) {
        with_one(Overlay::open, &test);
    }
    with_one(Copy::open, &test);
}

fn with_one<S: Snapshotter>(
    open: impl Fn(&Path) -> snapshot::Result<S>,
    test: &impl Fn(&dyn Snapshotter, &Path),
) {
    let store = tempfile::tempdir().unwrap();
    let snapshots = open(store.path()).unwrap();
    test(&snapshots, store.path());
}

fn put(root: &Root, path: &str, content: &str) {
    let (dir, name) = root.parent(Path::new(path)).unwrap();
    dir.remove_all(&name).unwrap();
    dir.create_file(&name, 0o644)
        .unwrap()
        .write_all(content.as_bytes())
        .unwrap();
}

fn get(root: &Root, path: &str) -> Option<String> {
    let mut text = String::new();
    root.open_file(Path::new(path))
        .ok()?
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}

fn make_dir(root: &Root, path: &str) {
    let options = MakeDirs {
        mode: 0o755,
        owner: None,
        modified: None,
        symlinks: Symlinks::Refuse,
    };
    root.make_dirs(Path::new(path), &options).unwrap();
}

/// Commits what `change` does to the root file system of `chain`.
fn commit(snapshots: &dyn Snapshotter, chain: &[SnapshotId], change: impl Fn(&Root)) -> SnapshotId {
    let active = snapshots.prepare(chain).unwrap();
    let root = active.mount().unwrap();
    change(&root);
    drop(root);
    snapshots.commit(active, None).unwrap()
}

fn changes(
    snapshots: &dyn Snapshotter,
    id: &SnapshotId,
    chain: &[SnapshotId],
) -> Vec<(String, char)> {
    let (tree, below) = (
        snapshots.change_set(id).unwrap(),
        snapshots.view(chain).unwrap(),
    );
    let mut found = Vec::new();
    layer::changes(tree.root(), Below::Tree(below.root()), |change| {
        let path = String::from_utf8_lossy(change.path.as_os_str().as_bytes()).into_owned();
        let sign = match change.kind {
            ChangeKind::Written(_) => '+',
            ChangeKind::Linked(_) => '=',
            ChangeKind::Deleted => '-',
            ChangeKind::Emptied => '0',
        };
        found.push((path, sign));
        Ok(())
    })
    .unwrap();
    found
}

fn signs(expected: &str) -> Vec<(String, char)> {
    let sign = |word: &str| (word[1..].to_owned(), word.chars().next().unwrap());
    expected.split_whitespace().map(sign).collect()
}

#[test]
fn what_is_committed_is_seen_through_a_chain() {
    with_each(|snapshots, _| {
        let one = commit(snapshots, &[], |root| {
            make_dir(root, "dir");
            put(root, "dir/kept", "1");
            put(root, "dir/changed", "1");
            put(root, "dir/gone", "1");
        });
        let two = commit(snapshots, std::slice::from_ref(&one), |root| {
            put(root, "dir/changed", "2");
            root.remove_all(Path::new("dir/gone")).unwrap();
        });
        let chain = [one.clone(), two.clone()];
        let view = snapshots.view(&chain).unwrap();
        assert_eq!(get(view.root(), "dir/kept").unwrap(), "1");
        assert_eq!(get(view.root(), "dir/changed").unwrap(), "2");
        assert_eq!(get(view.root(), "dir/gone"), None);
        let below = snapshots.view(&chain[..1]).unwrap();
        assert_eq!(get(below.root(), "dir/gone").unwrap(), "1");
        assert_eq!(
            changes(snapshots, &two, &chain[..1]),
            signs("+dir +dir/changed -dir/gone")
        );
        assert_eq!(
            changes(snapshots, &one, &[]),
            signs("+dir +dir/changed +dir/gone +dir/kept")
        );
    });
}

#[test]
fn a_mounted_view_cannot_be_written() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    with_one(Overlay::open, &|snapshots, _| {
        let one = commit(snapshots, &[], |root| put(root, "a", "1"));
        let view = snapshots.view(&[one]).unwrap();
        let written = view.root().dir().create_file("b", 0o644);
        assert_eq!(
            written.unwrap_err().kind(),
            std::io::ErrorKind::ReadOnlyFilesystem
        );
    });
}

#[test]
fn a_chain_of_nothing_is_empty() {
    with_each(|snapshots, _| {
        let view = snapshots.view(&[]).unwrap();
        assert_eq!(
            listing(view.root().dir(), Times::Exact),
            Vec::<String>::new()
        );
        let nothing = commit(snapshots, &[], |_| {});
        assert_eq!(changes(snapshots, &nothing, &[]), []);
    });
}

#[test]
fn what_changes_nothing_is_not_mounted() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    with_one(Overlay::open, &|snapshots, _| {
        let below = commit(snapshots, &[], |root| put(root, "a", "a"));
        let mut chain = vec![below];
        for _ in 0..3 {
            chain.push(commit(snapshots, &chain, |_| {}));
        }
        chain.push(commit(snapshots, &chain, |root| {
            root.dir().set_mode(".", 0o700).unwrap();
        }));
        let active = snapshots.prepare(&chain).unwrap();
        let Stack::Overlay { lowers, .. } = active.stack() else {
            panic!("{active:?}");
        };
        assert_eq!(lowers.len(), 2, "{lowers:?}");
        let root = active.mount().unwrap();
        assert_eq!(get(&root, "a").unwrap(), "a");
        assert_eq!(root.dir().stat(".").unwrap().mode, 0o700);
    });
}

#[test]
fn only_what_differs_is_a_change() {
    with_each(|snapshots, _| {
        let base = commit(snapshots, &[], |root| {
            make_dir(root, "a/deep");
            put(root, "a/deep/file", "same");
            make_dir(root, "b");
            put(root, "b/one", "1");
            put(root, "b/two", "2");
        });
        let chain = [base];
        let reopened = commit(snapshots, &chain, |root| {
            // Opening for writing copies the file and its directories up.
            let (dir, name) = root.parent(Path::new("a/deep/file")).unwrap();
            dir.set_mode(&name, 0o600).unwrap();
            dir.set_mode(&name, 0o644).unwrap();
        });
        assert_eq!(changes(snapshots, &reopened, &chain), []);
        let recreated = commit(snapshots, &chain, |root| {
            root.remove_all(Path::new("b")).unwrap();
            make_dir(root, "b");
            put(root, "b/two", "2");
            put(root, "b/three", "3");
        });
        // The directory hides the one below; each file that it lacks is deleted by name.
        assert_eq!(
            changes(snapshots, &recreated, &chain),
            signs("+b -b/one +b/three +b/two")
        );
        let mode = commit(snapshots, &chain, |root| {
            root.dir().set_mode("b", 0o700).unwrap();
        });
        assert_eq!(changes(snapshots, &mode, &chain), signs("+b"));
    });
}

#[test]
fn a_whiteout_of_nothing_is_no_change() {
    with_each(|snapshots, _| {
        let passing = commit(snapshots, &[], |root| put(root, "x", "1"));
        let base = commit(snapshots, &[], |root| put(root, "y", "1"));
        let gone = commit(snapshots, &[base.clone(), passing], |root| {
            root.dir().remove_all("x").unwrap();
        });
        assert_eq!(changes(snapshots, &gone, &[base]), []);
    });
}

#[test]
fn a_layer_becomes_a_snapshot_and_the_same_layer_again() {
    with_each(|snapshots, _| {
        let base = commit(snapshots, &[], |root| {
            make_dir(root, "etc");
            put(root, "etc/passwd", "root");
            put(root, "old", "1");
        });
        let top = commit(snapshots, std::slice::from_ref(&base), |root| {
            put(root, "etc/group", "root");
            root.dir().remove_all("old").unwrap();
        });
        let options = PackOptions {
            clamp_epoch: Some(0),
            ..PackOptions::new(Compression::DEFAULT)
        };
        let below = snapshots.view(std::slice::from_ref(&base)).unwrap();
        let pack = |id: &SnapshotId| {
            let mut blob = Vec::new();
            let tree = snapshots.change_set(id).unwrap();
            let below = Below::Tree(below.root());
            let packed = layer::pack(tree.root(), below, &options, &mut blob).unwrap();
            (packed, blob)
        };
        let (packed, blob) = pack(&top);
        let active = snapshots.prepare(&[]).unwrap();
        let options = UnpackOptions::layer(Some(packed.diff_id));
        active.unpack(blob.as_slice(), &options).unwrap();
        let id = SnapshotId::new(packed.diff_id.0.hex()).unwrap();
        snapshots.commit(active, Some(id.clone())).unwrap();
        let view = snapshots.view(&[base.clone(), id.clone()]).unwrap();
        assert_eq!(get(view.root(), "etc/group").unwrap(), "root");
        assert_eq!(get(view.root(), "etc/passwd").unwrap(), "root");
        assert_eq!(get(view.root(), "old"), None);
        let (again, same_blob) = pack(&id);
        assert_eq!((again.diff_id, same_blob), (packed.diff_id, blob));
    });
}

#[test]
fn what_is_dropped_leaves_nothing() {
    with_each(|snapshots, store| {
        let count = || fs::read_dir(store).unwrap().count();
        drop(snapshots.prepare(&[]).unwrap());
        let before = count();
        let active = snapshots.prepare(&[]).unwrap();
        put(&active.mount().unwrap(), "x", "1");
        assert_eq!(count(), before + 1);
        assert_eq!(snapshots.prune().unwrap(), 0, "it is in use");
        drop(active);
        assert_eq!(count(), before);
        // A killed process drops nothing, but the kernel lets go of its locks.
        std::mem::forget(snapshots.prepare(&[]).unwrap());
        fs::create_dir_all(store.join(".tmp-dead/fs/x")).unwrap();
        assert_eq!(snapshots.prune().unwrap(), 1);
        assert_eq!(snapshots.list().unwrap(), []);
    });
}

#[test]
fn a_copy_that_waits_for_the_next_change_set_is_as_good_as_new() {
    let store = tempfile::tempdir().unwrap();
    let snapshots = Copy::open(store.path()).unwrap();
    let base = commit(&snapshots, &[], |root| {
        make_dir(root, "dir");
        put(root, "dir/one", "1");
        put(root, "dir/two", "2");
    });
    let mut chain = vec![base];
    // Each is made in the copy that the last was made in; files change in place, and at once.
    for turn in ["a", "b", "c"] {
        let next = commit(&snapshots, &chain, |root| {
            let old = get(root, "dir/one").unwrap();
            put(root, "dir/one", turn);
            assert_ne!(old, turn);
            put(root, &format!("dir/{turn}"), turn);
        });
        let wanted = format!("+dir +dir/{turn} +dir/one");
        let mut wanted = signs(&wanted);
        wanted.sort();
        assert_eq!(changes(&snapshots, &next, &chain), wanted);
        chain.push(next);
    }
    // A change that is given up is in no later one.
    let given_up = snapshots.prepare(&chain).unwrap();
    put(&given_up.mount().unwrap(), "dir/lost", "x");
    drop(given_up);
    let last = commit(&snapshots, &chain, |root| put(root, "dir/two", "3"));
    assert_eq!(changes(&snapshots, &last, &chain), signs("+dir +dir/two"));
    chain.push(last);
    let fresh = Copy::open(store.path()).unwrap();
    let seen =
        |snapshots: &Copy| listing(snapshots.view(&chain).unwrap().root().dir(), Times::Exact);
    assert_eq!(seen(&snapshots), seen(&fresh));
    drop((snapshots, fresh));
    let left = fs::read_dir(store.path()).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with(".tmp")).count(), 0);
}

#[test]
fn two_commits_of_one_name_are_one_snapshot() {
    with_each(|snapshots, _| {
        let id = SnapshotId::new("same").unwrap();
        for _ in 0..2 {
            let active = snapshots.prepare(&[]).unwrap();
            put(&active.mount().unwrap(), "x", "1");
            assert_eq!(snapshots.commit(active, Some(id.clone())).unwrap(), id);
        }
        assert_eq!(snapshots.list().unwrap(), std::slice::from_ref(&id));
        assert!(snapshots.exists(&id));
        assert_eq!(snapshots.prune().unwrap(), 0);
    });
}

#[test]
fn a_second_name_stands_for_the_snapshot_while_there_is_one() {
    with_each(|snapshots, _| {
        let id = commit(snapshots, &[], |root| put(root, "x", "1"));
        let name = SnapshotId::new("layer").unwrap();
        snapshots.alias(&id, &name).unwrap();
        snapshots.alias(&id, &name).unwrap();
        assert_eq!(snapshots.own_name(&name), Some(id.clone()));
        assert_eq!(snapshots.own_name(&id), Some(id.clone()));
        // Both names in one chain are one directory, which the kernel takes only once.
        let other = commit(snapshots, &[], |root| put(root, "x", "2"));
        let chain = [name.clone(), other, id.clone()];
        let view = snapshots.view(&chain).unwrap();
        assert_eq!(get(view.root(), "x").unwrap(), "1");
        let error = snapshots.remove(&id).unwrap_err();
        assert!(matches!(error, snapshot::Error::InUse { .. }), "{error}");
        drop(view);
        // A commit of the same layer keeps what is there.
        let again = || {
            let active = snapshots.prepare(&[]).unwrap();
            put(&active.mount().unwrap(), "x", "1");
            snapshots.commit(active, Some(name.clone())).unwrap()
        };
        again();
        assert_eq!(snapshots.own_name(&name), Some(id.clone()));
        snapshots.remove(&id).unwrap();
        assert!(!snapshots.exists(&name));
        assert_eq!(snapshots.own_name(&name), None);
        again();
        assert_eq!(snapshots.own_name(&name), Some(name.clone()));
    });
}

#[test]
fn pruning_removes_a_name_that_stands_for_nothing() {
    with_each(|snapshots, _| {
        let id = commit(snapshots, &[], |root| put(root, "x", "1"));
        let name = SnapshotId::new("layer").unwrap();
        snapshots.alias(&id, &name).unwrap();
        snapshots.remove(&name).unwrap();
        assert!(snapshots.exists(&id), "only the name is gone");
        snapshots.alias(&id, &name).unwrap();
        snapshots.remove(&id).unwrap();
        assert_eq!(snapshots.prune().unwrap(), 0);
        assert_eq!(snapshots.list().unwrap(), []);
    });
}

#[test]
fn what_is_in_use_is_not_removed() {
    with_each(|snapshots, _| {
        let id = commit(snapshots, &[], |root| put(root, "x", "1"));
        let chain = std::slice::from_ref(&id);
        let view = snapshots.view(chain).unwrap();
        let error = snapshots.remove(&id).unwrap_err();
        assert!(matches!(error, snapshot::Error::InUse { .. }), "{error}");
        drop(view);
        let active = snapshots.prepare(chain).unwrap();
        assert!(snapshots.remove(&id).is_err());
        drop(active);
        snapshots.remove(&id).unwrap();
        snapshots.remove(&id).unwrap();
        assert!(!snapshots.exists(&id));
        let error = snapshots.prepare(chain).unwrap_err();
        assert!(matches!(error, snapshot::Error::Missing { .. }), "{error}");
    });
}

/// Above a height, overlayfs mounts the lower part of a chain once for many.
#[test]
fn a_high_chain_is_seen_as_its_snapshots_say() {
    with_each(|snapshots, _| {
        let mut chain = Vec::new();
        for height in 0..120 {
            let id = commit(snapshots, &chain, |root| {
                put(root, "top", &height.to_string());
                put(root, &format!("file-{height}"), "");
                root.remove_all(Path::new(&format!("file-{}", height - 40)))
                    .unwrap();
            });
            chain.push(id);
        }
        for height in [119, 30, 31, 32, 63, 64, 65, 79, 80, 81, 95, 96, 97, 118] {
            let view = snapshots.view(&chain[..=height]).unwrap();
            assert_eq!(get(view.root(), "top"), Some(height.to_string()));
            let seen = |at: &usize| get(view.root(), &format!("file-{at}")).is_some();
            let expected: Vec<usize> = (0..=height).filter(|at| at + 40 > height).collect();
            assert_eq!((0..120).filter(seen).collect::<Vec<_>>(), expected);
            let in_use = snapshots.remove(&chain[height]).unwrap_err();
            assert!(matches!(in_use, snapshot::Error::InUse { .. }));
        }
        for id in &chain {
            snapshots.remove(id).unwrap();
        }
    });
}

#[test]
fn a_directory_that_a_layer_implies_keeps_its_metadata() {
    with_each(|snapshots, _| {
        let base = commit(snapshots, &[], |root| {
            make_dir(root, "tmp/deep");
            root.dir().set_mode("tmp", 0o1777).unwrap();
            let deep = root.open_dir(Path::new("tmp/deep")).unwrap();
            deep.set_owner(".", Owner { uid: 5, gid: 6 }).unwrap();
            deep.set_modified(
                ".",
                Timestamp {
                    seconds: 1000,
                    nanoseconds: 1,
                },
            )
            .unwrap();
        });
        let tar = tar_of(&["tmp/deep/new/file", "other/file"]);
        let active = snapshots.prepare(&[]).unwrap();
        let unpacked = active
            .unpack(tar.as_slice(), &UnpackOptions::layer(None))
            .unwrap();
        assert_eq!(unpacked.implied.len(), 4);
        let top = snapshots.commit(active, None).unwrap();
        let chain = [base.clone(), top.clone()];
        let seen = |root: &Root, path: &str| {
            let stat = root.stat(Path::new(path)).unwrap();
            (stat.mode, stat.owner.uid)
        };
        let check = |root: &Root| {
            assert_eq!(seen(root, "tmp"), (0o1777, 0));
            assert_eq!(seen(root, "tmp/deep"), (0o755, 5));
            assert_eq!(seen(root, "tmp/deep/new"), (0o755, 0));
            assert_eq!(seen(root, "other"), (0o755, 0));
            assert_eq!(seen(root, "tmp/deep/new/file"), (0o600, 0));
            let deep = root.stat(Path::new("tmp/deep")).unwrap();
            assert_eq!(
                deep.modified,
                Timestamp {
                    seconds: 1000,
                    nanoseconds: 1
                }
            );
        };
        check(snapshots.view(&chain).unwrap().root());
        let active = snapshots.prepare(&chain).unwrap();
        let root = active.mount().unwrap();
        check(&root);
        root.open_dir(Path::new("tmp"))
            .unwrap()
            .create_file("later", 0o644)
            .unwrap();
        drop(root);
        let later = snapshots.commit(active, None).unwrap();
        assert_eq!(changes(snapshots, &later, &chain), signs("+tmp +tmp/later"));
        check(snapshots.view(&[base, top, later]).unwrap().root());
    });
}

/// A tar of empty files without the directories they are in.
fn tar_of(paths: &[&str]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for path in paths {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        tar.append_data(&mut header, path, std::io::empty())
            .unwrap();
    }
    tar.into_inner().unwrap()
}

/// Any change of any tree is seen the same through the snapshot it was made as, and through the
/// one unpacked from its layer.
#[test]
fn a_change_set_as_a_layer_is_the_same_change() {
    with_each(|snapshots, _| {
        let mut runner = TestRunner::new(Config {
            cases: 60,
            ..repeatable()
        });
        let all = (steps(12), steps(6), steps(12));
        let result = runner.run(&all, |(one, two, three)| {
            let mut chain = Vec::new();
            for steps in [&one, &two] {
                let id = commit(snapshots, &chain, |root| perform(root, steps));
                chain.push(id);
            }
            let top = commit(snapshots, &chain, |root| perform(root, &three));
            let (again, extent) = through_a_layer(snapshots, &top, &chain);
            let seen = |chain: &[SnapshotId], top: &SnapshotId| {
                let chain = [chain, std::slice::from_ref(top)].concat();
                listing(snapshots.view(&chain).unwrap().root().dir(), Times::Seconds)
            };
            let (expected, found) = (seen(&chain, &top), seen(&chain, &again));
            prop_assert_eq!(told_by_layers(&found), told_by_layers(&expected));
            // Packed again, it is the same layer.
            let (last, _) = through_a_layer(snapshots, &again, &chain);
            let last = seen(&chain, &last);
            prop_assert_eq!(told_by_layers(&last), told_by_layers(&found));
            if extent == Extent::Whole {
                // Upon anything else, too.
                for below in [&[], &chain[..1], &chain[1..]] {
                    prop_assert_eq!(seen(below, &again), seen(below, &top));
                }
            }
            Ok(())
        });
        result.unwrap();
    });
}

/// Names of one file, one changed and one as below, may come apart: overlayfs itself takes them
/// for two files as soon as one is written. And a directory of which only the time changed is not
/// in a layer.
fn told_by_layers(lines: &[String]) -> Vec<String> {
    const TIME: usize = 5;
    let told = |line: &String| {
        let line = line.split(" = ").next().unwrap_or(line);
        let words = line.split(' ').enumerate();
        let is_dir = line.split(' ').nth(1) == Some("Directory");
        let told = words.filter(|(index, _)| !(is_dir && *index == TIME));
        told.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
    };
    lines.iter().map(told).collect()
}

/// Packs a change set and unpacks the layer.
fn through_a_layer(
    snapshots: &dyn Snapshotter,
    id: &SnapshotId,
    chain: &[SnapshotId],
) -> (SnapshotId, Extent) {
    let options = PackOptions::new(Compression::None);
    let (tree, below) = (
        snapshots.change_set(id).unwrap(),
        snapshots.view(chain).unwrap(),
    );
    let mut blob = Vec::new();
    let packed = layer::pack(tree.root(), Below::Tree(below.root()), &options, &mut blob).unwrap();
    let active = snapshots.prepare(&[]).unwrap();
    active
        .unpack(blob.as_slice(), &UnpackOptions::layer(None))
        .unwrap();
    (snapshots.commit(active, None).unwrap(), packed.extent)
}
