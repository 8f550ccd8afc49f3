//! What a sandbox sees of files: its root file system, its mounts, and `/dev`, `/proc` and `/sys`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::chown;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use rbuild::sandbox::Access;
use rbuild::sandbox::Error;
use rbuild::sandbox::MountSource;
use rbuild::sandbox::Rootfs;

use super::Case;
use super::able;
use super::in_memory;
use super::shell;
use super::text;

#[test]
fn nothing_is_left_in_the_changes() {
    if !able() {
        return;
    }
    let case = shell(
        "cat /etc/hosts /etc/resolv.conf /run/secrets/key; ls /data /cache/deep; \
         busybox date +%s; sleep 1.1",
    )
    .mount(
        "/etc/hosts",
        in_memory("127.0.0.1 localhost\n", Access::ReadWrite),
    )
    .mount(
        "/etc/resolv.conf",
        in_memory("nameserver 127.0.0.1\n", Access::ReadOnly),
    )
    .mount("/run/secrets/key", in_memory("secret\n", Access::ReadOnly))
    .mount(
        "/data",
        MountSource::Tmpfs {
            size_bytes: Some(1 << 20),
            mode: 0o1777,
        },
    )
    .mount(
        "/cache/deep",
        MountSource::Bind {
            path: PathBuf::from("/etc"),
            access: Access::ReadOnly,
        },
    );
    let seen = case.output();
    assert!(
        seen.starts_with("127.0.0.1 localhost\nnameserver 127.0.0.1\nsecret\n"),
        "{seen}"
    );
    assert!(
        seen.contains("hostname"),
        "the host's /etc is listed: {seen}"
    );
    // The overlay copied the directory up.
    assert_eq!(case.changes(), ["etc"]);
    // Removing what was made in them is no change of the directories.
    let begin = seen.lines().last().unwrap().parse::<i64>().unwrap();
    for folder in ["upper", "upper/etc"] {
        let modified = fs::metadata(case.home.path().join(folder)).unwrap().mtime();
        assert!(modified <= begin, "{folder}: {modified} is after {begin}");
    }
}

#[test]
fn what_the_program_did_stays() {
    if !able() {
        return;
    }
    // Beside the stubs, and in one of them.
    let case = shell("echo 1 >/etc/mine; mkdir /run/mine; echo x >/var-file; sleep 0.02")
        .mount("/etc/hosts", in_memory("", Access::ReadWrite))
        .mount("/run/secrets/key", in_memory("", Access::ReadOnly));
    case.output();
    assert_eq!(
        case.changes(),
        ["etc", "etc/mine", "run", "run/mine", "var-file"]
    );
}

#[test]
fn a_mount_point_may_be_a_link_to_nowhere() {
    if !able() {
        return;
    }
    let case = shell("cat /etc/resolv.conf")
        .mount("/etc/resolv.conf", in_memory("found\n", Access::ReadOnly));
    let link = case.home.path().join("base/etc/resolv.conf");
    symlink("../run/resolve/stub.conf", link).unwrap();
    assert_eq!(case.output(), "found");
    assert_eq!(case.changes(), [""; 0]);
}

#[test]
fn a_link_cannot_lead_a_mount_outside() {
    if !able() {
        return;
    }
    let case = shell("cat /evil/file").mount("/evil/file", in_memory("inside\n", Access::ReadOnly));
    let outside = case.home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, case.home.path().join("base/evil")).unwrap();
    assert_eq!(case.output(), "inside");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(case.changes(), [""; 0]);
}

#[test]
fn what_the_image_has_in_the_way_of_a_place_is_not_the_machines_fault() {
    if !able() {
        return;
    }
    let file = || in_memory("x", Access::ReadOnly);
    let directory = || MountSource::Tmpfs {
        size_bytes: None,
        mode: 0o755,
    };
    let told_of = |case: &Case, place: &str| {
        let error = case.fails();
        let is_place = matches!(&error, Error::Place { path, .. } if path == place);
        assert!(is_place && error.is_programs(), "{place}: {}", text(&error));
    };
    for (target, source) in [
        ("/proc/self/cwd", directory()),
        ("/proc/1/root/x", directory()),
        ("/proc/x", file()),
        ("/etc/passwd", directory()),
        ("/etc/passwd/x", file()),
        ("/etc", file()),
    ] {
        told_of(&shell("true").mount(target, source), target);
    }
    let mut case = shell("true");
    symlink("/proc/1/cwd", case.home.path().join("base/link")).unwrap();
    case.spec.cwd = "/link".to_owned();
    told_of(&case, "/link");
    fs::write(case.home.path().join("base/sys"), "").unwrap();
    told_of(&case, "/sys");
}

