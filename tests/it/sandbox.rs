//! Sandboxes with a real kernel under them, on a root file system made of busybox.

pub(crate) mod calls;
pub(crate) mod escape;

use std::fs;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::chown;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use rbuild::sandbox::Access;
use rbuild::sandbox::Error;
use rbuild::sandbox::ExitStatus;
use rbuild::sandbox::Input;
use rbuild::sandbox::Mount;
use rbuild::sandbox::MountSource;
use rbuild::sandbox::Network;
use rbuild::sandbox::Output;
use rbuild::sandbox::Rootfs;
use rbuild::sandbox::Running;
use rbuild::sandbox::SandboxNetwork;
use rbuild::sandbox::Security;
use rbuild::sandbox::SpawnOptions;
use rbuild::sandbox::Spec;
use rbuild::sandbox::Template;
use rbuild::sandbox::TerminalSize;
use rbuild::sandbox::Ulimit;
use rbuild::sandbox::spawn;
use rbuild::sys::Dir;
use rbuild::sys::Node;

use crate::support::Feature;
use crate::support::program;
use crate::support::require;
use crate::support::wait::PATIENCE;

mod limits;
mod network;
mod template;

const BUSYBOX: &str = "/bin/busybox";
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbin:x:2:2:bin:/bin:/bin/sh\n\
    www:x:33:34:www:/var/www:/bin/sh\n";
const GROUP: &str = "root:x:0:\nwww:x:34:\nextra:x:40:www,root\nmore:x:41:www\n";

/// A root file system in layers, and what is to run on it.
struct Case {
    home: tempfile::TempDir,
    spec: Spec,
}

/// What a sandbox did.
struct Done {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

fn able() -> bool {
    require(&[
        Feature::Root,
        Feature::Namespaces,
        Feature::Overlay,
        Feature::Program("busybox"),
    ])
}

fn case(args: &[&str]) -> Case {
    let home = tempfile::tempdir().unwrap();
    for folder in ["base/bin", "base/etc", "base/root", "upper", "work"] {
        fs::create_dir_all(home.path().join(folder)).unwrap();
    }
    let base = home.path().join("base");
    program::copy(Path::new(BUSYBOX), &base.join("bin/busybox"));
    for name in [
        "sh", "cat", "id", "ls", "sleep", "env", "stat", "mkdir", "echo", "pwd", "nc",
    ] {
        symlink("busybox", base.join("bin").join(name)).unwrap();
    }
    fs::write(base.join("etc/passwd"), PASSWD).unwrap();
    fs::write(base.join("etc/group"), GROUP).unwrap();
    let root = Rootfs::Overlay {
        lowers: vec![base],
        upper: home.path().join("upper"),
        work: home.path().join("work"),
    };
    let mut spec = Spec::new(root, args.iter().map(|arg| (*arg).to_owned()).collect());
    spec.env.push("PATH=/usr/bin:/bin".to_owned());
    Case { home, spec }
}

fn shell(script: &str) -> Case {
    case(&["/bin/sh", "-c", script])
}

fn options() -> SpawnOptions {
    SpawnOptions {
        template: Template::new(env!("CARGO_BIN_EXE_rbuild")),
        input: Input::Null,
        output: Output::Pipe,
    }
}

impl Case {
    fn start(&self) -> Result<Running, Error> {
        spawn(&self.spec, &options())
    }

    fn run(&self) -> Done {
        let running = self.start();
        finish(running.unwrap_or_else(|error| panic!("{}", text(&error))))
    }

    /// What the program said, once it ended well.
    fn output(&self) -> String {
        let done = self.run();
        assert_eq!(
            done.status.code, 0,
            "stdout: {} stderr: {}",
            done.stdout, done.stderr
        );
        done.stdout.trim_end().to_owned()
    }

    fn fails(&self) -> Error {
        self.start().expect_err("the sandbox should not start")
    }

    /// All paths in `upper`, sorted.
    fn changes(&self) -> Vec<String> {
        let upper = self.home.path().join("upper");
        let mut found = Vec::new();
        let mut folders = vec![upper.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                found.push(path.strip_prefix(&upper).unwrap().display().to_string());
                if path.symlink_metadata().unwrap().is_dir() {
                    folders.push(path);
                }
            }
        }
        found.sort();
        found
    }

