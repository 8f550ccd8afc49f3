//! The binary itself: what is printed where, and the exit codes. These tests only prove the
//! hook-up; what is decided below is tested below.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use rustix::process::Signal;

use crate::support::Feature;
use crate::support::port::free_port;
use crate::support::processes::signal;
use crate::support::require;
use crate::support::wait::PATIENCE;

/// A home of its own, with a store and a context.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.path().join("context")).unwrap();
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// Runs rbuild with nothing in its environment but this home.
    fn rbuild(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rbuild"));
        command
            .env_clear()
            .env("HOME", self.path())
            .env("RBUILD_ROOT", self.path().join("root"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .args(args);
        command
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Asserts the exit code and that standard error holds every one of `parts`.
fn check(output: &Output, code: i32, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn without_arguments_the_help_teaches() {
    let home = Home::new();
    let output = home.rbuild(&[]);
    check(&output, 0, &[]);
    assert!(stdout(&output).contains("rbuild -t app:v1 ."));
    assert_eq!(stdout(&output), stdout(&home.rbuild(&["help"])));
    let help = stdout(&home.rbuild(&["help", "run"]));
    assert!(
        help.contains("rbuild run -it debian:bookworm bash"),
        "{help}"
    );
}

#[test]
fn a_wrong_command_line_of_run_exits_as_docker_does() {
    let home = Home::new();
    check(
        &home.rbuild(&["run", "--bogus", "image"]),
        125,
        &["--bogus"],
    );
    check(&home.rbuild(&["run"]), 125, &["<IMAGE>"]);
    check(&home.rbuild(&["run", "--help"]), 0, &[]);
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let home = Home::new();
    for (args, part) in [
        (&["--targt", "x", "."][..], "--target"),
        (&["--ulimit", "nofiles=1", "."], "nofile"),
        (&["--cache-to", "type=inline", "context"], "--root"),
        (&["-t", "UPPER", "context"], "lower case"),
        (&["-t", "a@sha256:00", "context"], "name"),
        (&["--push", "context"], "--tag"),
        (&["-f", "-", "-"], "exclude each other"),
        (&["images", "--format", "yaml"], "table, json"),
        (&["-o", "type=ocl", "context"], "\"oci\""),
    ] {
        check(&home.rbuild(args), 2, &[part]);
    }
}

#[test]
fn a_mistyped_command_is_no_directory() {
    let home = Home::new();
    check(
        &home.rbuild(&["imagse"]),
        1,
        &["no build context imagse", "rbuild images"],
    );
}

#[test]
fn a_mistake_in_the_configuration_is_shown_in_its_line() {
    let home = Home::new();
    home.write("config.toml", "[registry.\"docker.io\"]\nmirror = []\n");
    home.write("context/Dockerfile", "FROM scratch\n");
    let output = home.rbuild(&["--config", "config.toml", "context"]);
    check(
        &output,
        2,
        &[
            "config.toml:2:1",
            "2 | mirror = []",
            "^^^^^^",
            "\"mirrors\"",
        ],
    );
    check(
        &home.rbuild(&["--config", "gone.toml", "context"]),
        3,
        &["gone.toml"],
    );
}

#[test]
fn parse_prints_json_or_where_the_mistake_is() {
    let home = Home::new();
    home.write("Dockerfile", "FROM debian AS base\nRUN ls\n");
    let output = home.rbuild(&["parse"]);
    check(&output, 0, &[]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(json["stages"][0]["name"], "base");
    home.write("Dockerfile", "FROM debian\nRUNN ls\n");
    check(
        &home.rbuild(&["parse"]),
        1,
        &["Dockerfile:2:1", "^^^^", "did you mean RUN?"],
    );
}

#[test]
fn a_repository_that_cannot_be_fetched_is_its_servers_concern() {
    let home = Home::new();
    let url = format!("git://127.0.0.1:{}/x.git", free_port());
    let built = home.rbuild(&["build", "-q", &url]);
    check(
        &built,
        4,
        &["cannot fetch the build context", "git cannot use"],
    );
}

#[test]
fn an_image_is_built_listed_tagged_and_removed() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let home = Home::new();
    home.write(
        "context/Dockerfile",
        "FROM scratch\nCOPY file /\nCMD [\"/file\"]\n",
    );
    home.write("context/file", "content");
    let args = [
        "-t",
        "app:v1",
        "--iidfile",
        "id",
        "--metadata-file",
        "meta",
        "context",
    ];
    let output = home.rbuild(&args);
    check(
        &output,
        0,
        &["#1 [internal] load build definition", "named app:v1"],
    );
    assert_eq!(stdout(&output), "", "progress goes to standard error");
    let id = fs::read_to_string(home.path().join("id")).unwrap();
    let metadata = fs::read(home.path().join("meta")).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["containerimage.config.digest"], id);
    assert_eq!(metadata["image.name"], "docker.io/library/app:v1");

    let again = home.rbuild(&["build", "-q", "-t", "app:v1", "context"]);
    assert_eq!(
        (stdout(&again), stderr(&again)),
        (format!("{id}\n"), String::new())
    );
    check(&home.rbuild(&["tag", "app:v1", "app:v2"]), 0, &[]);
    let listed = stdout(&home.rbuild(&["images", "--format", "json"]));
    let listed: Vec<serde_json::Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1]["tag"], "v2");
    assert_eq!(listed[1]["id"], id);
    let shown = stdout(&home.rbuild(&["inspect", "app:v2"]));
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown[0]["Config"]["Cmd"][0], "/file");
    let history = stdout(&home.rbuild(&["history", "app:v1"]));
    assert!(history.contains("COPY file /"), "{history}");
    let short = &id["sha256:".len()..][..8];
    check(
        &home.rbuild(&["push", short]),
        2,
        &["rbuild push IMAGE DEST"],
    );
    check(&home.rbuild(&["rmi", short]), 1, &["has 2 names", "-f"]);
    check(&home.rbuild(&["rmi", "app:v1", "app:v2"]), 0, &[]);
    check(
        &home.rbuild(&["inspect", "app:v2"]),
        1,
        &["there is no image"],
    );
    check(&home.rbuild(&["prune"]), 0, &[]);
    check(&home.rbuild(&["du"]), 0, &[]);
}

