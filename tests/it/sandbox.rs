//! Sandboxes with a real kernel under them, on a root file system made of busybox.

pub(crate) mod calls;
pub(crate) mod escape;

use std::fs;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
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
use rbuild::sandbox::SpawnOptions;
use rbuild::sandbox::Spec;
use rbuild::sandbox::Template;
use rbuild::sandbox::TerminalSize;
use rbuild::sandbox::Ulimit;
use rbuild::sandbox::spawn;

use crate::support::Feature;
use crate::support::program;
use crate::support::require;
use crate::support::wait::PATIENCE;

mod limits;
mod mounts;
mod network;
mod template;
mod user;

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
fn the_host_name_is_the_specs() {
    if !able() {
        return;
    }
    let mut case = case(&["busybox", "hostname"]);
    case.spec.hostname = "elsewhere".to_owned();
    assert_eq!(case.output(), "elsewhere");
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
