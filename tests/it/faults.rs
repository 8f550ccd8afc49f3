//! What goes wrong for a user: each with the facts in the message, its exit code, and a store that
//! works afterwards.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::Feature;
use crate::support::RUNS_BUSYBOX;
use crate::support::home::Home;
use crate::support::home::Output;
use crate::support::home::RBUILD;
use crate::support::home::fail_with;
use crate::support::home::succeed;
use crate::support::peers;
use crate::support::peers::Registry;
use crate::support::port::free_port;
use crate::support::require;

/// The Dockerfile, the context or a command failed.
const USER: i32 = 1;
/// The command line is wrong.
const USAGE: i32 = 2;
/// The kernel, a permission or the disk.
const ENVIRONMENT: i32 = 3;
/// A registry.
const REMOTE: i32 = 4;

/// Fails unless all the facts are in what the program wrote to standard error.
#[track_caller]
fn says(output: &Output, facts: &[&str]) {
    for fact in facts {
        assert!(
            output.stderr.contains(fact),
            "no {fact:?} in\n{}",
            output.stderr
        );
    }
}

/// Builds the Dockerfile alone, which must fail with the code and say the facts.
#[track_caller]
fn refused(code: i32, dockerfile: &str, facts: &[&str]) {
    let home = Home::new();
    let context = home.context(dockerfile);
    says(&fail_with(code, &mut home.build(&context)), facts);
}

#[test]
fn there_can_be_no_threads() {
    let home = Home::new();
    let context = home.context("FROM scratch\nCOPY Dockerfile /\n");
    let mut build = home.build(&context);
    // A stack larger than all addresses there are.
    build.env("RUST_MIN_STACK", (1_u64 << 47).to_string());
    let output = fail_with(ENVIRONMENT, &mut build);
    says(&output, &["no more threads can be made", "ulimit -u"]);
    assert!(!output.stderr.contains("bug"), "{output:?}");
}

#[test]
fn a_dockerfile_is_missing() {
    let home = Home::new();
    let context = home.path("empty");
    fs::create_dir(&context).unwrap();
    says(&fail_with(USER, &mut home.build(&context)), &["Dockerfile"]);
    says(
        &fail_with(
            USER,
            home.build(&context).args(["-f", "no/such.Dockerfile"]),
        ),
        &["no/such.Dockerfile"],
    );
}

#[test]
fn a_context_is_missing() {
    let home = Home::new();
    let context = home.path("nowhere");
    says(&fail_with(USER, &mut home.build(&context)), &["nowhere"]);
}

#[test]
fn a_dockerfile_has_an_error() {
    let dockerfile = "FROM scratch\nCOPY --chmod\n";
    refused(USER, dockerfile, &["Dockerfile:2", "COPY --chmod", "^"]);
    refused(USER, "FROM scratch\nENV\n", &["Dockerfile:2", "ENV", "^"]);
    refused(USER, "", &["Dockerfile"]);
}

#[test]
fn an_instruction_is_unknown() {
    refused(
        USER,
        "FROM scratch\nCOPPY a b\n",
        &["Dockerfile:2", "COPPY", "COPY", "^"],
    );
    let flag = "FROM scratch\nCOPY --chwon=1 a b\n";
    refused(USER, flag, &["Dockerfile:2", "chwon", "chown", "^"]);
}

#[test]
fn a_flag_is_unknown() {
    let home = Home::new();
    let context = home.context("FROM scratch\n");
    let output = fail_with(USAGE, home.build(&context).arg("--taget=x"));
    says(&output, &["--taget", "--target"]);
}

#[test]
fn a_stage_is_unknown() {
    let home = Home::new();
    let context = home.context("FROM scratch AS base\nCOPY Dockerfile /\n");
    says(
        &fail_with(USER, home.build(&context).args(["--target", "bsae"])),
        &["bsae", "base"],
    );
}

#[test]
fn a_file_to_copy_is_missing() {
    let dockerfile = "FROM scratch\nCOPY missing.txt /\n";
    refused(USER, dockerfile, &["Dockerfile:2", "missing.txt"]);
}

#[test]
fn a_file_is_where_a_directory_is_needed() {
    for line in [
        "COPY d /f/",
        "COPY d/x /f/g",
        "WORKDIR /f/g",
        "COPY <<E /f/g/\nE",
    ] {
        let home = Home::new();
        home.write("context/d/x", "");
        let dockerfile = format!("FROM scratch\nCOPY d/x /f\n{line}\n");
        let context = home.context(&dockerfile);
        let output = fail_with(USER, &mut home.build(&context));
        says(
            &output,
            &["Dockerfile:3", "cannot make the directory", "/f"],
        );
    }
}