#[test]
fn read_only_mounts_cannot_be_written() {
    if !able() {
        return;
    }
    let shared = tempfile::tempdir().unwrap();
    fs::write(shared.path().join("file"), "before").unwrap();
    let bind = |access| MountSource::Bind {
        path: shared.path().to_owned(),
        access,
    };
    let script = "echo x >/mnt/file";
    let done = shell(script).mount("/mnt", bind(Access::ReadOnly)).run();
    assert!(done.stderr.contains("Read-only"), "{}", done.stderr);
    assert_eq!(
        fs::read_to_string(shared.path().join("file")).unwrap(),
        "before"
    );
    shell(script)
        .mount("/mnt", bind(Access::ReadWrite))
        .output();
    assert_eq!(
        fs::read_to_string(shared.path().join("file")).unwrap(),
        "x\n"
    );
    let one = MountSource::Bind {
        path: shared.path().join("file"),
        access: Access::ReadOnly,
    };
    assert_eq!(shell("cat /one").mount("/one", one).output(), "x");
}

#[test]
fn a_directory_of_ones_own_can_be_written_where_the_root_cannot() {
    if !able() {
        return;
    }
    let script = "cat /data/file; stat -c %a:%u /data /new/dir; \
        for dir in /data /new/dir / /new /proc/sys; do \
        touch $dir/made 2>/dev/null && echo $dir; done; grep -c ' /proc' /proc/mounts";
    let mut case = shell(script);
    case.spec.root_access = Access::ReadOnly;
    let data = case.home.path().join("base/data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("file"), "there\n").unwrap();
    chown(&data, Some(12), None).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o750)).unwrap();
    let masks = shell("grep -c ' /proc' /proc/mounts").output();
    // What is hidden in /proc stays so.
    for target in ["/data", "/new/dir", "/proc", "/proc/sys"] {
        case = case.mount(target, MountSource::Own);
    }
    let seen = case.output();
    assert_eq!(
        seen,
        format!("there\n750:12\n755:0\n/data\n/new/dir\n{masks}")
    );
}

#[test]
fn a_path_inside_layers_can_be_mounted() {
    if !able() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let layers: Vec<PathBuf> = ["low", "high"]
        .iter()
        .map(|name| home.path().join(name))
        .collect();
    for (layer, file) in layers.iter().zip(["a", "b"]) {
        fs::create_dir_all(layer.join("dir")).unwrap();
        fs::write(layer.join("dir").join(file), file).unwrap();
    }
    let source = |changes| MountSource::Layered {
        lowers: layers.clone(),
        changes,
        path: PathBuf::from("/dir"),
    };
    let script = "cat /mnt/a /mnt/b; echo c >/mnt/a && cat /mnt/a";
    let done = shell(script).mount("/mnt", source(None)).run();
    assert!(
        done.stdout == "ab" && done.stderr.contains("Read-only"),
        "{}",
        done.stderr
    );
    let changes = (home.path().join("upper"), home.path().join("work"));
    fs::create_dir(&changes.0).unwrap();
    fs::create_dir(&changes.1).unwrap();
    let case = shell(script).mount("/mnt", source(Some(changes)));
    assert_eq!(case.output(), "abc");
    assert_eq!(case.changes(), [""; 0]);
    assert_eq!(fs::read_to_string(layers[0].join("dir/a")).unwrap(), "a");
}

#[test]
fn a_missing_source_is_named() {
    if !able() {
        return;
    }
    let source = MountSource::Bind {
        path: "/no/such/thing".into(),
        access: Access::ReadOnly,
    };
    let error = text(&shell("true").mount("/mnt", source).fails());
    assert!(
        error.contains("make its mounts") && error.contains("/no/such/thing"),
        "{error}"
    );
}

#[test]
fn the_root_can_be_read_only() {
    if !able() {
        return;
    }
    let mut case = shell("echo x >/file; echo y >/tmp/y && cat /tmp/y").mount(
        "/tmp",
        MountSource::Tmpfs {
            size_bytes: None,
            mode: 0o1777,
        },
    );
    case.spec.root_access = Access::ReadOnly;
    let done = case.run();
    assert!(
        done.stderr.contains("Read-only") && done.stdout == "y\n",
        "{}",
        done.stderr
    );
    assert_eq!(case.changes(), [""; 0]);
}

#[test]
fn tmpfs_has_its_size_and_mode() {
    if !able() {
        return;
    }
    let mut case = shell("stat -c %a /t /dev/shm; busybox df -k /t /dev/shm | grep -v ^File")
        .mount(
            "/t",
            MountSource::Tmpfs {
                size_bytes: Some(4 << 20),
                mode: 0o700,
            },
        );
    case.spec.shm_size_bytes = Some(8 << 20);
    let seen = case.output();
    assert!(seen.starts_with("700\n1777\n"), "{seen}");
    assert!(seen.contains(" 4096 ") && seen.contains(" 8192 "), "{seen}");
    case.spec.shm_size_bytes = Some(0);
    let seen = case.output();
    assert!(
        seen.contains(" 65536 "),
        "as with docker, 0 is 64 MiB: {seen}"
    );
}

