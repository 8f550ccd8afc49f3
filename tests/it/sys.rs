//! Walks inside a root, against trees that try to lead them out of it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;

use rbuild::sys::Dir;
use rbuild::sys::FileKind;
use rbuild::sys::MakeDirs;
use rbuild::sys::Node;
use rbuild::sys::Root;
use rbuild::sys::Symlinks;
use rbuild::sys::Timestamp;
use rbuild::sys::file;

const PLAIN: MakeDirs = MakeDirs {
    mode: 0o755,
    owner: None,
    modified: None,
    symlinks: Symlinks::Follow,
};

/// A folder holding `root/`, to walk in, and `outside`, not to be reached.
fn trapped() -> (tempfile::TempDir, Root) {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("root")).unwrap();
    fs::write(home.path().join("outside"), "outside").unwrap();
    let root = Root::open(&home.path().join("root")).unwrap();
    (home, root)
}

fn read(root: &Root, path: &str) -> String {
    std::io::read_to_string(root.open_file(Path::new(path)).unwrap()).unwrap()
}

#[test]
fn only_regular_files_are_opened() {
    let (_home, root) = trapped();
    root.dir().make_dir("dir", 0o755).unwrap();
    root.dir().make_node("pipe", Node::Fifo, 0o644).unwrap();
    root.dir().symlink(Path::new("/pipe"), "link").unwrap();
    for (name, said) in [
        ("dir", "Is a directory (os error 21)"),
        ("pipe", "it is a named pipe, no regular file"),
        ("link", "it is a named pipe, no regular file"),
    ] {
        let error = root.open_file(Path::new(name)).unwrap_err().in_one_line();
        assert!(error.ends_with(said), "{error}");
    }
}

#[test]
fn no_link_leads_outside() {
    let (home, root) = trapped();
    let inside = home.path().join("root");
    fs::create_dir(inside.join("etc")).unwrap();
    fs::write(inside.join("etc/passwd"), "inside").unwrap();
    symlink("/etc/passwd", inside.join("absolute")).unwrap();
    symlink("../../../../etc/passwd", inside.join("upwards")).unwrap();
    symlink("/etc", inside.join("dir")).unwrap();
    for path in [
        "absolute",
        "upwards",
        "/dir/passwd",
        "dir/../../etc/passwd",
        "/../etc/passwd",
    ] {
        assert_eq!(read(&root, path), "inside", "{path}");
    }
    let error = root.open_file(Path::new("../outside")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(error.to_string().contains("openat2") && error.to_string().contains("../outside"));
}

#[test]
fn stat_follows_and_lstat_does_not() {
    let (home, root) = trapped();
    fs::write(home.path().join("root/file"), "12345").unwrap();
    symlink("file", home.path().join("root/link")).unwrap();
    let link = Path::new("link");
    assert_eq!(root.stat(link).unwrap().size, 5);
    assert_eq!(root.lstat(link).unwrap().kind, FileKind::Symlink);
    assert_eq!(root.read_link(link).unwrap(), Path::new("file"));
    assert_eq!(root.stat(Path::new("")).unwrap().kind, FileKind::Directory);
}

#[test]
fn parent_leaves_the_last_name_alone() {
    let (home, root) = trapped();
    symlink("/gone/away", home.path().join("root/link")).unwrap();
    let (dir, name) = root.parent(Path::new("/link/")).unwrap();
    dir.remove_file(name).unwrap();
    assert!(fs::symlink_metadata(home.path().join("root/link")).is_err());
    for path in ["/", "", "..", "a/.."] {
        assert!(
            root.parent(Path::new(path)).is_err(),
            "{path:?} has no last name"
        );
    }
}

#[test]
fn directories_are_made_through_links_that_lead_nowhere() {
    let (home, root) = trapped();
    let inside = home.path().join("root");
    symlink("/made/../made/here", inside.join("link")).unwrap();
    let made = root.make_dirs(Path::new("/link/a/../b"), &PLAIN).unwrap();
    assert_eq!(made.path, Path::new("made/here/b"));
    let created: Vec<PathBuf> = ["made", "made/here", "made/here/a", "made/here/b"]
        .iter()
        .map(PathBuf::from)
        .collect();
    assert_eq!(made.created, created);
    assert!(inside.join("made/here/b").is_dir());
    assert!(
        root.make_dirs(Path::new("link/b"), &PLAIN)
            .unwrap()
            .created
            .is_empty()
    );
}

#[test]
fn directories_above_the_root_are_made_inside() {
    let (home, root) = trapped();
    symlink("../../../up", home.path().join("root/link")).unwrap();
    root.make_dirs(Path::new("../../x"), &PLAIN).unwrap();
    root.make_dirs(Path::new("link/y"), &PLAIN).unwrap();
    assert!(home.path().join("root/x").is_dir());
    assert!(home.path().join("root/up/y").is_dir());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
}

#[test]
fn made_directories_have_mode_and_time() {
    let (home, root) = trapped();
    let modified = Some(Timestamp {
        seconds: 1_000_000_000,
        nanoseconds: 123_456_789,
    });
    let options = MakeDirs {
        mode: 0o1777,
        modified,
        ..PLAIN
    };
    root.make_dirs(Path::new("a/b"), &options).unwrap();
    for path in ["root/a", "root/a/b"] {
        let found = fs::metadata(home.path().join(path)).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, 0o1777, "{path}");
        assert_eq!(
            (found.mtime(), found.mtime_nsec()),
            (1_000_000_000, 123_456_789),
            "{path}"
        );
    }
}