    fn mount(mut self, target: &str, source: MountSource) -> Case {
        self.spec.mounts.push(Mount {
            target: target.to_owned(),
            source,
        });
        self
    }
}

/// Waits until a sandbox has ended.
fn finish(mut running: Running) -> Done {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    running
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut stdout)
        .unwrap();
    running
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    Done {
        status: running.wait().unwrap(),
        stdout,
        stderr,
    }
}

fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn in_memory(content: &str, access: Access) -> MountSource {
    MountSource::File {
        content: content.into(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        access,
    }
}

#[test]
fn one_pipe_keeps_the_order_of_output_and_errors() {
    if !able() {
        return;
    }
    let case = shell("echo 1; echo 2 >&2; echo 3; echo 4 >&2");
    let together = SpawnOptions {
        output: Output::Together,
        ..options()
    };
    let mut running = spawn(&case.spec, &together).unwrap();
    assert!(running.stderr.is_none());
    let written = std::io::read_to_string(running.stdout.take().unwrap());
    assert_eq!(written.unwrap(), "1\n2\n3\n4\n");
    assert_eq!(running.wait().unwrap().code, 0);
}

#[test]
fn output_and_exit_codes_come_back() {
    if !able() {
        return;
    }
    let done = shell("echo out; echo err >&2; exit 7").run();
    assert_eq!(
        done.status,
        ExitStatus {
            code: 7,
            signal: None,
            exceeded: None
        }
    );
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[test]
fn the_program_is_process_one_and_alone() {
    if !able() {
        return;
    }
    let seen = shell("echo $$; ls /proc | grep -c '^[0-9]'; exec ls /proc/self/fd").output();
    let mut lines = seen.lines();
    assert_eq!(lines.next(), Some("1"));
    assert!(lines.next().unwrap().parse::<u32>().unwrap() <= 3, "{seen}");
    assert_eq!(
        lines.collect::<Vec<_>>(),
        ["0", "1", "2", "3"],
        "3 is the directory itself"
    );
}

#[test]
fn a_signal_is_told_from_an_exit_code() {
    if !able() {
        return;
    }
    let case = case(&["sleep", "100"]);
    let running = case.start().unwrap();
    running.killer().kill().unwrap();
    assert_eq!(
        running.wait().unwrap(),
        ExitStatus {
            code: 137,
            signal: Some(9),
            exceeded: None
        }
    );
}

#[test]
fn signals_reach_a_program_that_handles_them() {
    if !able() {
        return;
    }
    let case = shell("trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done");
    let mut running = case.start().unwrap();
    running
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut [0; 6])
        .unwrap();
    running.killer().signal(15).unwrap();
    assert_eq!(running.wait().unwrap().code, 5);
}

#[test]
fn kill_ends_everything_at_once_from_another_thread() {
    if !able() {
        return;
    }
    let begin = Instant::now();
    let mut running = shell("sleep 1000 & sleep 1000 & echo on; sleep 1000")
        .start()
        .unwrap();
    running
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut [0; 3])
        .unwrap();
    let killer = running.killer();
    std::thread::spawn(move || killer.kill().unwrap());
    let mut rest = String::new();
    // The pipe only ends when the processes in the background are gone as well.
    running
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut rest)
        .unwrap();
    assert_eq!(running.wait().unwrap().signal, Some(9));
    assert!(begin.elapsed() < PATIENCE);
}

#[test]
fn nothing_is_left_when_it_is_dropped() {
    if !able() {
        return;
    }
    let case = case(&["sleep", "100"]);
    let running = case.start().unwrap();
    let pid = running.pid();
    drop(running);
    assert!(
        !Path::new(&format!("/proc/{pid}")).exists(),
        "process {pid} is left"
    );
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !mounts.contains(case.home.path().to_str().unwrap()),
        "{mounts}"
    );
}

