//! What a build's commands can reach and take, from the command line on.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::thread;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::output;
use crate::support::home::succeed;
use crate::support::modes::within;
use crate::support::require;
use crate::support::wait::wait_until;

const NEEDS: [Feature; 4] = [
    Feature::Root,
    Feature::Namespaces,
    Feature::Program("busybox"),
    Feature::Program("slirp4netns"),
];

/// A build of one command of busybox's shell.
fn build(home: &Home, command: &str) -> Command {
    build_with(home, "", command)
}

fn build_with(home: &Home, flags: &str, command: &str) -> Command {
    let dockerfile = format!(
        "FROM scratch\nCOPY --from=host busybox /bin/sh\n\
         RUN {flags} [\"/bin/sh\", \"-c\", \"{command}\"]\n"
    );
    let context = home.context(&dockerfile);
    let mut build = home.build(&context);
    build.args(["--no-cache", "--build-context", "host=/bin"]);
    build
}

#[test]
fn who_takes_too_much_memory_is_told_how_much_there_is() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let script = "x=0123456789abcdef; while :; do x=$x$x; done";
    let failed = output(build(&home, script).args(["--memory", "32m"]));
    if failed.stderr.contains("without control groups") {
        return crate::support::skip("this machine has no memory cgroup");
    }
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    for part in ["more than the 32 MiB of memory", "--memory"] {
        assert!(failed.stderr.contains(part), "{}", failed.stderr);
    }
}

#[test]
fn a_store_in_a_folder_that_was_there_is_closed_to_others() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let root = home.path("root");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    succeed(&mut build_with(&home, "--mount=type=cache,target=/c", ":"));
    let mut folders: Vec<String> = Vec::new();
    for entry in fs::read_dir(&root).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            let name = entry.file_name().into_string().unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{name}");
            folders.push(name);
        }
    }
    for name in ["blobs", "mounts", "records", "snapshots"] {
        assert!(folders.iter().any(|folder| folder == name), "{folders:?}");
    }
}

#[test]
fn the_loopback_of_this_machine_is_there_only_if_asked_for() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in server.incoming() {
            drop(connection);
        }
    });
    let script = format!("nc 127.0.0.1 {port} </dev/null && echo reached || echo hidden");
    let said = |mut command: Command| succeed(&mut command).stderr;
    assert!(said(build(&home, &script)).contains(" hidden\n"));
    let mut allowed = build(&home, &script);
    allowed.args(["--network", "host"]);
    assert!(said(allowed).contains(" reached\n"));

    let refused = output(&mut build_with(&home, "--network=host", &script));
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--allow network.host"));
    let mut allowed = build_with(&home, "--network=host", &script);
    allowed.args(["--allow", "network.host"]);
    assert!(said(allowed).contains(" reached\n"));
}

/// In a container that may mount, but lacks `CAP_SYS_PTRACE`.
#[test]
fn a_network_is_reached_without_the_right_to_look_at_processes() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let build = build(&home, "cat /proc/net/dev");
    let mut confined = within(["setpriv", "--bounding-set=-sys_ptrace", "--"], &build);
    let built = succeed(&mut confined);
    assert!(built.stderr.contains(" tap0:"), "{}", built.stderr);
}

/// As on a machine that systemd has started.
#[test]
fn what_leads_a_network_outside_unmounts_nothing_where_mounts_are_shared() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let place = home.path("mounted");
    fs::create_dir(&place).unwrap();
    let script = "mount -t tmpfs a-mark \"$0\" && \"$@\" && grep a-mark /proc/self/mountinfo >&2";
    let place = place.to_str().unwrap();
    let shell = [
        "unshare",
        "-m",
        "--propagation",
        "shared",
        "sh",
        "-c",
        script,
        place,
    ];
    let built = succeed(&mut within(shell, &build(&home, "cat /proc/net/dev")));
    assert!(built.stderr.contains(" tap0:"), "{}", built.stderr);
}