#[test]
fn pruning_forgets_what_it_is_told_to_and_no_image() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let home = Home::new();
    home.write("context/Dockerfile", "FROM scratch\nCOPY file /\n");
    home.write("context/file", "content");
    let build = ["--progress=plain", "-t", "app", "context"];
    check(&home.rbuild(&build), 0, &[]);
    for (prune, again) in [
        (&["prune"][..], "CACHED"),
        (&["prune", "--unused-for", "7d"], "CACHED"),
        (&["prune", "--all"], "COPY file /\n#"),
        (&["prune", "--unused-for", "0s"], "COPY file /\n#"),
    ] {
        let pruned = home.rbuild(prune);
        check(&pruned, 0, &[]);
        check(&home.rbuild(&["inspect", "app"]), 0, &[]);
        let built = home.rbuild(&build);
        check(&built, 0, &[again]);
        let is_cached = stderr(&built).contains("CACHED");
        assert_eq!(
            is_cached,
            again == "CACHED",
            "{prune:?}\n{}",
            stderr(&built)
        );
    }
    check(&home.rbuild(&["prune", "--unused-for", "7"]), 2, &["7d"]);
}

#[test]
fn an_image_built_here_is_unpacked_already() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let home = Home::new();
    for name in ["one", "two"] {
        fs::create_dir(home.path().join(name)).unwrap();
    }
    home.write("one/Dockerfile", "FROM scratch\nWORKDIR /dir\n");
    check(&home.rbuild(&["-q", "-t", "one", "one"]), 0, &[]);
    let two = "FROM one\nWORKDIR /again\nCOPY --from=one /dir /copy\n";
    home.write("two/Dockerfile", two);
    check(&home.rbuild(&["-q", "-t", "two", "two"]), 0, &[]);
    // What has the name of a layer is not unpacked, but leads to what the layer was packed from.
    let folder = home.path().join("root/snapshots");
    let layers = || {
        let entries = fs::read_dir(&folder).unwrap();
        let entries = entries.map(Result::unwrap);
        let layers: Vec<_> = entries
            .filter(|entry| entry.file_name().len() == 64)
            .collect();
        assert!(layers.iter().all(|layer| layer.path().is_symlink()));
        layers.len()
    };
    assert_eq!(layers(), 2);
    // What an image needs stays, though no result of a build is left.
    check(&home.rbuild(&["prune", "--unused-for", "0s"]), 0, &[]);
    assert_eq!(layers(), 2);
    check(&home.rbuild(&["rmi", "one"]), 0, &[]);
    check(&home.rbuild(&["rmi", "two"]), 0, &[]);
    check(&home.rbuild(&["prune"]), 0, &[]);
    assert_eq!(layers(), 0);
}