#[test]
fn an_archive_is_cut_off() {
    let home = Home::new();
    let context = home.context("FROM scratch\nADD cut.tar /x/\n");
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4096);
    header.set_cksum();
    archive
        .append_data(&mut header, "a", &[7; 4096][..])
        .unwrap();
    let bytes = archive.into_inner().unwrap();
    fs::write(home.path("context/cut.tar"), &bytes[..2000]).unwrap();
    let output = fail_with(USER, &mut home.build(&context));
    says(
        &output,
        &[
            "Dockerfile:2",
            "cannot unpack the archive \"cut.tar\"",
            "--unpack=false",
        ],
    );
}

#[test]
fn a_password_in_a_url_is_told_to_nobody() {
    let home = Home::new();
    let url = "http://someone:hunter2@127.0.0.1:9/x";
    let context = home.context(&format!("FROM scratch\nADD {url} {url} /x/\n"));
    let output = home.build(&context).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let of_rbuild: Vec<_> = told
        .lines()
        .filter(|line| !line.contains("2 | ADD"))
        .collect();
    assert!(
        of_rbuild
            .iter()
            .any(|line| line.contains("http://xxxxx:xxxxx@127.0.0.1:9/x")),
        "{told}"
    );
    assert!(
        of_rbuild.iter().all(|line| !line.contains("hunter2")),
        "{told}"
    );
}

#[test]
fn an_error_does_not_swallow_warnings() {
    let dockerfile = "FROM scratch\nENV a b\nSTOPSIGNAL nope\n";
    refused(
        USER,
        dockerfile,
        &["Dockerfile:2: LegacyKeyValueFormat", "Dockerfile:3", "nope"],
    );
    let dockerfile = "FROM scratch as one\nFROM $nothing\n";
    refused(
        USER,
        dockerfile,
        &["Dockerfile:1: FromAsCasing", "Dockerfile:2"],
    );
}

#[test]
fn a_file_to_copy_is_ignored() {
    let home = Home::new();
    let context = home.context("FROM scratch\nCOPY debug.log /\n");
    home.write("context/debug.log", "");
    home.write("context/.dockerignore", "target\n*.log\n");
    says(
        &fail_with(USER, &mut home.build(&context)),
        &["Dockerfile:2", "debug.log", "*.log"],
    );
}

/// A Dockerfile that has a shell to run commands in, and the rest of it.
fn with_shell(rest: &str) -> String {
    format!("FROM scratch\nCOPY --from=host busybox /bin/sh\nENV PATH=/bin\n{rest}")
}

fn build_with_shell(home: &Home, rest: &str) -> Command {
    let context = home.context(&with_shell(rest));
    let mut command = home.build(&context);
    command.args(["--build-context", "host=/bin"]);
    command
}

#[test]
fn a_command_fails() {
    if !require(&RUNS_BUSYBOX) {
        return;
    }
    let home = Home::new();
    let script = "RUN echo the reason; exit 42\n";
    let output = fail_with(USER, &mut build_with_shell(&home, script));
    says(&output, &["Dockerfile:4", "exit code 42", "the reason"]);
    succeed(&mut build_with_shell(&home, "RUN true\n"));
}

#[test]
fn a_command_is_not_found() {
    if !require(&RUNS_BUSYBOX) {
        return;
    }
    let home = Home::new();
    let script = "RUN [\"/no/such/program\"]\n";
    let output = fail_with(USER, &mut build_with_shell(&home, script));
    says(&output, &["Dockerfile:4", "/no/such/program"]);
}

#[test]
fn a_registry_is_unreachable() {
    let reference = format!("127.0.0.1:{}/some/image:v1", free_port());
    let dockerfile = format!("FROM {reference}\n");
    refused(REMOTE, &dockerfile, &[&reference, "Dockerfile:1"]);
    let home = Home::new();
    says(
        &fail_with(REMOTE, home.rbuild().args(["pull", &reference])),
        &[&reference],
    );
}

/// Builds an image of one file as app:v1.
fn build_app(home: &Home) {
    let context = home.context("FROM scratch\nCOPY Dockerfile /\n");
    succeed(home.build(&context).args(["--tag", "app:v1"]));
}

#[test]
fn an_image_is_not_in_the_registry() {
    if !require(&[Feature::Program("docker-registry")]) {
        return;
    }
    let home = Home::new();
    let registry = Registry::start(&home.path("registry"));
    let reference = format!("{}/no/such:image", registry.address);
    says(
        &fail_with(REMOTE, home.rbuild().args(["pull", &reference])),
        &[&reference],
    );
}

/// Writes docker's config file with one password.
fn log_in(home: &Home, registry: &str, password: &str) {
    let auth = STANDARD.encode(format!("someone:{password}"));
    let config = format!("{{\"auths\": {{{registry:?}: {{\"auth\": {auth:?}}}}}}}");
    home.write("docker/config.json", &config);
}

