//! How long a sandbox takes from request to the execution of its program, and to its end.

use std::fs;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use criterion::Criterion;
use criterion::criterion_group;
use criterion::criterion_main;

use rbuild::sandbox::Access;
use rbuild::sandbox::Input;
use rbuild::sandbox::Mount;
use rbuild::sandbox::MountSource;
use rbuild::sandbox::Network;
use rbuild::sandbox::Output;
use rbuild::sandbox::Rootfs;
use rbuild::sandbox::SpawnOptions;
use rbuild::sandbox::Spec;
use rbuild::sandbox::Template;
use rbuild::sandbox::spawn;

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

/// What all sandboxes of a build have in common, once the first was made.
fn options(spec: &Spec) -> SpawnOptions {
    let options = SpawnOptions {
        template: Template::new(env!("CARGO_BIN_EXE_rbuild")),
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

fn sandbox(criterion: &mut Criterion) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut group = criterion.benchmark_group("sandbox");
    let mut spec = spec(home.path(), 1);
    let options = options(&spec);
    group.bench_function("start", |bencher| {
        bencher.iter_custom(|iterations| measure(&spec, &options, iterations, false));
    });
    group.bench_function("start and end", |bencher| {
        bencher.iter_custom(|iterations| measure(&spec, &options, iterations, true));
    });
    spec.network = Network::None;
    group.bench_function("start without network", |bencher| {
        bencher.iter_custom(|iterations| measure(&spec, &options, iterations, false));
    });
    drop(group);
    let home = tempfile::tempdir().expect("a temporary folder");
    let spec = self::spec(home.path(), 40);
    criterion.bench_function("sandbox/start on 40 layers", |bencher| {
        bencher.iter_custom(|iterations| measure(&spec, &options, iterations, false));
    });
}

criterion_group!(benches, sandbox);
criterion_main!(benches);