#[test]
fn every_line_of_rawjson_is_json() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let home = Home::new();
    home.write("context/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let output = home.rbuild(&["--progress=rawjson", "context"]);
    check(&output, 0, &[]);
    assert!(stderr(&output).lines().count() >= 2);
    for line in stderr(&output).lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event.is_object(), "{line}");
    }
}

#[test]
fn an_archive_goes_to_a_pipe_and_not_to_a_terminal() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let home = Home::new();
    home.write("context/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let output = home.rbuild(&["-o", "type=docker,dest=-", "-t", "app", "context"]);
    check(&output, 0, &[]);
    let mut archive = tar::Archive::new(output.stdout.as_slice());
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().into_owned())
        .collect();
    assert!(names.contains(&"manifest.json".into()), "{names:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = Home::new();
    let mut child = home
        .command(&["completion", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    check(&output, 0, &[]);
    assert_eq!(stderr(&output), "");
}

#[test]
fn completions_know_the_flags() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&home.rbuild(&["completion", shell]));
        assert!(script.contains("build-arg"), "{shell}");
    }
}

#[test]
fn ctrl_c_ends_a_build_that_waits_for_a_registry() {
    check(&ended_by(Signal::INT), 130, &["canceled"]);
}

#[test]
fn the_end_of_the_terminal_cancels_a_build() {
    check(&ended_by(Signal::HUP), 129, &["canceled"]);
}

