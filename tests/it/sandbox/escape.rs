//! Sandboxed processes that try to get out. What they may not do is tried by a program of its own,
//! `testdata/escape/probe.c`, and asked of the kernel, not of our idea of it.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use rbuild::sandbox::Access;
use rbuild::sandbox::MountSource;
use rbuild::sandbox::Network;
use rbuild::sandbox::Security;
use rbuild::sandbox::SpawnOptions;
use rbuild::sandbox::Template;
use rbuild::sandbox::TerminalSize;
use rbuild::sandbox::Ulimit;
use rbuild::sandbox::spawn;

use super::able;
use super::case;
use super::eventually;
use super::finish;
use super::in_memory;
use super::options;
use super::shell;
use super::text;
use crate::support::Feature;
use crate::support::guard::CANARY;
use crate::support::guard::Guard;
use crate::support::home::succeed;
use crate::support::processes::command_lines;
use crate::support::program;
use crate::support::require;

/// What is tried, and what the kernel may answer.
pub(crate) const ATTEMPTS: &[(&str, &[&str])] = &[
    ("open what is outside", &["ENOENT"]),
    ("open what is outside by /proc/1/root", &["ENOENT"]),
    ("chroot out", &["ENOENT"]),
    ("open by handle", &["EPERM"]),
    ("mount", &["EPERM"]),
    ("mount proc again", &["EPERM"]),
    ("mount cgroup", &["EPERM"]),
    ("mount cgroup2", &["EPERM"]),
    ("bind mount", &["EPERM"]),
    ("remount /proc/sys", &["EPERM"]),
    ("unmount a mask", &["EPERM"]),
    ("share mounts", &["EPERM"]),
    ("pivot_root", &["EPERM"]),
    ("open_tree", &["EPERM"]),
    ("fsopen", &["EPERM"]),
    ("unshare mounts", &["EPERM"]),
    ("unshare network", &["EPERM"]),
    ("unshare user", &["EPERM"]),
    ("keys of the user", &["EPERM"]),
    ("add a key", &["EPERM"]),
    ("ask for a key", &["EPERM"]),
    ("userfaultfd", &["EPERM"]),
    ("bpf", &["EPERM"]),
    ("perf", &["EPERM"]),
    ("quota", &["EPERM"]),
    ("enter mounts of process 1", &["EPERM"]),
    ("enter processes of process 1", &["EPERM"]),
    ("enter user of process 1", &["EPERM", "EINVAL"]),
    ("a new device", &["EACCES", "EPERM"]),
    ("a new device in /dev", &["EACCES", "EPERM"]),
    ("a new device in /dev/shm", &["EACCES"]),
    ("a new device in a volume", &["EACCES", "EPERM"]),
    ("a new device in memory", &["EACCES", "EPERM"]),
    ("a new disk", &["EACCES", "EPERM"]),
    ("kernel log", &["EPERM"]),
    ("clear kernel log", &["EPERM"]),
    ("core_pattern", &["EROFS"]),
    ("modprobe", &["EROFS", "ENOENT"]),
    ("hostname by /proc", &["EROFS"]),
    ("binfmt_misc", &["EROFS", "ENOENT"]),
    ("sysrq", &["EROFS", "ENOENT"]),
    ("interrupts", &["EROFS", "ENOENT"]),
    ("uevent_helper", &["EROFS", "ENOENT"]),
    ("a device's uevent", &["EROFS"]),
    ("release_agent", &["EROFS", "ENOENT"]),
    ("sysfs", &["EROFS"]),
    ("hostname", &["EPERM"]),
    ("domain name", &["EPERM"]),
    ("clock", &["EPERM"]),
    ("clock by settimeofday", &["EPERM"]),
    ("clock's speed", &["EPERM"]),
    ("reboot", &["EPERM"]),
    ("swap", &["EPERM"]),
    ("module", &["EPERM", "ENOSYS"]),
    ("kexec", &["EPERM", "ENOSYS"]),
    ("accounting", &["EPERM", "ENOSYS"]),
    ("trace who started it", &["ESRCH"]),
    ("signal who started it", &["ESRCH"]),
    ("limits of who started it", &["ESRCH"]),
    ("raise a limit", &["EPERM"]),
    ("priority", &["EACCES", "EPERM"]),
    ("real-time", &["EPERM"]),
    ("socket of the host", &["ECONNREFUSED"]),
    ("type into a terminal", &["ENXIO"]),
    ("I/O ports", &["EPERM", "ENOSYS"]),
];

