//! `rbuild run`: real processes on a real image.

mod keepers;

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Signal;

use crate::support::Feature;
use crate::support::port::free_port;
use crate::support::processes::command_lines;
use crate::support::processes::signal;
use crate::support::require;
use crate::support::wait::PATIENCE;
use crate::support::wait::wait_until;

/// A store with an image `box` that consists of busybox.
struct Home(tempfile::TempDir);

impl Home {
    /// Builds the image; none, with the reason printed, where that is not possible.
    fn new() -> Option<Self> {
        let busybox = Feature::Program("busybox");
        if !require(&[
            Feature::Root,
            Feature::Namespaces,
            Feature::Overlay,
            busybox,
        ]) {
            return None;
        }
        let home = Self(tempfile::tempdir().unwrap());
        let context = home.path().join("context");
        fs::create_dir(&context).unwrap();
        fs::copy(busybox_path(), context.join("busybox")).unwrap();
        fs::write(
            context.join("Dockerfile"),
            "FROM scratch\nCOPY busybox /bin/\nRUN [\"/bin/busybox\", \"--install\", \"/bin\"]\n\
             RUN mkdir -p /tmp /etc && echo root:x:0:0::/root:/bin/sh > /etc/passwd\n\
             ENV COLOR=blue\nWORKDIR /srv\nCMD [\"cat\", \"/etc/passwd\"]\n",
        )
        .unwrap();
        let built = home.rbuild(&["-q", "-t", "box", "context"]);
        assert!(built.status.success(), "{built:?}");
        Some(home)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        self.started_by(env!("CARGO_BIN_EXE_rbuild"), args)
    }

    /// A program that may start rbuild.
    fn started_by(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.path())
            .env("RBUILD_ROOT", self.path().join("root"))
            .env("LENT", "from outside")
            .current_dir(self.path())
            .stdin(Stdio::null())
            .args(args);
        command
    }

    fn rbuild(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a shell command in the image and gives its code and what it wrote.
    fn sh(&self, options: &[&str], script: &str) -> (i32, String) {
        let mut args = vec!["run"];
        args.extend_from_slice(options);
        args.extend_from_slice(&["box", "sh", "-c", script]);
        let output = self.rbuild(&args);
        let mut text = String::from_utf8(output.stdout).unwrap();
        text.push_str(&String::from_utf8(output.stderr).unwrap());
        (output.status.code().unwrap(), text)
    }

    /// Starts a shell command and waits for its first line.
    fn start(&self, options: &[&str], script: &str) -> (Child, BufReader<ChildStdout>) {
        let mut args = vec!["run"];
        args.extend_from_slice(options);
        args.extend_from_slice(&["box", "sh", "-c", script]);
        let mut child = self.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        assert_eq!(first, "ready\n");
        (child, lines)
    }

    fn writable_layers(&self) -> Vec<String> {
        let snapshots = fs::read_dir(self.path().join("root/snapshots")).unwrap();
        snapshots
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(".tmp"))
            .collect()
    }

    /// Asserts that no writable layer and no mount is left.
    fn is_clean(&self) {
        let left = self.writable_layers();
        assert!(left.is_empty(), "{left:?}");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(
            !mounts.contains(&*self.path().to_string_lossy()),
            "{mounts}"
        );
    }
}

fn busybox_path() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("busybox"))
        .find(|candidate| candidate.is_file())
        .unwrap()
}

#[test]
fn the_exit_code_is_the_processs() {
    let Some(home) = Home::new() else { return };
    assert_eq!(home.sh(&[], "exit 7").0, 7);
    assert_eq!(home.sh(&[], "sh -c 'kill -9 $$'; exit $?").0, 137);
    let missing = home.rbuild(&["run", "box", "nosuch"]);
    assert_eq!(missing.status.code(), Some(127), "{missing:?}");
    let directory = home.rbuild(&["run", "box", "/srv"]);
    assert_eq!(directory.status.code(), Some(126), "{directory:?}");
    let image = home.rbuild(&["run", "--pull=never", "nosuch", "true"]);
    assert_eq!(image.status.code(), Some(125), "{image:?}");
    home.is_clean();
}

