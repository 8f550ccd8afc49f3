//! A warm build, end to end in this process: nothing changed, so nothing runs.
//!
//! Needs no root: the Dockerfile copies from a context of many files into an empty image, whose
//! layer was packed by the first build.

use std::fs;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::Path;

use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::criterion_group;
use criterion::criterion_main;
use rbuild::build::ContextSource;
use rbuild::build::DockerfileSource;
use rbuild::build::PullPolicy;
use rbuild::build::Request;
use rbuild::graph::Network;
use rbuild::progress::Sink;
use rbuild::remote::Registries;
use rbuild::solver::Cancel;

fn request(folder: &Path) -> Request {
    Request {
        context: ContextSource::Directory(folder.join("context")),
        dockerfile: DockerfileSource::Default,
        tags: vec!["warm:latest".parse().expect("a name")],
        target: None,
        build_args: Vec::new(),
        labels: Vec::new(),
        platforms: Vec::new(),
        has_index: false,
        named_contexts: Vec::new(),
        no_cache: false,
        no_cache_filter: Vec::new(),
        pull: PullPolicy::Never,
        network: Network::Default,
        is_insecure_allowed: false,
        limits: Default::default(),
        bounds: rbuild::build::Bounds::default(),
        patience: Default::default(),
        is_host_network_allowed: false,
        extra_hosts: Vec::new(),
        shm_size_bytes: None,
        ulimits: Vec::new(),
        secrets: Vec::new(),
        ssh: Vec::new(),
        ca_bundle: None,
        outputs: Vec::new(),
        jobs: Some(NonZeroUsize::MIN),
        root: folder.join("root"),
        registries: Registries::default(),
        credential_files: Vec::new(),
        epoch: Some(0),
        now_ns: 0,
        wishes: rbuild::sandbox::Wishes::NONE,
        binary: "/proc/self/exe".into(),
        sink: Sink::silent(),
    }
}

fn context(folder: &Path, files: usize) {
    let context = folder.join("context");
    for index in 0..files {
        let sub = context.join(format!("dir{}", index % 50));
        fs::create_dir_all(&sub).expect("a folder");
        fs::write(sub.join(format!("file{index}")), format!("{index}")).expect("a file");
    }
    let dockerfile = "FROM scratch\nCOPY . /app/\nLABEL a=b\nCMD [\"/app\"]\n";
    fs::write(context.join("Dockerfile"), dockerfile).expect("a Dockerfile");
}

fn warm(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("warm build");
    for files in [10, 1000, 20_000] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        context(folder.path(), files);
        let request = request(folder.path());
        let cancel = Cancel::new();
        // The second one finds the files settled and writes their digests down.
        for _ in 0..2 {
            rbuild::build::build(&request, &cancel).expect("it builds");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        group.bench_with_input(
            BenchmarkId::from_parameter(files),
            &request,
            |bench, request| {
                bench
                    .iter(|| black_box(rbuild::build::build(request, &cancel).expect("it builds")));
            },
        );
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = warm
}
criterion_main!(benches);