#[test]
fn links_are_refused_or_replaced_when_asked() {
    let (home, root) = trapped();
    let inside = home.path().join("root");
    fs::create_dir(inside.join("real")).unwrap();
    symlink("real", inside.join("link")).unwrap();
    let refuse = MakeDirs {
        symlinks: Symlinks::Refuse,
        ..PLAIN
    };
    root.make_dirs(Path::new("link/x"), &refuse).unwrap_err();
    let replace = MakeDirs {
        symlinks: Symlinks::Replace,
        ..PLAIN
    };
    root.make_dirs(Path::new("link/x"), &replace).unwrap();
    assert!(inside.join("link/x").is_dir() && !inside.join("real/x").exists());
}

#[test]
fn a_file_on_the_way_and_a_circle_of_links_fail() {
    let (home, root) = trapped();
    fs::write(home.path().join("root/file"), "").unwrap();
    symlink("circle", home.path().join("root/circle")).unwrap();
    root.make_dirs(Path::new("file/x"), &PLAIN).unwrap_err();
    let error = root.make_dirs(Path::new("circle/x"), &PLAIN).unwrap_err();
    assert_eq!(error.errno(), 40, "ELOOP expected: {error}");
}

#[test]
fn remove_all_does_not_follow_links() {
    let (home, root) = trapped();
    let inside = home.path().join("root");
    fs::create_dir_all(inside.join("tree/a/b/c")).unwrap();
    fs::write(inside.join("tree/a/file"), "").unwrap();
    symlink(home.path(), inside.join("tree/a/b/up")).unwrap();
    root.remove_all(Path::new("tree")).unwrap();
    root.remove_all(Path::new("tree")).unwrap();
    assert_eq!(fs::read_dir(&inside).unwrap().count(), 0);
    assert!(home.path().join("outside").exists());
}

#[test]
fn a_name_is_one_name() {
    let (_home, root) = trapped();
    for name in ["", "..", "a/b", "/"] {
        assert!(root.dir().stat(name).is_err(), "{name:?} was accepted");
    }
}

#[test]
fn entries_are_made_with_exact_modes() {
    let (home, _) = trapped();
    let dir = Dir::open(home.path()).unwrap();
    dir.create_file("file", 0o4777).unwrap();
    dir.make_dir("dir", 0o2777).unwrap();
    dir.make_node("fifo", Node::Fifo, 0o666).unwrap();
    dir.symlink(Path::new("fifo"), "link").unwrap();
    assert_eq!(dir.stat("file").unwrap().mode, 0o4777);
    assert_eq!(dir.stat("dir").unwrap().mode, 0o2777);
    assert_eq!(dir.stat("fifo").unwrap().mode, 0o666);
    dir.set_mode("link", 0o600).unwrap_err();
    assert_eq!(
        dir.stat("fifo").unwrap().mode,
        0o666,
        "the link was not followed"
    );
    dir.create_file("file", 0o600).unwrap_err();
}

#[test]
fn xattrs_are_kept_on_files_and_directories() {
    let (home, _) = trapped();
    let dir = Dir::open(home.path()).unwrap();
    let key = OsStr::new("user.rbuild");
    if let Err(error) = dir.set_xattr("outside", key, &[7; 3000]) {
        println!("skipped: no user attributes here: {error}");
        return;
    }
    dir.set_xattr(".", key, b"dir").unwrap();
    assert_eq!(dir.xattrs("outside").unwrap(), [key]);
    assert_eq!(dir.xattr("outside", key).unwrap().unwrap(), [7; 3000]);
    assert_eq!(dir.xattr(".", key).unwrap().unwrap(), b"dir");
    dir.remove_xattr("outside", key).unwrap();
    assert_eq!(dir.xattr("outside", key).unwrap(), None);
}

#[test]
fn copy_copies_everything() {
    let (home, _) = trapped();
    let dir = Dir::open(home.path()).unwrap();
    let content = vec![42; 3 << 20];
    fs::write(home.path().join("big"), &content).unwrap();
    file::copy(
        &dir.open_file("big").unwrap(),
        &dir.create_file("copy", 0o600).unwrap(),
    )
    .unwrap();
    assert_eq!(fs::read(home.path().join("copy")).unwrap(), content);
    // The size of a file in /proc is 0 until it is read.
    let endless = fs::File::open("/proc/self/status").unwrap();
    file::copy(&endless, &dir.create_file("status", 0o600).unwrap()).unwrap();
    assert!(
        fs::read_to_string(home.path().join("status"))
            .unwrap()
            .starts_with("Name:")
    );
}