#[test]
fn the_environment_is_what_was_asked_for_and_home() {
    if !able() {
        return;
    }
    let mut case = case(&["env"]);
    case.spec.env.push("A=1 2".to_owned());
    case.spec.user = "www".to_owned();
    assert_eq!(case.output(), "PATH=/usr/bin:/bin\nA=1 2\nHOME=/var/www");
    case.spec.env.push("HOME=/mine".to_owned());
    assert_eq!(case.output(), "PATH=/usr/bin:/bin\nA=1 2\nHOME=/mine");
}

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
fn the_host_name_is_the_specs() {
    if !able() {
        return;
    }
    let mut case = case(&["busybox", "hostname"]);
    case.spec.hostname = "elsewhere".to_owned();
    assert_eq!(case.output(), "elsewhere");
}

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
fn without_network_there_is_only_loopback() {
    if !able() {
        return;
    }
    let mut case = shell("ls /sys/class/net; cat /proc/net/dev | grep -c :");
    case.spec.network = Network::None;
    let seen = case.output();
    assert!(seen.starts_with("lo\n") && seen.ends_with("\n1"), "{seen}");
    case.spec.network = Network::Host;
    let host = fs::read_to_string("/proc/net/dev")
        .unwrap()
        .matches(':')
        .count();
    assert!(case.output().ends_with(&format!("\n{host}")));
}

#[test]
fn a_server_inside_can_be_reached() {
    if !able() {
        return;
    }
    let mut case = shell("echo ready; echo hello | nc -l -p 8080");
    case.spec.network = Network::None;
    let mut running = case.start().unwrap();
    running
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut [0; 6])
        .unwrap();
    let network = SandboxNetwork::of(running.pid()).unwrap();
    let mut stream = eventually(|| network.connect(8080).ok());
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    assert!(matches!(
        network.connect(9),
        Err(Error::Connect { port: 9, .. })
    ));
    let joined = format!("/proc/{}/ns/net", running.pid());
    let mut second = shell("cat /proc/net/dev | grep -c :");
    second.spec.network = Network::Join(joined.into());
    assert_eq!(second.output(), "1");
}

#[test]
fn who_ended_at_once_has_no_network_any_more() {
    if !able() {
        return;
    }
    let mut case = shell("true");
    case.spec.network = Network::None;
    let running = case.start().unwrap();
    eventually(|| {
        let network = SandboxNetwork::joined_by(&running, None).unwrap();
        network.is_none().then_some(())
    });
}

#[test]
fn input_can_be_given() {
    if !able() {
        return;
    }
    let case = case(&["cat"]);
    let mut running = spawn(
        &case.spec,
        &SpawnOptions {
            input: Input::Pipe,
            ..options()
        },
    )
    .unwrap();
    running.stdin.take().unwrap().write_all(b"through").unwrap();
    let mut seen = String::new();
    running
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut seen)
        .unwrap();
    assert_eq!(seen, "through");
}

#[test]
fn a_terminal_is_a_terminal() {
    if !able() {
        return;
    }
    let mut case = shell(
        "busybox tty; busybox stty size; test -t 0 && test -t 2 && echo yes; \
        stat -c %U /dev/console; echo x >/dev/tty",
    );
    case.spec.terminal = Some(TerminalSize {
        rows: 33,
        columns: 99,
    });
    case.spec.user = "www".to_owned();
    let mut running = case.start().unwrap();
    let mut seen = Vec::new();
    // Linux reports the end of a terminal as an error.
    let _ = running.terminal.take().unwrap().read_to_end(&mut seen);
    let seen = String::from_utf8(seen).unwrap();
    assert_eq!(seen, "/dev/pts/0\r\n33 99\r\nyes\r\nwww\r\nx\r\n");
    assert_eq!(running.wait().unwrap().code, 0);
}

#[test]
fn programs_that_are_missing_or_none_are_told_apart() {
    if !able() {
        return;
    }
    for (program, code) in [
        ("nosuch", 127),
        ("/no/such", 127),
        ("/bin/sh/x", 127),
        ("/etc/passwd", 126),
        ("/etc", 126),
        ("/bin/garbage", 126),
        ("/bin/orphan", 127),
    ] {
        let case = case(&[program]);
        for (name, content) in [
            ("garbage", "\u{1}garbage"),
            ("orphan", "#!/no/such/shell\n"),
        ] {
            program::write(&case.home.path().join("base/bin").join(name), content);
        }
        let error = case.fails();
        assert_eq!(error.exit_code(), code, "{program}: {}", text(&error));
        assert!(text(&error).contains(program), "{}", text(&error));
    }
}