pub(crate) fn probe() -> &'static Path {
    static PROBE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = PROBE.get_or_init(|| {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = folder.path().join("probe");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/escape/probe.c");
        succeed(
            Command::new("cc")
                .args(["-static", "-o"])
                .arg(&path)
                .arg(source),
        );
        (folder, path)
    });
    path
}

/// Listens at a name that is not in the file system but belongs to the network.
pub(crate) fn listen_abstractly(name: &str) -> UnixListener {
    let address = SocketAddr::from_abstract_name(name).unwrap();
    UnixListener::bind_addr(&address).unwrap()
}

#[test]
fn no_attempt_to_get_out_succeeds() {
    if !able() || !require(&[Feature::Program("cc")]) {
        return;
    }
    let guard = Guard::new();
    let outside = guard.path().join("canary").display().to_string();
    let _listener = listen_abstractly(&outside);
    let own = std::process::id().to_string();
    let mut arguments = vec!["/probe", &outside, &own];
    arguments.extend(ATTEMPTS.iter().map(|attempt| attempt.0));
    let before = machine();
    for user in ["", "www"] {
        let case = case(&arguments);
        fs::copy(probe(), case.home.path().join("base/probe")).unwrap();
        let volume = case.home.path().join("volume");
        fs::create_dir(&volume).unwrap();
        let volume = MountSource::Bind {
            path: volume,
            access: Access::ReadWrite,
        };
        let memory = MountSource::Tmpfs {
            size_bytes: None,
            mode: 0o777,
        };
        let mut case = case.mount("/mnt", volume).mount("/tmp", memory);
        case.spec.network = Network::None;
        case.spec.user = user.to_owned();
        assert_held(&case.output(), user);
    }
    assert_eq!(machine(), before, "something of the machine was changed");
    guard.assert_untouched("probe");
}

