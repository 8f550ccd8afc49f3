//! The store: blobs, names, locks, pruning, and what is left after bad luck.

use std::error::Error as _;
use std::fs;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use rbuild::oci::Descriptor;
use rbuild::oci::DiffId;
use rbuild::oci::Digest;
use rbuild::oci::Image;
use rbuild::oci::ImageConfig;
use rbuild::oci::Index;
use rbuild::oci::Layer;
use rbuild::oci::Platform;
use rbuild::oci::Reference;
use rbuild::oci::media_type;
use rbuild::store::DOCUMENT_LIMIT_BYTES;
use rbuild::store::Error;
use rbuild::store::Store;
use rustix::fs::CWD;
use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::mknodat;
use tempfile::TempDir;

use crate::support::home::Home;
use crate::support::home::succeed;
use crate::support::wait::is_awaited;
use crate::support::wait::wait_until;

fn open() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("root")).unwrap();
    (folder, store)
}

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

/// Stores an image of one layer and gives its descriptor.
fn put_image(store: &Store, content: &str) -> Descriptor {
    let blob = store.put(media_type::LAYER, content.as_bytes()).unwrap();
    let layer = Layer {
        diff_id: DiffId(blob.digest),
        blob,
    };
    let image = Image::assemble(ImageConfig::scratch(&Platform::host()), vec![layer]);
    store.put(media_type::CONFIG, &image.config).unwrap();
    store.put(media_type::MANIFEST, &image.manifest).unwrap();
    image.descriptor
}