#[test]
fn programs_are_found_in_the_specs_path() {
    if !able() {
        return;
    }
    let mut case = case(&["tool"]);
    let folder = case.home.path().join("base/opt");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("tool"), "#!/bin/sh\necho found\n").unwrap();
    fs::set_permissions(folder.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    // One in the way that is no program.
    fs::write(case.home.path().join("base/bin/tool"), "").unwrap();
    case.spec.env = vec!["PATH=/bin:/opt".to_owned()];
    assert_eq!(case.output(), "found");
    case.spec.env = vec!["PATH=/bin".to_owned()];
    assert_eq!(case.fails().exit_code(), 127);
    case.spec.cwd = "/opt".to_owned();
    case.spec.args = vec!["./tool".to_owned()];
    assert_eq!(case.output(), "found");
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
fn limits_are_set() {
    if !able() {
        return;
    }
    let mut case = shell("ulimit -n; ulimit -Hn; umask");
    case.spec.ulimits = vec![Ulimit {
        name: "nofile".to_owned(),
        soft: 100,
        hard: 200,
    }];
    assert_eq!(case.output(), "100\n200\n0022");
    case.spec.ulimits[0].name = "nosuch".to_owned();
    assert!(text(&case.fails()).contains("nosuch"));
}

#[test]
fn signals_have_their_default_meaning() {
    if !able() {
        return;
    }
    let seen = case(&["cat", "/proc/self/status"]).output();
    for name in ["SigBlk", "SigIgn"] {
        assert!(
            seen.contains(&format!("{name}:\t0000000000000000")),
            "{seen}"
        );
    }
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

#[test]
fn many_at_once_do_not_disturb_each_other() {
    if !able() {
        return;
    }
    std::thread::scope(|scope| {
        for number in 0..12 {
            scope.spawn(move || {
                let script = format!("echo {number}; exit {number}");
                let done = shell(&script).run();
                assert_eq!(done.status.code, number, "{}", done.stderr);
                assert_eq!(done.stdout, format!("{number}\n"));
            });
        }
    });
}

/// Tells a copy of the test program which folder to leave a process number in.
const VICTIM: &str = "RBUILD_TEST_VICTIM";

#[test]
fn a_killed_parent_takes_it_along() {
    if let Some(folder) = std::env::var_os(VICTIM) {
        // Longer than anybody waits for its end.
        let case = case(&["sleep", "1000"]);
        let running = case.start().unwrap();
        fs::write(Path::new(&folder).join("new"), running.pid().to_string()).unwrap();
        fs::rename(
            Path::new(&folder).join("new"),
            Path::new(&folder).join("pid"),
        )
        .unwrap();
        running.wait().unwrap();
        return;
    }
    if !able() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::a_killed_parent_takes_it_along"])
        .env(VICTIM, folder.path())
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = eventually(|| fs::read_to_string(folder.path().join("pid")).ok());
    assert!(Path::new("/proc").join(&pid).exists());
    parent.kill().unwrap();
    parent.wait().unwrap();
    // Whoever inherits it has to take notice of its end, so it may be there for a moment.
    eventually(|| {
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        status
            .map_or(true, |status| status.contains("State:\tZ"))
            .then_some(())
    });
}

#[test]
fn a_process_that_may_not_make_sandboxes_is_told_so() {
    if std::env::var_os(VICTIM).is_some() {
        let error = shell("true").fails();
        assert!(matches!(error, Error::Forbidden(_)), "{}", text(&error));
        assert!(text(&error).contains("clone("), "{}", text(&error));
        assert!(error.hint().unwrap().contains("CAP_SYS_ADMIN"));
        return;
    }
    if !able() || !require(&[Feature::Program("setpriv")]) {
        return;
    }
    let output = Command::new("setpriv")
        .args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "sandbox::a_process_that_may_not_make_sandboxes_is_told_so",
        ])
        .env(VICTIM, "")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

fn eventually<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "it takes too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}