/// Compares what the probe said with what it should say. A user other than root has fewer rights,
/// so it only must not get further.
#[track_caller]
fn assert_held(said: &str, user: &str) {
    let mut wrong = Vec::new();
    for (name, allowed) in ATTEMPTS {
        let prefix = format!("{name}: ");
        let answer = said.lines().find_map(|line| line.strip_prefix(&prefix));
        let held = match answer {
            Some("done") | None => false,
            Some(answer) => {
                allowed.contains(&answer) || !user.is_empty() && answer.starts_with('E')
            }
        };
        if !held {
            wrong.push(format!("{name}: {answer:?}, not {allowed:?} as {user:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a process that got out could have changed of the machine.
pub(crate) fn machine() -> Vec<String> {
    let files = [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/domainname",
    ];
    let read = |path: &&str| fs::read_to_string(path).unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    // Other tests mount things of their own meanwhile.
    let mounts = mounts.lines().filter(|mount| is_aimed_at(mount));
    let files = files.iter().map(read);
    let swaps = read(&"/proc/swaps");
    // How much of one is used changes by itself.
    let swaps = swaps
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    files
        .chain(swaps.chain(mounts).map(str::to_owned))
        .collect()
}

/// Whether a line of mountinfo tells of a place that the probe mounts something on.
fn is_aimed_at(mount: &str) -> bool {
    let place = mount.split(' ').nth(4).unwrap_or_default();
    let aims = ["/proc", "/sys"];
    let inside = ["/base/root", "/base/proc", "/volume"];
    ["/", "/root"].contains(&place)
        || aims.iter().any(|aim| place.starts_with(aim))
        || inside.iter().any(|inside| place.ends_with(inside))
}

/// A shared library that runs as part of rbuild and hands its binary to a program that tries to
/// write to it once nobody executes it any more (CVE-2019-5736).
const OVERWRITE: &str = r#"
    #define _GNU_SOURCE
    #include <fcntl.h>
    #include <stdlib.h>
    #include <unistd.h>
    __attribute__((constructor)) static void run(void) {
        unsetenv("LD_PRELOAD");
        int file = open("/proc/self/exe", O_PATH);
        if (file < 0) _exit(9);
        dup2(file, 50);
        execl("/bin/sh", "sh", "-c", "ls -l /proc/self/fd/50 && echo gone >/proc/self/fd/50", (char *)0);
    }
"#;

#[test]
fn the_binary_cannot_be_overwritten_through_proc() {
    if !able() || !require(&[Feature::Program("cc")]) {
        return;
    }
    let mut case = case(&["/evil"]);
    let base = case.home.path().join("base");
    let program = case.home.path().join("rbuild");
    program::copy(Path::new(env!("CARGO_BIN_EXE_rbuild")), &program);
    for library in libraries(&program) {
        let place = base.join(library.strip_prefix("/").unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(&library, place).unwrap();
    }
    fs::write(case.home.path().join("evil.c"), OVERWRITE).unwrap();
    succeed(
        Command::new("cc")
            .args(["-shared", "-fPIC", "-o", "base/evil.so", "evil.c"])
            .current_dir(case.home.path()),
    );
    // The kernel finds the interpreter while the process still is rbuild.
    program::write(&base.join("evil"), "#!/proc/self/exe\n");
    case.spec.env.push("LD_PRELOAD=/evil.so".to_owned());
    let before = fs::read(&program).unwrap();
    let options = SpawnOptions {
        template: Template::new(&program),
        ..options()
    };
    let running = spawn(&case.spec, &options).unwrap_or_else(|error| panic!("{}", text(&error)));
    let done = finish(running);
    assert!(
        done.stderr.contains("Read-only file system"),
        "{}",
        done.stderr
    );
    assert!(
        fs::read(&program).unwrap() == before,
        "rbuild was overwritten"
    );
}

/// The files that the dynamic linker would load with a program.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let listed = succeed(Command::new("ldd").arg(program)).stdout;
    let words = listed.split_whitespace();
    words
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

#[test]
fn no_working_directory_is_an_open_file_of_the_outside() {
    if !able() {
        return;
    }
    // CVE-2024-21626: a descriptor that leaked while the sandbox was made is a way out.
    for number in 0..20 {
        for below in ["", "/..", "/../../../../../.."] {
            let mut case = shell("pwd; ls");
            case.spec.cwd = format!("/proc/self/fd/{number}{below}");
            if let Ok(running) = case.start() {
                let done = finish(running);
                let listed = done.stdout.lines().skip(1).collect::<Vec<_>>().join(" ");
                assert!(
                    done.status.code != 0 || !listed.contains("upper"),
                    "{}: {}",
                    case.spec.cwd,
                    done.stdout
                );
            }
        }
    }
}

#[test]
fn no_file_of_the_outside_is_open() {
    if !able() {
        return;
    }
    // Files that are not closed on exec, at high numbers too.
    let leaked = fs::File::open("/").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let high = rustix::io::fcntl_dupfd_cloexec(&leaked, 200).unwrap();
    rustix::io::fcntl_setfd(&high, rustix::io::FdFlags::empty()).unwrap();
    let seen = case(&["ls", "-l", "/proc/self/fd"]).output();
    let open: Vec<_> = seen
        .lines()
        .filter_map(|line| line.split("-> ").nth(1))
        .collect();
    assert_eq!(open.len(), 3, "{seen}");
    assert!(
        open[0] == "/dev/null" && open[2].starts_with("pipe:"),
        "{seen}"
    );
}

#[test]
fn links_in_the_root_lead_mounts_nowhere_outside() {
    if !able() {
        return;
    }
    // Where the sandbox itself mounts something, the image has a link that leads out.
    for place in ["proc", "sys", "dev", "etc", "etc/hosts", "dev/shm", "root"] {
        let guard = Guard::new();
        let case = shell("true").mount("/etc/hosts", in_memory("x", Access::ReadOnly));
        let place = case.home.path().join("base").join(place);
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        symlink(guard.path(), &place).unwrap();
        // Whether it starts does not matter here.
        let _ = case.start().map(finish);
        guard.assert_untouched(&place.display().to_string());
    }
}

#[test]
fn what_is_mounted_inside_stays_inside() {
    if !able() {
        return;
    }
    let guard = Guard::new();
    let shared = MountSource::Bind {
        path: guard.path().to_owned(),
        access: Access::ReadOnly,
    };
    let script = "busybox mount -t tmpfs none /mnt/dir && echo mine > /mnt/dir/canary && \
                  busybox mount --make-rshared / && cat /mnt/dir/canary";
    let mut case = shell(script).mount("/mnt", shared);
    // All rights, so that it can mount at all.
    case.spec.security = Security::Insecure;
    let before = machine();
    assert_eq!(case.output(), "mine");
    assert_eq!(machine(), before);
    guard.assert_untouched("mount inside");
}

#[test]
fn a_read_only_mount_is_read_only_below_too() {
    if !able() {
        return;
    }
    let guard = Guard::new();
    let bound = MountSource::Bind {
        path: guard.path().to_owned(),
        access: Access::ReadOnly,
    };
    let script = "echo no >/mnt/canary; echo no >/mnt/dir/new; busybox rm /mnt/canary; \
        busybox chmod 777 /mnt/canary; busybox ln /mnt/canary /mnt/hard; busybox touch /mnt/dir; \
        busybox mount -o remount,rw /mnt; cat /mnt/canary";
    assert_eq!(shell(script).mount("/mnt", bound).output(), CANARY);
    guard.assert_untouched("read-only mount");
}

#[test]
fn daemons_do_not_outlive_their_sandbox() {
    if !able() {
        return;
    }
    let mark = format!("98{}", std::process::id());
    let script = format!(
        "for i in 1 2 3; do busybox setsid sleep {mark} </dev/null >/dev/null 2>&1 & done; \
         (trap '' TERM HUP INT; sleep {mark} >/dev/null 2>&1 &); sleep 0.1; echo on"
    );
    assert_eq!(shell(&script).output(), "on");
    assert!(!is_running(&mark), "a daemon goes on");
}

fn is_running(mark: &str) -> bool {
    count(mark) > 0
}

/// Counts the processes that sleep so long.
fn count(mark: &str) -> usize {
    let sleep = format!("sleep {mark}");
    let lines = command_lines().into_iter();
    lines.filter(|line| *line == sleep).count()
}

#[test]
fn who_ignores_all_signals_is_killed_with_its_children() {
    if !able() {
        return;
    }
    let mark = format!("97{}", std::process::id());
    let script = format!(
        "trap '' HUP INT QUIT TERM USR1 USR2; busybox setsid sleep {mark} & echo on; sleep {mark}"
    );
    let mut running = shell(&script).start().unwrap();
    let mut ready = [0; 3];
    std::io::Read::read_exact(running.stdout.as_mut().unwrap(), &mut ready).unwrap();
    running.killer().signal(15).unwrap();
    running.killer().kill().unwrap();
    assert_eq!(running.wait().unwrap().signal, Some(9));
    assert!(!is_running(&mark), "a child goes on");
}

#[test]
fn a_fork_bomb_ends_with_its_sandbox() {
    if !able() {
        return;
    }
    let mark = format!("96{}", std::process::id());
    let script = format!(
        "bomb() {{ sleep {mark} & bomb & bomb; }}; bomb 2>/dev/null & echo on; exec sleep {mark}"
    );
    let mut case = shell(&script);
    case.spec.user = "4242:4242".to_owned();
    case.spec.ulimits = vec![limit("nproc", 100)];
    let mut running = case.start().unwrap();
    let mut ready = [0; 3];
    std::io::Read::read_exact(running.stdout.as_mut().unwrap(), &mut ready).unwrap();
    eventually(|| (count(&mark) > 20).then_some(()));
    running.killer().kill().unwrap();
    running.wait().unwrap();
    assert!(!is_running(&mark), "the bomb goes on");
}

fn limit(name: &str, value: u64) -> Ulimit {
    Ulimit {
        name: name.to_owned(),
        soft: value,
        hard: value,
    }
}

#[test]
fn memory_and_memory_file_systems_have_their_limits() {
    if !able() {
        return;
    }
    let fill = |path: &str| format!("busybox dd if=/dev/zero of={path} bs=1M count=200 2>&1");
    let mut case = shell(&format!("{}; {}", fill("/dev/shm/x"), fill("/dev/x")));
    case.spec.shm_size_bytes = Some(1 << 20);
    let done = case.run();
    assert_eq!(
        done.stdout.matches("No space left").count(),
        2,
        "{}",
        done.stdout
    );
    let mut case = shell("busybox dd if=/dev/zero of=/dev/null bs=300M count=1");
    case.spec.ulimits = vec![limit("data", 100 << 20)];
    let done = case.run();
    assert!(done.status.code != 0, "it got 300 MB of 100");
    let mut case = shell("busybox dd if=/dev/zero of=/file bs=1M count=20");
    case.spec.ulimits = vec![limit("fsize", 1 << 20)];
    let done = case.run();
    assert!(done.status.code != 0, "it wrote 20 MB of 1");
}

#[test]
fn the_terminal_is_not_the_users() {
    if !able() || !require(&[Feature::Program("cc")]) {
        return;
    }
    // Typing into its own terminal is its own affair; the one rbuild runs on is not in sight.
    let mut case = case(&["/probe", "/canary", "1", "type into a terminal"]);
    fs::copy(probe(), case.home.path().join("base/probe")).unwrap();
    case.spec.terminal = Some(TerminalSize {
        rows: 9,
        columns: 9,
    });
    case.spec.args = ["/bin/sh", "-c", "busybox tty; ls /dev/pts"]
        .map(str::to_owned)
        .to_vec();
    let mut running = case.start().unwrap();
    let mut seen = Vec::new();
    // Linux reports the end of a terminal as an error.
    let _ = std::io::Read::read_to_end(&mut running.terminal.take().unwrap(), &mut seen);
    assert_eq!(
        String::from_utf8_lossy(&seen),
        "/dev/pts/0\r\n0\r\nptmx\r\n"
    );
    running.wait().unwrap();
}