fn files_in(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn what_is_written_is_read() {
    let (_folder, store) = open();
    let mut writer = store.writer().unwrap();
    writer.write_all(b"some ").unwrap();
    writer.write_all(b"bytes").unwrap();
    let blob = writer.commit(media_type::LAYER).unwrap();
    assert_eq!(blob, Descriptor::of(media_type::LAYER, b"some bytes"));
    assert!(store.contains(&blob));
    let mut reader = store.open_blob(&blob).unwrap();
    let mut one = [0; 1];
    let mut all = Vec::new();
    while reader.read(&mut one).unwrap() == 1 {
        all.push(one[0]);
    }
    assert_eq!(all, b"some bytes");
    assert_eq!(files_in(&store.root().join("tmp")), 0);
    let empty = store.put(media_type::LAYER, b"").unwrap();
    store.open_blob(&empty).unwrap().finish().unwrap();
}

#[test]
fn a_blob_that_is_not_the_expected_one_never_appears() {
    let (_folder, store) = open();
    let expected = Descriptor::of(media_type::LAYER, b"good");
    for (bytes, is_size) in [("evil", false), ("goo", true), ("goods", true)] {
        let mut writer = store.writer().unwrap();
        writer.write_all(bytes.as_bytes()).unwrap();
        match writer.commit_as(&expected).unwrap_err() {
            Error::BlobSize { actual, .. } if is_size => assert_eq!(actual, bytes.len() as u64),
            Error::BlobDigest { .. } if !is_size => {}
            other => panic!("{bytes}: {other}"),
        }
        assert!(!store.contains(&expected));
    }
    assert_eq!(files_in(&store.root().join("tmp")), 0);
    let missing = store.open_blob(&expected).unwrap_err();
    assert!(matches!(missing, Error::BlobMissing { .. }), "{missing}");
}

#[test]
fn damage_is_noticed_and_moved_out_of_the_way() {
    let (_folder, store) = open();
    let blob = store.put(media_type::LAYER, b"0123456789").unwrap();
    fs::write(store.blob_path(&blob.digest), b"012345678X").unwrap();
    let error = store.open_blob(&blob).unwrap().finish().unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    assert!(!store.contains(&blob));
    assert_eq!(store.put(media_type::LAYER, b"0123456789").unwrap(), blob);
    assert_eq!(store.read(&blob.digest).unwrap(), b"0123456789");
    fs::write(store.blob_path(&blob.digest), b"01234").unwrap();
    let error = store.open_blob(&blob).unwrap_err();
    assert!(
        matches!(error, Error::BlobSize { actual: 5, .. }),
        "{error}"
    );
}

#[test]
fn a_document_has_a_limit() {
    let (_folder, store) = open();
    let length = usize::try_from(DOCUMENT_LIMIT_BYTES).unwrap() + 1;
    let large = store.put(media_type::LAYER, &vec![b' '; length]).unwrap();
    let error = store.read(&large.digest).unwrap_err();
    assert!(matches!(error, Error::BlobLimit { .. }), "{error}");
}

#[test]
fn images_are_found_by_name_digest_and_id() {
    let (_folder, store) = open();
    let first = put_image(&store, "first");
    let second = put_image(&store, "second");
    store.tag(&name("app:1"), &first).unwrap();
    store.tag(&name("app:2"), &second).unwrap();
    store.tag(&name("app:latest"), &first).unwrap();
    store.tag(&name("app:latest"), &second).unwrap();
    let host = Platform::host();
    let image = store.image(&name("app"), &host).unwrap().unwrap();
    assert_eq!(image.descriptor.digest, second.digest);
    assert_eq!(image.manifest.layers[0].digest, Digest::of(b"second"));
    let pinned = name("elsewhere/x").with_digest(first.digest);
    assert_eq!(
        store.find(&pinned).unwrap().unwrap().media_type,
        media_type::MANIFEST
    );
    assert_eq!(store.find(&name("other")).unwrap(), None);
    assert_eq!(store.image(&name("other"), &host).unwrap(), None);
    let id = image.manifest.config.digest;
    assert_eq!(store.find_id(&id.hex()[..12]).unwrap().len(), 2);
    assert_eq!(store.find_id(&first.digest.to_string()).unwrap().len(), 1);
    assert!(store.find_id("").unwrap().is_empty());
    assert_eq!(
        store.untag(&name("app:1")).unwrap().unwrap().digest,
        first.digest
    );
    assert_eq!(store.untag(&name("app:1")).unwrap(), None);
    assert_eq!(store.images().unwrap().len(), 2);
}

#[test]
fn an_ambiguous_id_names_the_candidates() {
    let (_folder, store) = open();
    let mut by_digit = std::collections::BTreeMap::new();
    for number in 0.. {
        let image = put_image(&store, &number.to_string());
        store.tag(&name(&format!("app:{number}")), &image).unwrap();
        let digit = image.digest.hex()[..1].to_owned();
        if let Some(other) = by_digit.insert(digit.clone(), image.clone()) {
            let error = store.find_id(&digit).unwrap_err().to_string();
            assert!(error.contains(&other.digest.hex()), "{error}");
            assert!(error.contains(&image.digest.hex()), "{error}");
            return;
        }
    }
}

#[test]
fn an_id_is_first_that_of_the_image_itself() {
    let (_folder, store) = open();
    let [one, two, three] = ["one", "two", "three"].map(|content| put_image(&store, content));
    let index = |tag: &str, images: Vec<Descriptor>| {
        let index = Index::new(images).to_bytes();
        let index = store.put(media_type::INDEX, &index).unwrap();
        store.tag(&name(tag), &index).unwrap();
    };
    index("multi:1", vec![one.clone(), two.clone()]);
    index("multi:2", vec![two.clone(), three]);
    store.tag(&name("app:1"), &one).unwrap();
    store.tag(&name("app:2"), &one).unwrap();
    let found = |id: &str| {
        let found = store.find_id(id).unwrap().into_iter();
        let names: Vec<String> = found.map(|one| one.name.unwrap().familiar()).collect();
        names
    };
    let image = store.image(&name("app:1"), &Platform::host());
    let config = image.unwrap().unwrap().manifest.config.digest;
    for id in [one.digest, config] {
        assert_eq!(found(&id.to_string()), ["app:1", "app:2"]);
        assert_eq!(found(&id.hex()[..12]), ["app:1", "app:2"]);
    }
    // Where nothing else is called so, it is what lists it.
    assert_eq!(found(&two.digest.hex()[..12]), ["multi:1", "multi:2"]);
}

#[test]
fn an_index_serves_the_platforms_it_lists() {
    let (_folder, store) = open();
    let image = put_image(&store, "x");
    let index = Index::new(vec![image.clone()]);
    let descriptor = store.put(media_type::INDEX, &index.to_bytes()).unwrap();
    store.tag(&name("multi"), &descriptor).unwrap();
    let found = store
        .image(&name("multi"), &Platform::host())
        .unwrap()
        .unwrap();
    assert_eq!(found.descriptor.digest, image.digest);
    let other = "linux/s390x".parse().unwrap();
    let error = store.image(&name("multi"), &other).unwrap_err().to_string();
    assert!(error.contains("linux/s390x"), "{error}");
    assert!(error.contains(&Platform::host().to_string()), "{error}");
}

#[test]
fn an_index_that_is_nested_too_deep_is_told() {
    let (_folder, store) = open();
    let mut root = put_image(&store, "x");
    for depth in 1..=4 {
        let index = Index::new(vec![root]);
        root = store.put(media_type::INDEX, &index.to_bytes()).unwrap();
        let found = store.open_image(&name("x"), root.clone(), &Platform::host());
        match depth {
            4 => {
                let told = "the image x:latest is an index nested more than 3 deep";
                assert_eq!(found.unwrap_err().to_string(), told);
            }
            _ => drop(found.unwrap()),
        }
    }
}

#[test]
fn many_writers_lose_no_name() {
    let (_folder, store) = open();
    let image = put_image(&store, "x");
    thread::scope(|scope| {
        for writer in 0..8 {
            let (store, image) = (&store, &image);
            scope.spawn(move || {
                let own = Store::open(store.root()).unwrap();
                for number in 0..5 {
                    own.tag(&name(&format!("w{writer}:{number}")), image)
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(store.images().unwrap().len(), 40);
}

#[test]
fn pruning_keeps_what_is_named() {
    let (_folder, store) = open();
    let kept = put_image(&store, "kept");
    let lost = put_image(&store, "lost");
    let root = store.put(media_type::LAYER, b"of a record").unwrap();
    store.tag(&name("kept"), &kept).unwrap();
    fs::write(store.root().join("tmp/1-0"), "of a killed process").unwrap();

    let usage = store.usage(std::slice::from_ref(&root)).unwrap();
    assert_eq!(usage.blobs, 7);
    let pruning = store.begin_pruning().unwrap();
    let pruned = store.prune(&pruning, std::slice::from_ref(&root)).unwrap();
    assert_eq!(pruned.files, 4);
    assert_eq!(pruned.size_bytes, usage.reclaimable_bytes + 19);
    assert!(store.contains(&root));
    assert!(!store.contains(&lost));
    let image = store.image(&name("kept"), &Platform::host()).unwrap();
    assert!(store.contains(&image.unwrap().manifest.layers[0]));
}

#[test]
fn pruning_keeps_what_a_living_process_found_or_made() {
    let (_folder, store) = open();
    let blobs = ["found", "opened", "made", "of an image", "lost"];
    let blobs = blobs.map(|text| Descriptor::of(media_type::LAYER, text.as_bytes()));
    for text in ["found", "opened", "lost"] {
        store.put(media_type::LAYER, text.as_bytes()).unwrap();
    }
    let image = put_image(&store, "of an image");
    store.tag(&name("x"), &image).unwrap();

    let worker = Store::open(store.root()).unwrap();
    worker.share().unwrap();
    assert!(worker.contains(&blobs[0]));
    worker.open_blob(&blobs[1]).unwrap();
    worker.put(media_type::LAYER, b"made").unwrap();
    let found = worker.image(&name("x"), &Platform::host()).unwrap();
    store.untag(&name("x")).unwrap();
    let half = worker.writer().unwrap();
    let prune = || {
        let pruning = store.begin_pruning().unwrap();
        store.prune(&pruning, &[]).unwrap();
        pruning.is_alone()
    };
    assert!(!prune());
    let kept = blobs.each_ref().map(|blob| store.contains(blob));
    assert_eq!(kept, [true, true, true, true, false]);
    assert!(store.contains(&found.unwrap().manifest.config));
    half.commit(media_type::LAYER).unwrap();

    drop(worker);
    assert!(prune());
    assert!(blobs.iter().all(|blob| !store.contains(blob)));
    assert_eq!(files_in(&store.root().join("tmp")), 0);
}

/// Waits until the thread, or another, waits for the lock of the store.
fn await_waiting<T>(thread: &ScopedJoinHandle<'_, T>, store: &Store) {
    let lock = store.root().join("lock");
    wait_until("the thread waits", || {
        assert!(!thread.is_finished(), "it does not wait");
        is_awaited(&lock)
    });
}

#[test]
fn who_cannot_write_its_claims_may_name_an_image_while_pruning_is_awaited() {
    let (_folder, store) = open();
    let image = put_image(&store, "x");
    let worker = Store::open(store.root()).unwrap();
    worker.hold().unwrap();
    // Claims have no place: all is claimed.
    let folder = store.root().join("tmp");
    let aside = store.root().join("aside");
    fs::rename(&folder, &aside).unwrap();
    worker.settle().unwrap();
    let other = Store::open(store.root()).unwrap();
    thread::scope(|scope| {
        let pruning = scope.spawn(|| other.begin_pruning().map(drop));
        await_waiting(&pruning, &store);
        // It waits for no lock; the index itself has no place to be written.
        worker.tag(&name("x"), &image).unwrap_err();
        fs::rename(&aside, &folder).unwrap();
        drop(worker);
        pruning.join().unwrap().unwrap();
    });
}

#[test]
fn who_holds_off_all_pruning_waits_for_none_to_name_an_image() {
    let (_folder, store) = open();
    let image = put_image(&store, "x");
    let worker = Store::open(store.root()).unwrap();
    worker.hold().unwrap();
    assert!(worker.contains(&image));
    let other = Store::open(store.root()).unwrap();
    thread::scope(|scope| {
        let pruning = scope.spawn(|| other.begin_pruning().map(drop));
        await_waiting(&pruning, &store);
        worker.tag(&name("x"), &image).unwrap();
        pruning.join().unwrap().unwrap();
    });
    let pruning = store.begin_pruning().unwrap();
    assert!(!pruning.is_alone());
    assert!(store.find(&name("x")).unwrap().is_some());
}

#[test]
fn nothing_is_found_while_another_process_prunes() {
    let (_folder, store) = open();
    let blob = store.put(media_type::LAYER, b"x").unwrap();
    let worker = Store::open(store.root()).unwrap();
    worker.share().unwrap();
    let pruning = store.begin_pruning().unwrap();
    thread::scope(|scope| {
        let finding = scope.spawn(|| worker.contains(&blob));
        await_waiting(&finding, &store);
        store.prune(&pruning, &[]).unwrap();
        drop(pruning);
        assert!(!finding.join().unwrap());
    });
}

#[test]
fn pruning_says_that_it_waits() {
    let home = Home::new();
    let store = Store::open(&home.path("root")).unwrap();
    store.hold().unwrap();
    let other = Store::open(store.root()).unwrap();
    assert!(other.try_begin_pruning().unwrap().is_none());
    let said = home.path("said");
    let mut prune = home.rbuild();
    prune.arg("prune").stdout(Stdio::null());
    prune.stderr(fs::File::create(&said).unwrap());
    let mut prune = prune.spawn().unwrap();
    wait_until("it says that it waits", || {
        fs::read_to_string(&said).unwrap() == "waiting for another process that uses the store\n"
    });
    store.settle().unwrap();
    assert!(prune.wait().unwrap().success());
    assert!(other.try_begin_pruning().unwrap().is_some());
    let again = succeed(home.rbuild().arg("prune"));
    assert_eq!(again.stderr, "", "nothing is waited for");
}

#[test]
fn pruning_stops_at_a_manifest_it_cannot_read() {
    let (_folder, store) = open();
    let image = put_image(&store, "x");
    store.tag(&name("x"), &image).unwrap();
    fs::write(store.blob_path(&image.digest), "{}").unwrap();
    let pruning = store.begin_pruning().unwrap();
    let error = store.prune(&pruning, &[]).unwrap_err();
    assert!(matches!(error, Error::BlobDigest { .. }), "{error}");
    assert!(store.contains(&Descriptor::of(media_type::LAYER, b"x")));
}

#[test]
fn a_root_that_cannot_be_used_is_named() {
    let (folder, store) = open();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("root")).unwrap_err();
    assert!(error.to_string().contains("file/root"), "{error}");
    fs::write(store.root().join("oci-layout"), "{}").unwrap();
    let error = Store::open(store.root()).unwrap_err();
    assert!(matches!(error, Error::Version { .. }), "{error}");
}

#[test]
fn a_pipe_in_a_layout_is_not_waited_for() {
    let (_folder, store) = open();
    let blob = Descriptor::of(media_type::LAYER, b"x");
    let hex = blob.digest.hex();
    for name in ["index.json", "oci-layout", &format!("blobs/sha256/{hex}")] {
        let path = store.root().join(name);
        let kept = fs::read(&path).ok();
        // A missing file is as good.
        let _ = fs::remove_file(&path);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let refused = match name {
            "index.json" => store.images().unwrap_err(),
            "oci-layout" => Store::open(store.root()).unwrap_err(),
            _ => store.open_blob(&blob).unwrap_err(),
        };
        let why = refused.source().map(ToString::to_string);
        assert_eq!(why.as_deref(), Some("it is not a regular file"), "{name}");
        fs::remove_file(&path).unwrap();
        if let Some(bytes) = kept {
            fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn a_full_disk_is_an_error_with_a_path_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(folder.path())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        crate::support::skip("mounting a tmpfs is not permitted");
        return;
    }
    let result = std::panic::catch_unwind(|| {
        let store = Store::open(folder.path()).unwrap();
        let image = put_image(&store, "x");
        store.tag(&name("x"), &image).unwrap();
        let mut writer = store.writer().unwrap();
        let error = writer.write_all(&vec![0; 1 << 20]).unwrap_err();
        assert!(error.to_string().contains("/tmp/"), "{error}");
        drop(writer);
        let large = store.put(media_type::LAYER, &vec![1; 1 << 20]).unwrap_err();
        assert!(matches!(large, Error::Write { .. }), "{large}");
        assert!(
            store
                .image(&name("x"), &Platform::host())
                .unwrap()
                .is_some()
        );
        assert_eq!(files_in(&store.root().join("tmp")), 0);
    });
    unmount(folder.path());
    result.unwrap();
}

/// Unmounts even what a process that is just being started has open.
fn unmount(place: &Path) {
    let unmounted = Command::new("umount").arg("--lazy").arg(place).status();
    assert!(unmounted.unwrap().success());
}

#[test]
fn a_read_only_store_can_be_read() {
    let (_folder, store) = open();
    let image = put_image(&store, "x");
    store.tag(&name("x"), &image).unwrap();
    let mount = |args: &[&str]| {
        let status = Command::new("mount").args(args).arg(store.root()).status();
        status.is_ok_and(|status| status.success())
    };
    let root = store.root().to_str().unwrap();
    if !mount(&["--bind", root]) {
        crate::support::skip("bind mounts are not permitted");
        return;
    }
    let is_read_only = mount(&["-o", "remount,bind,ro"]);
    let result = std::panic::catch_unwind(|| {
        assert!(is_read_only);
        let again = Store::open(store.root()).unwrap();
        again.share().unwrap();
        assert!(
            again
                .image(&name("x"), &Platform::host())
                .unwrap()
                .is_some()
        );
        let error = again.put(media_type::LAYER, b"new").unwrap_err();
        assert!(error.to_string().contains(root), "{error}");
        assert!(again.tag(&name("y"), &image).is_err());
    });
    unmount(store.root());
    result.unwrap();
}

#[test]
fn what_was_seen_where_is_remembered_and_forgotten_with_the_blob() {
    let (_folder, store) = open();
    let blob = store.put(media_type::LAYER, b"x").unwrap();
    assert!(store.locations(&blob.digest).is_empty());
    for place in ["a/x", "b/y", "a/x"] {
        store.add_location(&blob.digest, place);
    }
    assert_eq!(store.locations(&blob.digest), ["a/x", "b/y"]);
    for number in 0..2000 {
        store.add_location(&blob.digest, &format!("registry.example.com/{number}"));
    }
    assert!(store.locations(&blob.digest).len() < 1000);
    store.prune(&store.begin_pruning().unwrap(), &[]).unwrap();
    assert!(store.locations(&blob.digest).is_empty());
}

/// Run by the test below in a process of its own, which is killed.
#[test]
fn writes_until_it_is_killed() {
    let Some(root) = std::env::var_os("RBUILD_TEST_KILLED_STORE") else {
        return;
    };
    let store = Store::open(Path::new(&root)).unwrap();
    for number in 0.. {
        let image = put_image(&store, &number.to_string().repeat(10_000));
        store
            .tag(&name(&format!("app:{}", number % 7)), &image)
            .unwrap();
    }
}

#[test]
fn a_killed_writer_leaves_a_whole_store() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::writes_until_it_is_killed"])
            .env("RBUILD_TEST_KILLED_STORE", &root)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("there is an image", || {
            let store = Store::open(&root).unwrap();
            !store.images().unwrap().is_empty()
        });
        thread::sleep(Duration::from_millis(13 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(&root).unwrap();
        for image in store.images().unwrap() {
            let name = image.name.unwrap();
            let image = store.image(&name, &Platform::host()).unwrap().unwrap();
            let layer = store.open_blob(&image.manifest.layers[0]).unwrap();
            layer.finish().unwrap();
        }
        for entry in fs::read_dir(root.join("blobs/sha256")).unwrap() {
            let path = entry.unwrap().path();
            let digest = Digest::of(&fs::read(&path).unwrap());
            assert!(path.ends_with(digest.hex()), "{path:?}");
        }
    }
    let store = Store::open(&root).unwrap();
    assert!(!store.images().unwrap().is_empty());
    store.prune(&store.begin_pruning().unwrap(), &[]).unwrap();
    assert_eq!(files_in(&root.join("tmp")), 0);
}

/// Set in the process in which there can be no threads.
const ALONE: &str = "RBUILD_TEST_ALONE";

#[test]
fn a_blob_is_kept_and_read_without_threads() {
    if std::env::var_os(ALONE).is_none() {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "--test-threads=1"]);
        again.arg("store::a_blob_is_kept_and_read_without_threads");
        // More than there are addresses.
        again.env("RUST_MIN_STACK", (1_u64 << 47).to_string());
        let output = again.env(ALONE, "1").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    assert!(thread::Builder::new().spawn(|| ()).is_err());
    let (_folder, store) = open();
    // More than is left to the disk at once.
    let bytes = vec![7; 20 << 20];
    let blob = store.put(media_type::LAYER, &bytes).unwrap();
    let mut read = Vec::new();
    let reader = store.open_blob(&blob).unwrap();
    reader.copy_to(&mut read).unwrap();
    assert!(read == bytes);
}

#[test]
fn an_image_without_a_name_that_gets_one_is_listed_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let image = store.put(media_type::MANIFEST, b"{}").unwrap();
    store.keep(&image).unwrap();
    store.keep(&image).unwrap();
    assert_eq!(store.images().unwrap().len(), 1);
    let name: Reference = "app:v1".parse().unwrap();
    store.tag(&name, &image).unwrap();
    let images = store.images().unwrap();
    assert_eq!(images.len(), 1);
    assert_eq!(images[0].name, Some(name));
}
