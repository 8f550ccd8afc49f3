//! How fast keys are made and a graph is found to be all in the cache: most of a warm build.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::SystemTime;

use criterion::Criterion;
use criterion::criterion_group;
use criterion::criterion_main;
use rbuild::cache::Cache;
use rbuild::cache::CacheKey;
use rbuild::cache::ContentDigest;
use rbuild::cache::FileStamp;
use rbuild::cache::InputKey;
use rbuild::cache::Local;
use rbuild::cache::Record;
use rbuild::cache::StatIndex;
use rbuild::cache::components;
use rbuild::graph::ExecOp;
use rbuild::graph::Graph;
use rbuild::graph::ImageOp;
use rbuild::graph::Network;
use rbuild::graph::Op;
use rbuild::graph::Security;
use rbuild::graph::Vertex;
use rbuild::graph::VertexId;
use rbuild::oci::Descriptor;
use rbuild::oci::DiffId;
use rbuild::oci::Digest;
use rbuild::oci::Layer;
use rbuild::progress::Sink;
use rbuild::progress::Step;
use rbuild::snapshot::SnapshotId;
use rbuild::solver;
use rbuild::solver::Cancel;
use rbuild::solver::Job;
use rbuild::solver::LayerTask;
use rbuild::solver::Made;
use rbuild::solver::Marked;
use rbuild::solver::Options;
use rbuild::solver::Selection;
use rbuild::solver::Task;
use rbuild::solver::Worker;

/// A worker that never has anything to do.
struct Idle;

#[derive(Debug, thiserror::Error)]
#[error("nothing is to be done")]
struct Unexpected;

impl Worker for Idle {
    type Error = Unexpected;

    fn content(&self, _: &Selection<'_>) -> Result<Option<ContentDigest>, Unexpected> {
        Err(Unexpected)
    }

    fn is_whole(&self, _: &Record) -> bool {
        true
    }

    fn has_layer(&self, _: &Layer) -> bool {
        true
    }

    async fn unpack(&self, _: ImageOp, _: Step, _: Cancel) -> Result<(), Unexpected> {
        Err(Unexpected)
    }

    async fn execute(&self, _: Task) -> Result<Made, Unexpected> {
        Err(Unexpected)
    }

    async fn layer(&self, _: LayerTask) -> Result<Layer, Unexpected> {
        Err(Unexpected)
    }
}

fn run(command: &str) -> Op {
    let names = [
        "PATH",
        "LANG",
        "GPG_KEY",
        "PYTHON_VERSION",
        "HOME",
        "DEBIAN",
    ];
    let value = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";
    Op::Exec(ExecOp {
        args: ["/bin/sh", "-c", command].map(str::to_owned).to_vec(),
        env: names
            .map(|name| (name.to_owned(), value.to_owned()))
            .to_vec(),
        hidden_env: Vec::new(),
        cwd: "/usr/src/app".to_owned(),
        user: String::new(),
        hostname: String::new(),
        network: Network::Default,
        security: Security::Sandbox,
        mounts: Vec::new(),
        extra_hosts: Vec::new(),
        shm_size_bytes: None,
        ulimits: Vec::new(),
    })
}

/// Makes a chain of commands whose results are all in `cache`.
fn cached_chain(cache: &Local, length: usize) -> (Graph, VertexId) {
    let mut graph = Graph::new();
    let vertex = |op, name: &str| Vertex {
        op,
        name: name.to_owned(),
        lines: (1, 1),
        uncached: false,
    };
    let mut top = graph.add(vertex(Op::Scratch, ""), &[]);
    let mut key = CacheKey::of_op(&Op::Scratch, &[]);
    let mut base = key;
    for number in 0..length {
        let op = run(&format!("make part{number} && make install"));
        let change_set = SnapshotId::new(format!("{number}")).expect("it is a plain name");
        let content = ContentDigest::of(change_set.as_str().as_bytes());
        let inputs = [InputKey::Key(key)];
        key = CacheKey::of_op(&op, &inputs);
        let record = Record {
            change_set: change_set.clone(),
            content: Some(content),
            times: None,
            base: Some(base),
            components: components(&op, &inputs),
            facts: Vec::new(),
        };
        base = CacheKey::of_result(&base, &content);
        let digest = Digest::of(content.as_bytes());
        let layer = Layer {
            diff_id: DiffId(digest),
            blob: Descriptor::new("layer", digest, 1),
        };
        cache.put(&key, &record).expect("the folder is writable");
        let kept = cache.put_layer(&change_set, "gzip", &layer);
        kept.expect("the folder is writable");
        top = graph.add(vertex(op, "RUN make"), &[top]);
    }
    (graph, top)
}

fn keys(criterion: &mut Criterion) {
    let op = run("apt-get update && apt-get install --yes apache2");
    let inputs = [InputKey::Key(CacheKey::of_op(&Op::Scratch, &[]))];
    criterion.bench_function("key of a RUN", |bencher| {
        bencher.iter(|| CacheKey::of_op(black_box(&op), black_box(&inputs)));
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark has no command line that could read the clock"
)]
fn marks(criterion: &mut Criterion) {
    for length in [5, 50, 200] {
        let home = tempfile::tempdir().expect("a folder");
        let cache = Arc::new(Local::open(home.path(), SystemTime::now()));
        let (graph, target) = cached_chain(&cache, length);
        let options = Options {
            jobs: Some(NonZeroUsize::MIN),
            packing: Some("gzip".to_owned()),
            cancel: Cancel::new(),
            sink: Sink::silent(),
        };
        let worker = Arc::new(Idle);
        let job = Job {
            graph: &graph,
            targets: vec![target],
            cache: &cache,
            worker: &worker,
            options: &options,
        };
        criterion.bench_function(&format!("mark {length} cached RUNs"), |bencher| {
            bencher.iter(|| match solver::mark(&job) {
                Ok(Marked::Solved(solved)) => solved[0].layers.len(),
                _ => panic!("everything is in the cache"),
            });
        });
    }
}

fn stat_index(criterion: &mut Criterion) {
    let home = tempfile::tempdir().expect("a folder");
    let stamps: Vec<FileStamp> = (0..20_000_u64)
        .map(|number| FileStamp {
            device: 1,
            inode: number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20,
            size_bytes: number,
            modified: (1_000_000, 1),
            changed: (1_000_000, 1),
        })
        .collect();
    let index = StatIndex::open(home.path(), "");
    for stamp in &stamps {
        index.get(stamp);
        index.insert(stamp, &ContentDigest::of(b""));
    }
    index.save().expect("the folder is writable");
    criterion.bench_function("find 20000 files in the stat index", |bencher| {
        bencher.iter(|| {
            let index = StatIndex::open(home.path(), "");
            let known = stamps.iter().filter(|stamp| index.get(stamp).is_some());
            assert_eq!(known.count(), stamps.len());
        });
    });
}

criterion_group!(benches, keys, marks, stat_index);
criterion_main!(benches);