#[test]
fn who_takes_too_much_memory_is_told() {
    let Some(home) = Home::new() else { return };
    let script = "x=0123456789abcdef; while :; do x=$x$x; done";
    let run = home.rbuild(&["run", "--memory=32m", "box", "sh", "-c", script]);
    let said = String::from_utf8_lossy(&run.stderr);
    if said.contains("without control groups") {
        return crate::support::skip("this machine has no memory cgroup");
    }
    assert_eq!(run.status.code(), Some(137), "{said}");
    assert!(said.contains("more than the 32 MiB of memory"), "{said}");
    // And who was not there to see it.
    let limit = ["run", "-d", "--name", "web", "--memory=32m"];
    let started = home.rbuild(&[&limit[..], &["box", "sh", "-c", script]].concat());
    assert!(started.status.success(), "{started:?}");
    let told = home.rbuild(&["logs", "-f", "web"]);
    let said = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{said}");
    assert!(said.contains("more than the 32 MiB of memory"), "{said}");
    let listed = String::from_utf8(home.rbuild(&["ps", "-a"]).stdout).unwrap();
    assert!(listed.contains("exited (137), out of memory"), "{listed}");
    let listed = home.rbuild(&["ps", "-a", "--format", "json"]).stdout;
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    assert_eq!(listed["exceeded"]["memory"], 32 << 20, "{listed}");
}

#[test]
fn the_images_config_holds_unless_told_otherwise() {
    let Some(home) = Home::new() else { return };
    let plain = home.rbuild(&["run", "box"]);
    assert_eq!(plain.stdout, b"root:x:0:0::/root:/bin/sh\n", "{plain:?}");
    let (_, seen) = home.sh(&[], "echo $COLOR $PWD $HOME $(id -u) ${#HOSTNAME}");
    assert_eq!(seen, "blue /srv /root 0 12\n");
    let options = ["-e", "COLOR=red", "-e", "LENT", "-e", "UNSET", "-w", "/new"];
    let (_, seen) = home.sh(&options, "echo $COLOR $LENT ${UNSET-none} $PWD");
    assert_eq!(seen, "red from outside none /new\n");
    let options = [
        "-u",
        "12:34",
        "--hostname",
        "here",
        "--add-host",
        "db:10.1.2.3",
    ];
    let (_, seen) = home.sh(&options, "id -u; id -g; hostname; grep db /etc/hosts");
    assert_eq!(seen, "12\n34\nhere\n10.1.2.3\tdb\n");
    let entry = home.rbuild(&["run", "--entrypoint", "echo", "box", "-n", "--rm"]);
    assert_eq!(entry.stdout, b"--rm", "{entry:?}");
}

#[test]
fn what_is_written_is_gone_unless_it_is_a_volume() {
    let Some(home) = Home::new() else { return };
    fs::create_dir(home.path().join("shared")).unwrap();
    let options = ["-v", "./shared:/shared"];
    assert_eq!(
        home.sh(&options, "echo hi > /shared/file; echo hi > /file")
            .0,
        0
    );
    assert_eq!(
        fs::read_to_string(home.path().join("shared/file")).unwrap(),
        "hi\n"
    );
    assert_eq!(home.sh(&[], "test -e /file").0, 1);
    let (code, text) = home.sh(&["-v", "./shared:/shared:ro"], "echo no > /shared/file");
    assert!(code != 0 && text.contains("Read-only"), "{text}");
    let (code, text) = home.sh(&["--read-only"], "echo no > /file");
    assert!(code != 0 && text.contains("Read-only"), "{text}");
    let (code, text) = home.sh(&["-v", "./gone:/x"], "true");
    assert!(code == 125 && text.contains("gone"), "{text}");
    home.is_clean();
}