/// Begins a build that waits for a registry, and sends it a signal.
fn ended_by(wish: Signal) -> Output {
    use std::io::Read;
    use std::time::Duration;
    use std::time::Instant;

    // It takes connections and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let home = Home::new();
    let text = format!("FROM {}/x\n", silent.local_addr().unwrap());
    home.write("context/Dockerfile", &text);
    let build = home.command(&["build", "--progress=plain", "context"]);
    // Whoever started the tests may ignore what is sent.
    let mut command = Command::new("env");
    command.arg("--default-signal").arg(build.get_program());
    command.args(build.get_args()).env_clear();
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let variables = build.get_envs();
    command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = build.get_current_dir() {
        command.current_dir(folder);
    }
    let mut child = command.spawn().unwrap();
    let (mut connection, _) = silent.accept().unwrap();
    connection.read_exact(&mut [0; 4]).unwrap();
    let began = Instant::now();
    signal(child.id(), wish);
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn two_signals_at_once_end_a_build_that_says_so() {
    use std::io::Read;

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let home = Home::new();
    let text = format!("FROM {}/x\n", silent.local_addr().unwrap());
    home.write("context/Dockerfile", &text);
    let mut child = home
        .command(&["build", "--progress=plain", "context"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut connection, _) = silent.accept().unwrap();
    connection.read_exact(&mut [0; 4]).unwrap();
    let pid = child.id().to_string();
    let script = "kill -INT $1; kill -TERM $1; exit 0";
    let sent = Command::new("sh").args(["-c", script, "sh", &pid]).status();
    assert!(sent.unwrap().success());
    let mut said = String::new();
    let mut errors = child.stderr.take().unwrap();
    errors.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("canceled"), "{said}");
}

#[test]
fn a_registry_without_https_is_reached_where_no_certificate_is_trusted() {
    use std::io::Read;

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let home = Home::new();
    let text = format!("FROM {}/x\n", silent.local_addr().unwrap());
    home.write("context/Dockerfile", &text);
    let mut child = home
        .command(&["build", "context"])
        .envs([
            ("SSL_CERT_FILE", "/dev/null"),
            ("SSL_CERT_DIR", "/dev/null"),
        ])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ended = || child.try_wait().unwrap().is_some();
    accept_while(&silent, ended)
        .read_exact(&mut [0; 4])
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Takes the connection of a process that has not ended without one.
fn accept_while(
    listener: &std::net::TcpListener,
    mut ended: impl FnMut() -> bool,
) -> std::net::TcpStream {
    listener.set_nonblocking(true).unwrap();
    loop {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false).unwrap();
            return stream;
        }
        assert!(!ended(), "it ended without a connection");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn an_ssh_key_that_is_not_there_is_named() {
    let home = Home::new();
    home.write("context/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let output = home.rbuild(&["build", "--ssh", "default=no-such-key", "context"]);
    check(
        &output,
        1,
        &["no-such-key", "hint: name the file of a private key"],
    );
}

#[test]
fn questions_are_answered_without_building() {
    let home = Home::new();
    home.write(
        "context/Dockerfile",
        "# V which version\nARG V=1\nFROM nowhere.invalid/base:$V as build\nENV a b\n",
    );
    let checked = home.rbuild(&["--check", "context"]);
    check(&checked, 1, &["the checks found 2 warnings"]);
    for part in [
        "FromAsCasing",
        "Dockerfile:4:1",
        "hint: put `=`",
        "2 warnings found",
    ] {
        assert!(stdout(&checked).contains(part), "{}", stdout(&checked));
    }
    let outline = home.rbuild(&["build", "--call=outline", "context"]);
    check(&outline, 0, &[]);
    assert!(stdout(&outline).contains("V           1       which version"));
    let targets = home.rbuild(&["--call=targets,format=json", "context"]);
    check(&targets, 0, &[]);
    let targets: serde_json::Value = serde_json::from_str(&stdout(&targets)).unwrap();
    assert_eq!(targets["targets"][0]["base"], "nowhere.invalid/base:$V");
    home.write("context/Dockerfile", "FROM scratch\n");
    let clean = home.rbuild(&["--call=check,format=json", "context"]);
    check(&clean, 0, &[]);
    let clean: serde_json::Value = serde_json::from_str(&stdout(&clean)).unwrap();
    assert!(clean["warnings"].is_null(), "as in Go, not an empty list");
    let clash = home.rbuild(&["--check", "--call=outline", "context"]);
    check(&clash, 2, &["exclude each other"]);
}

#[test]
fn violations_fail_where_the_dockerfile_says_so() {
    let home = Home::new();
    home.write(
        "context/Dockerfile",
        "# check=error=true\nFROM scratch as build\n",
    );
    let checked = home.rbuild(&["--call=check,format=json", "context"]);
    check(&checked, 1, &["violation", "FromAsCasing"]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&checked)).unwrap();
    assert_eq!(json["warnings"][0]["ruleName"], "FromAsCasing");
    assert!(json["buildError"]["message"].is_string());
    let built = home.rbuild(&["context"]);
    check(
        &built,
        1,
        &["warning: Dockerfile:2: FromAsCasing", "error: lint"],
    );
    let skipped = [
        "--build-arg",
        "BUILDKIT_DOCKERFILE_CHECK=skip=all",
        "context",
    ];
    check(&home.rbuild(&skipped), 0, &[]);
}