#[test]
fn why_there_is_no_way_out_is_told_once_and_by_the_doctor() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let context = home.context(
        "FROM scratch\nCOPY --from=host busybox /bin/busybox\n\
         RUN [\"/bin/busybox\", \"true\"]\nRUN [\"/bin/busybox\", \"echo\"]\n",
    );
    let mut build = home.build(&context);
    build.args(["--no-cache", "--build-context", "host=/bin"]);
    // On a network of its own the machine leads none outside either.
    let script = "mount -t tmpfs none /dev/net && echo 1 > /proc/sys/net/ipv4/ip_forward && \
                  exec \"$@\"";
    let without_tun =
        |command: &Command| within(["unshare", "-m", "-n", "sh", "-c", script, "sh"], command);
    let built = succeed(&mut without_tun(&build)).stderr;
    let warning = "slirp4netns leads no network outside: open(\"/dev/net/tun\")";
    assert_eq!(built.matches(warning).count(), 1, "{built}");
    let nor_itself = "and rbuild itself leads none: this machine has no default route";
    assert!(built.contains(nor_itself), "{built}");

    let mut doctor = home.rbuild();
    let told = succeed(&mut without_tun(doctor.arg("doctor"))).stdout;
    assert!(told.contains(warning), "{told}");
    assert!(told.contains("docker run --device /dev/net/tun"), "{told}");
}

#[test]
fn a_command_finds_no_connections_of_the_one_before() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let context = home.context(
        "FROM scratch\nCOPY --from=host busybox /bin/busybox\n\
         RUN [\"/bin/busybox\", \"sh\", \"-c\", \"b=/bin/busybox; $b nc -l -p 5000 -e $b true & \
         for try in $($b seq 600); do $b nc 127.0.0.1 5000 < /dev/null && wait && exit; \
         $b sleep 0.1; done; exit 1\"]\n\
         RUN [\"/bin/busybox\", \"cat\", \"/proc/net/tcp\"]\n",
    );
    let mut build = home.build(&context);
    let built = succeed(build.args(["--no-cache", "--build-context", "host=/bin"]));
    assert!(built.stderr.contains("local_address"), "{}", built.stderr);
    assert!(!built.stderr.contains(":1388"), "{}", built.stderr);
}

#[test]
fn a_killed_build_leaves_no_process_mount_network_or_group() {
    if !require(&NEEDS) {
        return;
    }
    // To execute a program that sets the user takes back what a process asked to be killed with.
    let sets_user = "cp /bin/sh /busybox && chown 33 /busybox && chmod 4755 /busybox && \
                     echo begun && exec /busybox sleep 1000";
    for script in ["echo begun; sleep 1000 & sleep 1000", sets_user] {
        kill_build_of(script);
    }
}

fn kill_build_of(script: &str) {
    let home = Home::new();
    let mut process = build(&home, script).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let begun = lines
        .map_while(Result::ok)
        .any(|line| line.ends_with(" begun"));
    assert!(begun, "the command did not begin");
    let pid = process.id();
    assert!(!descendants(pid).is_empty());
    let family = descendants(pid);
    process.kill().unwrap();
    process.wait().unwrap();

    wait_until(&format!("none is left of {family:?}"), || {
        !family.iter().any(|pid| is_running(*pid))
    });
    let root = fs::canonicalize(home.path("root")).unwrap();
    let sees_root = |process: fs::DirEntry| {
        let mounts = fs::read_to_string(process.path().join("mountinfo"));
        mounts.is_ok_and(|mounts| mounts.contains(root.to_str().unwrap()))
    };
    // A child that it had just begun is not of those above.
    wait_until("nothing is mounted", || {
        !fs::read_dir("/proc").unwrap().flatten().any(sees_root)
    });
    // Groups go away with the next command that runs.
    succeed(&mut build(&home, "true"));
    assert_eq!(groups(pid), Vec::<String>::new());
}

