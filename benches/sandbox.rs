//! How long a sandbox takes from request to the execution of its program, and to its end, in every
//! mode that root can take and make a user take.
#![allow(
    clippy::disallowed_methods,
    reason = "no part of rbuild: it starts itself as somebody else"
)]

use std::fs;
use std::os::unix::fs::lchown;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use criterion::Criterion;

use rbuild::sandbox::Access;
use rbuild::sandbox::Entry;
use rbuild::sandbox::Input;
use rbuild::sandbox::Isolation;
use rbuild::sandbox::Mount;
use rbuild::sandbox::MountSource;
use rbuild::sandbox::Network;
use rbuild::sandbox::Output;
use rbuild::sandbox::Rootfs;
use rbuild::sandbox::SpawnOptions;
use rbuild::sandbox::Spec;
use rbuild::sandbox::Template;
use rbuild::sandbox::enter;
use rbuild::sandbox::init_if_requested;
use rbuild::sandbox::spawn;

/// Tells this program in which mode it was started by itself.
const MODE: &str = "RBUILD_BENCH_MODE";

/// Tells it where rbuild is that this user may execute.
const RBUILD: &str = "RBUILD_BENCH_PROGRAM";

/// Whom nothing belongs to.
const NOBODY: u32 = 65534;

/// A sandbox as `RUN` makes it, on layers of a busybox.
fn spec(home: &Path, layers: usize) -> Spec {
    let mut lowers = Vec::new();
    for number in 0..layers {
        let layer = home.join(format!("layer-{number}"));
        fs::create_dir_all(layer.join("bin")).expect("a folder of its own");
        lowers.push(layer);
    }
    fs::copy("/bin/busybox", lowers[0].join("bin/true")).expect("busybox-static is installed");
    for folder in ["upper", "work"] {
        fs::create_dir_all(home.join(folder)).expect("a folder of its own");
    }
    let root = Rootfs::Overlay {
        lowers,
        upper: home.join("upper"),
        work: home.join("work"),
    };
    let mut spec = Spec::new(root, vec!["/bin/true".to_owned()]);
    for target in ["/etc/hosts", "/etc/resolv.conf"] {
        spec.mounts.push(Mount {
            target: target.to_owned(),
            source: MountSource::File {
                content: b"127.0.0.1 localhost\n".to_vec(),
                mode: 0o644,
                uid: 0,
                gid: 0,
                access: Access::ReadOnly,
            },
        });
    }
    spec
}

/// The same in a directory, where nothing can be mounted.
fn in_directory(home: &Path) -> Spec {
    let mut spec = spec(home, 1);
    let own = home.join("own");
    let root = own.join("scratch/root");
    fs::create_dir_all(root.join("bin")).expect("a folder of its own");
    fs::copy("/bin/busybox", root.join("bin/true")).expect("busybox-static is installed");
    spec.isolation = Isolation::Chroot { own };
    spec.root = Rootfs::Directory(root);
    spec
}

/// What all sandboxes of a build have in common, once the first was made.
fn options(spec: &Spec) -> SpawnOptions {
    let program = std::env::var_os(RBUILD);
    let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_rbuild").into());
    let options = SpawnOptions {
        template: Template::new(program),
        input: Input::Null,
        output: Output::Pipe,
    };
    measure(spec, &options, 1, true);
    options
}

fn measure(spec: &Spec, options: &SpawnOptions, iterations: u64, whole: bool) -> Duration {
    let mut sum = Duration::ZERO;
    for _ in 0..iterations {
        let begin = Instant::now();
        let running = spawn(spec, options).expect("root, and namespaces");
        let started = begin.elapsed();
        running.wait().expect("it ends by itself");
        sum += if whole { begin.elapsed() } else { started };
    }
    sum
}

/// Measures a sandbox of one mode.
fn mode(criterion: &mut Criterion, name: &str, spec: &Spec) {
    let mut group = criterion.benchmark_group(name);
    let options = options(spec);
    group.bench_function("start", |bencher| {
        bencher.iter_custom(|iterations| measure(spec, &options, iterations, false));
    });
    group.bench_function("start and end", |bencher| {
        bencher.iter_custom(|iterations| measure(spec, &options, iterations, true));
    });
}

/// Measures what root can have.
fn as_root(criterion: &mut Criterion) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut spec = spec(home.path(), 1);
    mode(criterion, "sandbox", &spec);
    spec.network = Network::None;
    let options = options(&spec);
    criterion.bench_function("sandbox/start without network", |bencher| {
        bencher.iter_custom(|iterations| measure(&spec, &options, iterations, false));
    });
    let home = tempfile::tempdir().expect("a temporary folder");
    let spec = self::spec(home.path(), 40);
    criterion.bench_function("sandbox/start on 40 layers", |bencher| {
        bencher.iter_custom(|iterations| measure(&spec, &options, iterations, false));
    });
    let home = tempfile::tempdir().expect("a temporary folder");
    mode(criterion, "sandbox by chroot", &in_directory(home.path()));
}

/// Starts this program again as a user who has these ranges of numbers.
fn start_as_user(name: &str, ranges: &str) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let place = |name: &str| home.path().join(name);
    let own = std::env::current_exe().expect("a program knows where it is");
    fs::copy(own, place("bench")).expect("space for a program");
    fs::copy(env!("CARGO_BIN_EXE_rbuild"), place("rbuild")).expect("space for a program");
    fs::write(place("ranges"), ranges).expect("space for a line");
    lchown(home.path(), Some(NOBODY), Some(NOBODY)).expect("root");
    let script = "mount --bind \"$0/ranges\" /etc/subuid && mount --bind \"$0/ranges\" /etc/subgid \
                  && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0/bench\" \"$@\"";
    let measured = Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .arg(home.path())
        .args(std::env::args_os().skip(1))
        .current_dir(home.path())
        .envs([("TMPDIR", home.path()), ("CRITERION_HOME", home.path())])
        .env(RBUILD, place("rbuild"))
        .env(MODE, name)
        .status();
    assert!(measured.is_ok_and(|status| status.success()), "{name}");
}

/// Becomes root of a user namespace, as a user's rbuild does, and measures there.
fn as_user(name: &str) {
    if rustix::process::geteuid().is_root() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let mut criterion = Criterion::default().configure_from_args();
        mode(&mut criterion, name, &spec(home.path(), 1));
        return;
    }
    let entry = Entry {
        program: PathBuf::from("/proc/self/exe"),
        args: std::env::args_os().collect(),
        env: std::env::vars_os().collect(),
    };
    let error = enter(&entry);
    panic!("a user may make a user namespace: {error}");
}

fn main() {
    init_if_requested().expect("a user may make a user namespace");
    if let Ok(name) = std::env::var(MODE) {
        return as_user(&name);
    }
    let mut criterion = Criterion::default().configure_from_args();
    as_root(&mut criterion);
    start_as_user("sandbox of a user", "nobody:700000:65536\n");
    start_as_user("sandbox of a user without ranges", "");
    criterion.final_summary();
}
