use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::place;
use crate::graph::FileMode;
use crate::graph::Patterns;
use crate::sys::Owner;
use crate::sys::Root;
use crate::worker::Error;
use crate::worker::files::Manner;
use crate::worker::files::Wish;
use crate::worker::files::select;

/// A source with files, links and a target with a few directories.
fn folders() -> (tempfile::TempDir, Root, Root) {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("source"), folder.path().join("target"));
    fs::create_dir_all(source.join("dir/inner")).unwrap();
    fs::write(source.join("a.txt"), "a").unwrap();
    fs::write(source.join("b.txt"), "b").unwrap();
    fs::write(source.join("dir/c"), "c").unwrap();
    fs::hard_link(source.join("dir/c"), source.join("dir/inner/c2")).unwrap();
    symlink("a.txt", source.join("link")).unwrap();
    symlink("/a.txt", source.join("dir/absolute")).unwrap();
    fs::create_dir_all(target.join("there")).unwrap();
    symlink("there", target.join("alias")).unwrap();
    symlink("../../outside", target.join("out")).unwrap();
    let roots = (Root::open(&source).unwrap(), Root::open(&target).unwrap());
    (folder, roots.0, roots.1)
}

/// Whoever runs the test, so that it needs no rights.
fn owner() -> Owner {
    let metadata = fs::metadata("/proc/self").unwrap();
    Owner {
        uid: metadata.uid(),
        gid: metadata.gid(),
    }
}

fn copy(
    roots: (&Root, &Root),
    path: &str,
    destination: &str,
    mode: Option<FileMode>,
) -> Result<(), Error> {
    let wish = Wish {
        literal: false,
        ..Wish::exactly(path)
    };
    let manner = Manner {
        mode,
        ..Manner::plain(Some(owner()))
    };
    for selected in select(roots.0, &wish)? {
        place(&selected, roots.0, roots.1, destination, &manner)?;
    }
    Ok(())
}

#[test]
fn follows_the_rules_of_docker_for_destinations() {
    for (path, destination, made) in [
        ("a.txt", "/x", "x"),
        ("a.txt", "/x/", "x/a.txt"),
        ("a.txt", "/x/y/z", "x/y/z"),
        ("a.txt", "/there", "there/a.txt"),
        ("a.txt", "/alias", "there/a.txt"),
        ("a.txt", "/alias/new", "there/new"),
        ("a.txt", "/", "a.txt"),
        ("link", "/x", "x"),
        ("link", "/there/", "there/link"),
        ("dir", "/x", "x/inner/c2"),
        ("dir/", "/there", "there/c"),
        ("dir", "/", "inner/c2"),
        ("?.txt", "/x/", "x/b.txt"),
        ("/", "/x", "x/dir/c"),
        ("../../a.txt", "/x", "x"),
    ] {
        let (folder, source, target) = folders();
        copy((&source, &target), path, destination, None).unwrap();
        let made_path = folder.path().join("target").join(made);
        let metadata = fs::symlink_metadata(&made_path);
        assert!(
            metadata.is_ok_and(|m| m.is_file()),
            "{path} to {destination}: no {made}"
        );
    }
}

#[test]
fn stops_between_files() {
    let (folder, source, target) = folders();
    let manner = Manner::plain(Some(owner()));
    manner.cancel.cancel();
    let wish = Wish {
        literal: false,
        ..Wish::exactly("dir")
    };
    let selected = select(&source, &wish).unwrap();
    let placed = place(&selected[0], &source, &target, "/x", &manner);
    assert!(matches!(placed, Err(Error::Canceled)));
    assert!(!folder.path().join("target/x/c").exists());
}

#[test]
fn stays_inside_the_target() {
    let (folder, source, target) = folders();
    copy((&source, &target), "a.txt", "/out", None).unwrap();
    assert!(!folder.path().join("outside").exists());
    assert!(folder.path().join("target/outside").is_file());
    copy((&source, &target), "a.txt", "/../../up", None).unwrap();
    assert!(folder.path().join("target/up").is_file());
}

#[test]
fn keeps_links_among_the_copied_and_modes_as_told() {
    let (folder, source, target) = folders();
    copy(
        (&source, &target),
        "dir",
        "/x",
        Some(FileMode::Octal(0o640)),
    )
    .unwrap();
    let made = folder.path().join("target/x");
    let (first, second) = (made.join("c"), made.join("inner/c2"));
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&first), inode(&second));
    assert_ne!(inode(&first), inode(&folder.path().join("source/dir/c")));
    assert_eq!(fs::metadata(&first).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::metadata(&made).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(
        fs::read_link(made.join("absolute")).unwrap(),
        Path::new("/a.txt")
    );
}

#[test]
fn refuses_to_mix_files_and_directories() {
    let (_folder, source, target) = folders();
    copy((&source, &target), "a.txt", "/file", None).unwrap();
    let error = copy((&source, &target), "dir", "/file", None).unwrap_err();
    assert!(
        matches!(
            error,
            Error::DirectoryOverFile { .. } | Error::System { .. }
        ),
        "{error}"
    );
    target.dir().make_dir("a.txt", 0o755).unwrap();
    let error = copy((&source, &target), "a.txt", "/", None).unwrap_err();
    assert!(matches!(error, Error::FileOverDirectory { .. }), "{error}");
}

#[test]
fn says_what_is_missing_and_what_is_ignored() {
    let (_folder, source, target) = folders();
    let error = copy((&source, &target), "nowhere", "/x", None).unwrap_err();
    assert!(matches!(error, Error::SourceMissing { .. }), "{error}");
    assert!(copy((&source, &target), "nowher[e]", "/x", None).is_ok());
    let ignore = Patterns::new(["*.txt", "dir", "!dir/c"]).unwrap();
    let ask = |path| {
        let wish = Wish {
            literal: false,
            ignore: Some(&ignore),
            ..Wish::exactly(path)
        };
        select(&source, &wish)
    };
    let error = ask("a.txt").unwrap_err();
    assert!(error.to_string().contains("*.txt"), "{error}");
    assert!(ask("*.txt").unwrap().is_empty());
    let names: Vec<_> = ask("dir").unwrap()[0]
        .node
        .children
        .iter()
        .map(|n| n.name.clone())
        .collect();
    assert_eq!(names, ["c"]);
}

#[test]
fn parents_keep_the_path_and_excludes_leave_out() {
    let (folder, source, target) = folders();
    let manner = Manner::plain(Some(owner()));
    let excludes = ["**/c2".to_owned()];
    for path in ["dir/inner/", "./dir/./inner", "dir/c"] {
        let wish = Wish {
            literal: false,
            excludes: &excludes,
            parents: true,
            ..Wish::exactly(path)
        };
        for selected in select(&source, &wish).unwrap() {
            place(&selected, &source, &target, "/p/", &manner).unwrap();
        }
    }
    let made = folder.path().join("target/p");
    assert!(made.join("dir/inner").is_dir() && made.join("inner").is_dir());
    assert!(made.join("dir/c").is_file() && !made.join("dir/inner/c2").exists());
    let wish = Wish {
        literal: false,
        parents: true,
        ..Wish::exactly("dir/nowhere")
    };
    assert!(select(&source, &wish).is_err());
}