#[test]
fn credentials_are_wrong() {
    if !require(&[Feature::Program("docker-registry")]) {
        return;
    }
    let home = Home::new();
    build_app(&home);
    let registry = Registry::start_with_password(&home.path("registry"));
    let reference = format!("{}/app:v1", registry.address);
    let push = || {
        let mut command = home.rbuild();
        command.args(["push", "app:v1", &reference]);
        command
    };
    let output = fail_with(REMOTE, &mut push());
    says(&output, &[&registry.address, "401"]);
    log_in(&home, &registry.address, "battery staple");
    let output = fail_with(REMOTE, &mut push());
    says(&output, &[&registry.address, "config.json", "401"]);
    log_in(&home, &registry.address, peers::PASSWORD);
    succeed(&mut push());
}

#[test]
fn a_blob_is_not_what_its_digest_says() {
    if !require(&[Feature::Program("docker-registry")]) {
        return;
    }
    let home = Home::new();
    build_app(&home);
    let storage = home.path("registry");
    let registry = Registry::start(&storage);
    let reference = format!("{}/app:v1", registry.address);
    succeed(home.rbuild().args(["push", "app:v1", &reference]));
    let digest = damage_a_layer(&storage.join("docker/registry/v2/blobs/sha256"));
    let other = Home::new();
    let output = fail_with(REMOTE, other.rbuild().args(["pull", &reference]));
    says(&output, &[&digest]);
    let stored = other.path("root/blobs");
    let found = succeed(
        Command::new("find")
            .arg(stored)
            .args(["-name", &format!("{digest}*")]),
    );
    assert_eq!(found.stdout, "", "the damaged blob was kept");
}

/// Turns one byte of the gzipped blob; the hex of its digest.
fn damage_a_layer(blobs: &Path) -> String {
    let listed = succeed(Command::new("find").arg(blobs).args(["-name", "data"]));
    for path in listed.stdout.lines() {
        let mut content = fs::read(path).unwrap();
        if content.starts_with(&[0x1f, 0x8b]) {
            let middle = content.len() / 2;
            content[middle] ^= 1;
            fs::write(path, content).unwrap();
            let folder = Path::new(path).parent().unwrap().file_name().unwrap();
            return folder.to_str().unwrap().to_owned();
        }
    }
    panic!("no layer in {}", blobs.display());
}

/// Runs the script in a mount namespace of its own; `$1` is rbuild and `$2` the home.
fn in_namespace(home: &Home, script: &str) -> Output {
    let mut command = home.rbuild();
    let mut wrapped = Command::new("unshare");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    command = wrapped;
    command
        .args(["--mount", "sh", "-euc", script, "sh", RBUILD])
        .arg(home.path(""));
    succeed(&mut command)
}

#[test]
fn a_disk_is_full() {
    if !require(&[Feature::Root, Feature::Namespaces]) {
        return;
    }
    let home = Home::new();
    home.context("FROM scratch\nCOPY large /\n");
    // Random enough not to be compressed away.
    let noise: Vec<u8> = (0..8_u64 << 20)
        .scan(1_u64, |state, _| {
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            Some((*state >> 56) as u8)
        })
        .collect();
    fs::write(home.path("context/large"), noise).unwrap();
    let script = "
        mkdir $2/root && mount -t tmpfs -o size=4m tmpfs $2/root
        code=0; $1 build -t large $2/context || code=$?
        echo $code
        mount -o remount,size=64m $2/root
        $1 build -q -t large $2/context >/dev/null
        echo and now it is $($1 images | grep -c large)";
    let output = in_namespace(&home, script);
    says(&output, &["No space left on device"]);
    assert_eq!(output.stdout, format!("{ENVIRONMENT}\nand now it is 1\n"));
}

#[test]
fn a_store_is_read_only() {
    if !require(&[Feature::Root, Feature::Namespaces]) {
        return;
    }
    let home = Home::new();
    home.context("FROM scratch\nCOPY Dockerfile /\n");
    let script = "
        mkdir $2/root && mount -t tmpfs -o ro tmpfs $2/root
        code=0; $1 build -t app $2/context || code=$?
        echo $code";
    let output = in_namespace(&home, script);
    says(&output, &["Read-only file system", "root"]);
    assert_eq!(output.stdout, format!("{ENVIRONMENT}\n"));
}

#[test]
fn namespaces_are_not_permitted() {
    if !require(&[
        Feature::Root,
        Feature::Program("setpriv"),
        Feature::Program("busybox"),
    ]) {
        return;
    }
    let home = Home::new();
    let build = build_with_shell(&home, "RUN true\n");
    let mut command = Command::new("setpriv");
    for (name, value) in build.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.args(["--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]);
    command.arg(build.get_program()).args(build.get_args());
    // Left alone, rbuild takes a mode that needs none; told to make some, it says what is missing.
    succeed(&mut command);
    command.args(["--no-cache", "--isolation=namespace"]);
    let output = fail_with(ENVIRONMENT, &mut command);
    says(&output, &["Operation not permitted", "--cap-add SYS_ADMIN"]);
}
