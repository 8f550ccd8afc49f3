//! Who a program is in a sandbox: its user and groups, its rights, and its working directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;

use rbuild::sandbox::Error;
use rbuild::sandbox::Security;
use rbuild::sys::Dir;
use rbuild::sys::Node;

use super::BUSYBOX;
use super::able;
use super::case;
use super::shell;
use super::text;

#[test]
fn users_and_groups_are_those_of_the_image() {
    if !able() {
        return;
    }
    let mut case = shell("id -u; id -g; id -G");
    for (user, expected) in [
        ("", "0\n0\n0 40"),
        ("www", "33\n34\n34 40 41"),
        ("33", "33\n34\n34 40 41"),
        ("www:extra", "33\n40\n40"),
        ("1234", "1234\n0\n0"),
        ("1234:99", "1234\n99\n99"),
    ] {
        case.spec.user = user.to_owned();
        assert_eq!(case.output(), expected, "{user:?}");
    }
}

#[test]
fn unknown_users_and_groups_are_refused() {
    if !able() {
        return;
    }
    let mut case = shell("true");
    case.spec.user = "nobody".to_owned();
    assert!(matches!(case.fails(), Error::UnknownUser { user } if user == "nobody"));
    case.spec.user = "www:none".to_owned();
    let error = case.fails();
    assert_eq!(error.exit_code(), 125);
    assert!(matches!(error, Error::UnknownGroup { group } if group == "none"));
    assert_eq!(
        case.changes(),
        [""; 0],
        "a sandbox that failed leaves nothing either"
    );
}

#[test]
fn capabilities_are_dockers_for_root_and_none_for_others() {
    if !able() {
        return;
    }
    let mut case = shell("cat /proc/self/status | grep -E '^Cap|^NoNewPrivs|^Seccomp:'");
    let seen = case.output();
    for line in [
        "CapPrm:\t00000000a80425fb",
        "CapEff:\t00000000a80425fb",
        "NoNewPrivs:\t0",
    ] {
        assert!(seen.contains(line), "{seen}");
    }
    assert!(seen.contains("CapInh:\t0000000000000000"), "{seen}");
    case.spec.user = "www".to_owned();
    let seen = case.output();
    for line in ["CapPrm:\t0000000000000000", "CapEff:\t0000000000000000"] {
        assert!(seen.contains(line), "{seen}");
    }
    assert!(seen.contains("CapBnd:\t00000000a80425fb"), "{seen}");
    case.spec.user = String::new();
    case.spec.security = Security::Insecure;
    let seen = case.output();
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find(|line| line.starts_with("CapEff")).unwrap();
    assert!(seen.contains(own), "{seen} is not {own}");
}

#[test]
fn set_user_id_files_work() {
    if !able() {
        return;
    }
    let mut case = case(&["/bin/suid/cat", "/proc/self/status"]);
    let suid = case.home.path().join("base/bin/suid");
    fs::create_dir(&suid).unwrap();
    fs::copy(BUSYBOX, suid.join("cat")).unwrap();
    fs::set_permissions(suid.join("cat"), fs::Permissions::from_mode(0o4755)).unwrap();
    // Else busybox gives up at once what a set-user-id file gave it.
    let conf = case.home.path().join("base/etc/busybox.conf");
    fs::write(conf, "[SUID]\ncat = ssx root.root\n").unwrap();
    case.spec.user = "www".to_owned();
    let seen = case.output();
    assert!(seen.contains("Uid:\t33\t0\t"), "{seen}");
}

#[test]
fn the_working_directory_is_made_for_the_user() {
    if !able() {
        return;
    }
    let mut case = shell("pwd; stat -c %u:%g:%a . ..");
    case.spec.user = "www".to_owned();
    case.spec.cwd = "/srv/new/dir".to_owned();
    assert_eq!(case.output(), "/srv/new/dir\n33:34:755\n33:34:755");
    assert_eq!(case.changes(), ["srv", "srv/new", "srv/new/dir"]);
    case.spec.cwd = "/etc/passwd".to_owned();
    let error = text(&case.fails());
    assert!(
        error.contains("working directory") && error.contains("chdir(\"/etc/passwd\")"),
        "{error}"
    );
}

#[test]
fn a_working_directory_of_roots_can_be_anybodys() {
    if !able() {
        return;
    }
    let mut case = shell("pwd");
    let closed = case.home.path().join("base/closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    case.spec.user = "www".to_owned();
    case.spec.cwd = "/closed".to_owned();
    assert_eq!(case.run().status.code, 0);
}

#[test]
fn others_may_open_their_outputs_again() {
    if !able() {
        return;
    }
    let mut case = shell("echo a >/dev/stdout; echo b >/proc/self/fd/2");
    case.spec.user = "www".to_owned();
    let done = case.run();
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("a\n", "b\n"));
}

#[test]
fn hostile_files_for_users_are_survived() {
    if !able() {
        return;
    }
    let mut case = shell("id -u");
    let passwd = case.home.path().join("base/etc/passwd");
    fs::remove_file(&passwd).unwrap();
    symlink("../../../../../../etc/shadow", &passwd).unwrap();
    assert_eq!(case.output(), "0");
    fs::remove_file(&passwd).unwrap();
    let etc = Dir::open(passwd.parent().unwrap()).unwrap();
    etc.make_node("passwd", Node::Socket, 0o644).unwrap();
    assert_eq!(case.output(), "0");
    fs::remove_file(&passwd).unwrap();
    fs::create_dir(&passwd).unwrap();
    assert!(text(&case.fails()).contains("find its user"));
    case.spec.user = "7:7".to_owned();
    case.fails();
}