#[test]
fn secrets_have_owner_and_mode_and_no_other_name() {
    if !able() {
        return;
    }
    let source = MountSource::File {
        content: b"hidden".to_vec(),
        mode: 0o400,
        uid: 33,
        gid: 34,
        access: Access::ReadOnly,
    };
    let mut case = shell("stat -c %u:%g:%a /s; cat /s; ls /dev/shm").mount("/s", source);
    case.spec.user = "www".to_owned();
    assert_eq!(case.output(), "33:34:400\nhidden");
}

#[test]
fn the_kernels_files_are_masked() {
    if !able() {
        return;
    }
    let script = "cat /proc/interrupts | busybox wc -c; ls /sys/firmware; \
        busybox grep -c ' /proc/bus proc ro,' /proc/mounts; \
        echo x >/proc/sys/kernel/hostname; mkdir /sys/x";
    let done = shell(script).run();
    assert_eq!(done.stdout, "0\n1\n");
    assert_eq!(
        done.stderr.matches("Read-only").count(),
        2,
        "{}",
        done.stderr
    );
}

#[test]
fn a_dev_that_is_asked_for_has_what_every_dev_has() {
    if !able() {
        return;
    }
    let script = "ls /dev | busybox wc -l; echo >/dev/null; echo x >/dev/shm/x; ls /dev/pts; \
        busybox awk '$2 == \"/dev\" {print $1, $4 ~ \"size=1024k\"}' /proc/mounts";
    let memory = MountSource::Tmpfs {
        size_bytes: Some(1 << 20),
        mode: 0o1777,
    };
    let case = shell(script).mount("/dev/", memory);
    assert_eq!(case.output(), "15\nptmx\ntmpfs 1");

    // What is masked needs nothing of it.
    let case = shell("cat /dev/file /proc/interrupts");
    let path = case.home.path().join("other");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("file"), "its own").unwrap();
    let access = Access::ReadOnly;
    let case = case.mount("/dev", MountSource::Bind { path, access });
    assert_eq!(case.output(), "its own");
}

#[test]
fn mounts_have_the_names_of_their_kinds() {
    if !able() {
        return;
    }
    let case =
        shell("busybox awk '$2 ~ \"^/(|proc|sys|dev|dev/shm)$\" {print $1, $2}' /proc/mounts");
    let output = case.output();
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    let expected = [
        "overlay /",
        "proc /proc",
        "sysfs /sys",
        "tmpfs /dev",
        "tmpfs /dev/shm",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn devices_are_dockers() {
    if !able() {
        return;
    }
    let seen = shell(
        "ls /dev; busybox head -c 4 /dev/zero | busybox wc -c; echo gone >/dev/null; \
         echo x | busybox tee /dev/stdout /dev/stderr; stat -c %a /dev/null /dev/tty",
    )
    .output();
    let expected = "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\n\
        tty\nurandom\nzero\n4\nx\nx\n666\n666";
    assert_eq!(seen, expected);
}

#[test]
fn a_directory_can_be_the_root() {
    if !able() {
        return;
    }
    let mut case = shell("echo x >/file; cat /etc/hosts")
        .mount("/etc/hosts", in_memory("here\n", Access::ReadOnly));
    let base = case.home.path().join("base");
    case.spec.root = Rootfs::Directory(base.clone());
    assert_eq!(case.output(), "here");
    assert!(base.join("file").exists());
    for stub in ["proc", "sys", "dev", "etc/hosts"] {
        assert!(!base.join(stub).exists(), "{stub}");
    }
    // An overlay with nothing below is the directory of its changes.
    case.spec.root = Rootfs::Overlay {
        lowers: Vec::new(),
        upper: base.clone(),
        work: base.join("unused"),
    };
    assert_eq!(case.output(), "here");
}

#[test]
fn many_layers_with_long_names_are_stacked() {
    if !able() {
        return;
    }
    let mut case = shell("cat /layer; ls / | grep -c ^l-");
    let folder = case.home.path().join("n".repeat(200)).join("m".repeat(200));
    let mut layers = vec![case.home.path().join("base")];
    for number in 0..150 {
        let layer = folder.join(number.to_string());
        fs::create_dir_all(&layer).unwrap();
        fs::write(layer.join("layer"), number.to_string()).unwrap();
        fs::write(layer.join(format!("l-{number}")), "").unwrap();
        layers.push(layer);
    }
    let Rootfs::Overlay { lowers, .. } = &mut case.spec.root else {
        panic!("cases are overlays");
    };
    *lowers = layers;
    assert_eq!(case.output(), "149150");
}