#[test]
fn a_build_goes_on_without_what_waits_for_the_next_command() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let context = home.context(
        "FROM scratch\nCOPY --from=host busybox /bin/sh\n\
         RUN --mount=type=cache,target=/c [\"/bin/sh\", \"-c\", \"echo > /c/begun; until [ -e /c/go ]; do sleep 0.1; done\"]\nRUN [\"/bin/sh\", \"-c\", \"echo well\"]\n",
    );
    let mut build = home.build(&context);
    build.args(["--no-cache", "--build-context", "host=/bin"]);
    let build = build.stderr(Stdio::piped()).spawn().unwrap();
    let pid = build.id();
    let is_one = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"rbuild: sandbox")
    };
    let waiting = || -> Vec<u32> { descendants(pid).into_iter().filter(is_one).collect() };
    let shared = |name: &str| {
        let families = fs::read_dir(home.path("root/mounts")).into_iter().flatten();
        let mut folders = families.map(|family| family.unwrap().path().join("0/data"));
        folders.next().map(|folder| folder.join(name))
    };
    wait_until("the first command begins", || {
        shared("begun").is_some_and(|file| file.exists())
    });
    // The template, and the copy that the second command is to have.
    wait_until("there is a copy that waits", || waiting().len() == 2);
    for pid in waiting() {
        Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap();
    }
    fs::write(shared("go").unwrap(), "").unwrap();
    let done = build.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains(" well"), "{said}");
}

#[test]
fn a_network_that_ended_is_told_when_a_command_fails() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    let script = "echo begun; until [ -e /mnt/go ]; do sleep 0.1; done; exit 1";
    let mut build = build_with(&home, "--mount=type=bind,target=/mnt", script);
    let mut process = build.stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let begun = lines.any(|line| line.ends_with(" begun"));
    assert!(begun, "the command did not begin");
    end_carriers(process.id());
    home.write("context/go", "");
    let rest: Vec<String> = lines.collect();
    assert!(rest.iter().any(|line| line.contains(ENDED)), "{rest:?}");
    assert_eq!(process.wait().unwrap().code(), Some(1));
}

#[test]
fn a_network_that_ended_is_told_when_what_is_run_fails() {
    if !require(&NEEDS) {
        return;
    }
    let home = Home::new();
    succeed(build(&home, "true").args(["-t", "box"]));
    let script = "echo begun; read go; exit 5";
    let mut run = home.rbuild();
    run.args(["run", "-i", "box", "/bin/sh", "-c", script]);
    run.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = run.stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut written = BufReader::new(process.stdout.take().unwrap());
    written.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    end_carriers(process.id());
    // Its input ends, and so does it.
    let done = process.wait_with_output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(5), "{said}");
    assert_eq!(said, format!("warning: {ENDED}\n"));
}

/// What is said of a network that was led outside by a program that is no more.
const ENDED: &str = "slirp4netns leads no network outside: it ended while a command ran";

/// Kills what leads networks outside for a process, and waits until that knows.
fn end_carriers(pid: u32) {
    let carriers = descendants(pid).into_iter().filter(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.trim() == "slirp4netns")
    });
    let carriers: Vec<String> = carriers.map(|pid| pid.to_string()).collect();
    assert!(!carriers.is_empty());
    // One that only helped the others to begin may have ended meanwhile.
    Command::new("kill")
        .arg("-9")
        .args(&carriers)
        .status()
        .unwrap();
    wait_until("it is waited for", || {
        !carriers
            .iter()
            .any(|pid| Path::new("/proc").join(pid).exists())
    });
}

/// Whether a process runs; one that has ended and that nobody asked about does not.
fn is_running(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status
        .rsplit_once(") ")
        .map(|(_, rest)| rest.chars().next());
    state
        .flatten()
        .is_some_and(|state| state != 'Z' && state != 'X')
}

/// Finds the children of a process, and theirs.
fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut waiting = vec![pid];
    while let Some(pid) = waiting.pop() {
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            let children = children
                .split_whitespace()
                .filter_map(|pid| pid.parse().ok());
            let children: Vec<u32> = children.collect();
            waiting.extend(&children);
            found.extend(children);
        }
    }
    found
}

/// Finds the control groups that an rbuild made.
fn groups(pid: u32) -> Vec<String> {
    let mine = format!("{pid}-");
    let mut found = Vec::new();
    let mut folders = vec![Path::new("/sys/fs/cgroup").to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&mine) {
                found.push(entry.path().display().to_string());
            }
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found
}