#[test]
fn the_volumes_of_an_image_can_be_written_and_are_thrown_away() {
    let Some(home) = Home::new() else { return };
    fs::create_dir(home.path().join("volumes")).unwrap();
    fs::create_dir(home.path().join("mine")).unwrap();
    let text = "FROM box\nRUN mkdir -m 750 /data && echo there > /data/file && chown 12 /data\n\
                VOLUME /data /new /mine /etc/resolv.conf\n";
    fs::write(home.path().join("volumes/Dockerfile"), text).unwrap();
    let built = home.rbuild(&["-q", "-t", "volumes", "volumes"]);
    assert!(built.status.success(), "{built:?}");
    let script = "cat /data/*; stat -c %a:%u /data /new; touch /data/x /new/x; \
                  touch /mine/x || touch /x || echo refused";
    let protected = ["run", "--read-only", "-v", "./mine:/mine:ro"];
    let of_root = ["--isolation=chroot", "run", "-v", "./mine:/mine:ro"];
    for (options, expected) in [
        (&protected[..], "there\n750:12\n755:0\nrefused\n"),
        (&protected, "there\n750:12\n755:0\nrefused\n"),
        (&["run"], "there\n750:12\n755:0\n"),
        (&of_root, "there\n750:12\n755:0\n"),
    ] {
        let args = [options, &["volumes", "sh", "-c", script]].concat();
        let done = home.rbuild(&args);
        let seen = String::from_utf8_lossy(&done.stdout);
        assert_eq!(seen, expected, "{args:?}: {done:?}");
    }
    // In a chroot a volume is a copy, as the README says.
    assert_eq!(fs::read_dir(home.path().join("mine")).unwrap().count(), 0);
    home.is_clean();
}

#[test]
fn standard_input_is_passed_on_only_when_asked() {
    let Some(home) = Home::new() else { return };
    for (options, expected) in [(&["-i"][..], "typed"), (&[], "")] {
        let mut args = vec!["run"];
        args.extend_from_slice(options);
        args.extend_from_slice(&["box", "cat"]);
        let mut child = home
            .command(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Nobody reads it in the second case.
        let _ = child.stdin.take().unwrap().write_all(b"typed");
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}

#[test]
fn signals_reach_the_process() {
    let Some(home) = Home::new() else { return };
    let script = "trap 'echo heard; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let (mut child, mut lines) = home.start(&[], script);
    signal(child.id(), Signal::TERM);
    let mut heard = String::new();
    lines.read_to_string(&mut heard).unwrap();
    assert_eq!(
        (child.wait().unwrap().code(), heard.as_str()),
        (Some(3), "heard\n")
    );
    home.is_clean();
}

#[test]
fn who_does_not_heed_three_signals_is_killed() {
    let Some(home) = Home::new() else { return };
    let script = "trap 'echo heard' INT; echo ready; while :; do sleep 0.05; done";
    let (mut child, mut lines) = home.start(&[], script);
    for _ in 0..2 {
        // Two signals that arrive at once count as one.
        signal(child.id(), Signal::INT);
        let mut heard = String::new();
        lines.read_line(&mut heard).unwrap();
        assert_eq!(heard, "heard\n");
    }
    signal(child.id(), Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(137));
    home.is_clean();
}

#[test]
fn nothing_survives_a_killed_rbuild() {
    let Some(home) = Home::new() else { return };
    let sleep = format!("sleep 95{}", std::process::id());
    let script = format!("echo ready; {sleep}");
    let (mut child, _lines) = home.start(&["--name", "web"], &script);
    signal(child.id(), Signal::KILL);
    child.wait().unwrap();
    wait_until("the process is gone", || !command_lines().contains(&sleep));
    assert_eq!(
        home.sh(&["--name", "web"], "true").0,
        0,
        "the name is free again"
    );
    assert_eq!(home.rbuild(&["prune"]).status.code(), Some(0));
    home.is_clean();
}

#[test]
fn a_name_is_one_runs_at_a_time() {
    let Some(home) = Home::new() else { return };
    let (mut child, _lines) = home.start(&["--name", "web"], "echo ready; sleep 1000");
    let (code, text) = home.sh(&["--name", "web"], "true");
    assert!(code == 125 && text.contains("\"web\" is in use"), "{text}");
    signal(child.id(), Signal::KILL);
    child.wait().unwrap();
}

#[test]
fn a_published_port_leads_into_the_processs_own_network() {
    let Some(home) = Home::new() else { return };
    let port = free_port();
    let publish = format!("127.0.0.1:{port}:8000");
    let script = "mkdir /www; echo found > /www/page; echo ready; exec httpd -f -p 8000 -h /www";
    let (mut child, _lines) = home.start(&["-p", &publish], script);
    let begun = Instant::now();
    let answer = loop {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let mut answer = String::new();
        // Until the server listens, connections are accepted and closed.
        let _ = stream.write_all(b"GET /page HTTP/1.0\r\n\r\n");
        let _ = stream.read_to_string(&mut answer);
        if !answer.is_empty() {
            break answer;
        }
        assert!(begun.elapsed() < PATIENCE, "the server does not answer");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(answer.ends_with("found\n"), "{answer}");
    let (code, text) = home.sh(&["-p", &publish], "true");
    assert!(code == 125 && text.contains("cannot listen"), "{text}");
    signal(child.id(), Signal::KILL);
    child.wait().unwrap();
}

#[test]
fn a_program_with_a_published_port_may_end_at_once() {
    let Some(home) = Home::new() else { return };
    let publish = format!("127.93.11.7:{}:8000", free_port());
    for network in ["default", "none"] {
        for _ in 0..10 {
            let (code, text) = home.sh(&["-p", &publish, "--network", network], "exit 3");
            assert_eq!(code, 3, "{network}: {text}");
        }
    }
}

#[test]
fn a_server_in_the_background_is_listed_read_stopped_and_forgotten() {
    let Some(home) = Home::new() else { return };
    let text = |args: &[&str]| {
        let output = home.rbuild(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let id = text(&["run", "-d", "--name", "web", "box", "sh", "-c", script]);
    let id = id.trim_end();
    assert_eq!(id.len(), 12, "{id}");
    let again = home.rbuild(&["run", "-d", "--name", "web", "box", "true"]);
    assert_eq!(again.status.code(), Some(125), "{again:?}");
    let listed: serde_json::Value =
        serde_json::from_str(&text(&["ps", "--format", "json"])).unwrap();
    assert_eq!(listed["id"], *id);
    assert_eq!(listed["name"], *"web");
    assert_eq!(listed["running"], true);
    // What it runs on is in use, and pruning goes on all the same.
    text(&["prune", "--all"]);
    wait_until("it writes", || text(&["logs", "web"]) == "ready\n");
    let running = home.rbuild(&["rm", "web"]);
    assert!(!running.status.success(), "{running:?}");
    let follow = home
        .command(&["logs", "-f", "web"])
        .stdout(Stdio::piped())
        .spawn();
    let stopped = text(&["stop", "-t", "300", &id[..4]]);
    assert_eq!(stopped, format!("{}\n", &id[..4]));
    let followed = follow.unwrap().wait_with_output().unwrap();
    assert_eq!(followed.stdout, b"ready\nbye\n");
    assert!(!text(&["ps"]).contains("web"));
    assert!(text(&["ps", "-a"]).contains("exited (3)"));
    text(&["rm", "web"]);
    assert!(!text(&["ps", "-a"]).contains("web"));
    home.is_clean();
}

#[test]
fn a_container_whose_keeper_was_killed_is_told_so() {
    let Some(home) = Home::new() else { return };
    let started = home.rbuild(&["run", "-d", "--name", "web", "box", "sleep", "54321"]);
    assert!(started.status.success(), "{started:?}");
    let listed = home.rbuild(&["ps", "--format", "json"]).stdout;
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    let keeper = listed["pid"].as_u64().unwrap();
    signal(keeper.try_into().unwrap(), Signal::KILL);
    wait_until("it is listed as killed", || {
        let listed = home.rbuild(&["ps", "-a"]).stdout;
        String::from_utf8(listed).unwrap().contains("killed")
    });
    assert!(home.rbuild(&["rm", "web"]).status.success());
    // The name is free again.
    let again = home.rbuild(&[
        "run", "-d", "--rm", "--name", "web", "box", "sleep", "54321",
    ]);
    assert!(again.status.success(), "{again:?}");
    assert!(home.rbuild(&["rm", "-f", "web"]).status.success());
}

#[test]
fn who_cannot_be_started_in_the_background_is_told_at_once() {
    let Some(home) = Home::new() else { return };
    let missing = home.rbuild(&["run", "-d", "box", "nosuch"]);
    assert_eq!(missing.status.code(), Some(127), "{missing:?}");
    assert!(
        String::from_utf8_lossy(&missing.stderr).contains("nosuch"),
        "{missing:?}"
    );
    for flags in ["-di", "-dt", "-dit"] {
        let refused = home.rbuild(&["run", flags, "box", "sh"]);
        assert_eq!(refused.status.code(), Some(125), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("leave those out"), "{said}");
    }
    assert_eq!(home.rbuild(&["ps", "-a", "--format", "json"]).stdout, b"");
    let short = home.rbuild(&["run", "-d", "--rm", "box", "true"]);
    assert!(short.status.success(), "{short:?}");
}

/// Reads what a container wrote until it is what is waited for.
fn await_log(home: &Home, name: &str, is_it: impl Fn(&str) -> bool) -> String {
    let begun = Instant::now();
    loop {
        let output = home.rbuild(&["logs", name]);
        let text = String::from_utf8(output.stdout).unwrap();
        if is_it(&text) {
            return text;
        }
        assert!(begun.elapsed() < PATIENCE, "{} bytes are read", text.len());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_container_is_stopped_by_the_signal_that_its_image_names() {
    let Some(home) = Home::new() else { return };
    fs::create_dir(home.path().join("named")).unwrap();
    let text = "FROM box\nSTOPSIGNAL SIGUSR1\n";
    fs::write(home.path().join("named/Dockerfile"), text).unwrap();
    let built = home.rbuild(&["-q", "-t", "named", "named"]);
    assert!(built.status.success(), "{built:?}");
    let script = "trap 'echo asked; exit 4' USR1; trap 'echo told; exit 5' TERM; echo ready; \
                  while :; do sleep 0.05; done";
    let started = home.rbuild(&["run", "-d", "--name", "web", "named", "sh", "-c", script]);
    assert!(started.status.success(), "{started:?}");
    await_log(&home, "web", |log| log == "ready\n");
    assert!(home.rbuild(&["stop", "-t", "60", "web"]).status.success());
    await_log(&home, "web", |log| log == "ready\nasked\n");
    let mut child = home
        .command(&["run", "named", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    lines.read_line(&mut said).unwrap();
    signal(child.id(), Signal::TERM);
    lines.read_to_string(&mut said).unwrap();
    let code = child.wait().unwrap().code();
    assert_eq!((code, said.as_str()), (Some(4), "ready\nasked\n"));
}

#[test]
fn the_log_of_a_container_has_an_end() {
    const MOST_BYTES: u64 = 32 << 20;
    let Some(home) = Home::new() else { return };
    let script = "yes 0123456789abcde | head -n 2200000; echo errors >&2; echo last";
    let started = home.rbuild(&["run", "-d", "--name", "web", "box", "sh", "-c", script]);
    assert!(started.status.success(), "{started:?}");
    let is_whole = |log: &str| log.contains("\nlast\n") && log.contains("\nerrors\n");
    await_log(&home, "web", is_whole);
    // Who reads while it is written may read more than is kept.
    let log = await_log(&home, "web", is_whole);
    wait_until("it has ended, and nothing is written any more", || {
        let listed = home.rbuild(&["ps", "-a"]).stdout;
        String::from_utf8(listed).unwrap().contains("exited (0)")
    });
    assert!(log.len() as u64 <= MOST_BYTES, "{} bytes", log.len());
    let folder = home.path().join("root/containers");
    let container = fs::read_dir(folder).unwrap().flatten();
    let files = container.filter_map(|entry| fs::read_dir(entry.path()).ok());
    let sizes = files
        .flatten()
        .flatten()
        .map(|file| file.metadata().unwrap().len());
    let sum: u64 = sizes.sum();
    assert!(sum <= MOST_BYTES + 4096, "{sum} bytes");
    assert!(home.rbuild(&["rm", "-f", "web"]).status.success());
}

#[test]
fn no_program_gives_more_rights_where_that_is_forbidden() {
    let Some(home) = Home::new() else { return };
    let script = "grep NoNewPrivs /proc/self/status";
    let (_, plain) = home.sh(&[], script);
    assert!(plain.starts_with("NoNewPrivs:\t0\n"), "{plain}");
    for flag in ["no-new-privileges", "no-new-privileges:true"] {
        let (_, forbidden) = home.sh(&["--security-opt", flag], script);
        assert!(
            forbidden.starts_with("NoNewPrivs:\t1\n"),
            "{flag}: {forbidden}"
        );
    }
}

#[test]
fn the_network_is_ones_own_unless_the_hosts_is_asked_for() {
    let Some(home) = Home::new() else { return };
    if !require(&[Feature::Program("slirp4netns")]) {
        return;
    }
    let interfaces = |flags: &[&str]| {
        let (code, text) = home.sh(flags, "cat /proc/net/dev");
        assert_eq!(code, 0, "{text}");
        let devices = text.lines().filter(|line| !line.starts_with('#'));
        let names = devices.filter_map(|line| line.trim().split_once(':'));
        names.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(interfaces(&[]), ["lo", "tap0"]);
    assert_eq!(interfaces(&["--network", "none"]), ["lo"]);
    let host = fs::read_to_string("/proc/net/dev").unwrap();
    let seen = interfaces(&["--network", "host"]);
    assert!(seen.iter().all(|name| host.contains(&format!("{name}:"))));
    assert!(!seen.contains(&"tap0".to_owned()));
}

#[test]
fn a_process_whose_terminal_is_gone_ends() {
    if !require(&[Feature::Program("script")]) {
        return;
    }
    let Some(home) = Home::new() else { return };
    fs::write(
        home.path().join("stubborn"),
        "trap '' HUP; test -t 0; tty=$?; echo \"ready $tty\"; sleep 100000; sleep 100000",
    )
    .unwrap();
    let rbuild = env!("CARGO_BIN_EXE_rbuild");
    let way = "/bin:/usr/bin";
    for isolation in ["namespace", "chroot"] {
        let run = format!(
            "exec {rbuild} --isolation={isolation} run --rm -it box sh -c \"$(cat stubborn)\""
        );
        // It makes the terminal, which is gone with it.
        let mut script = home.started_by("script", &["-q", "-c", &run, "/dev/null"]);
        script.env("PATH", way).env("SHELL", "/bin/sh");
        // What it reads does not end: it would type that.
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().unwrap();
        let lines = BufReader::new(script.stdout.take().unwrap()).lines();
        let ready = lines
            .map_while(Result::ok)
            .any(|line| line.trim_end().ends_with("ready 0"));
        assert!(ready, "{isolation}");
        script.kill().unwrap();
        script.wait().unwrap();
        let begun = Instant::now();
        while !home.writable_layers().is_empty() {
            assert!(begun.elapsed() < PATIENCE, "{isolation}: it goes on");
            std::thread::sleep(Duration::from_millis(50));
        }
        home.is_clean();
    }
}
