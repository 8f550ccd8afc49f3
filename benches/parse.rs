//! How fast Dockerfiles are read and words expanded.
//!
//! `RBUILD_ORACLES` names a folder whose `in/` holds real Dockerfiles; without it, those of
//! `testdata/dockerfiles` are read.

use std::env;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::path::PathBuf;

use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;
use rbuild::dockerfile::Lexing;
use rbuild::dockerfile::expand;
use rbuild::dockerfile::parse;

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark has no command line of its own"
)]
fn dockerfiles() -> Vec<String> {
    let files: Vec<PathBuf> = match env::var_os("RBUILD_ORACLES") {
        Some(folder) => list(&Path::new(&folder).join("in")),
        None => {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/dockerfiles");
            list(&folder)
                .iter()
                .map(|case| case.join("Dockerfile"))
                .collect()
        }
    };
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect()
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is readable");
    entries.map(|entry| entry.expect("entry").path()).collect()
}

fn size(texts: &[String]) -> u64 {
    texts.iter().map(|text| text.len() as u64).sum()
}

fn real(criterion: &mut Criterion) {
    let texts = dockerfiles();
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(size(&texts)));
    group.bench_function("real", |bencher| {
        bencher.iter(|| {
            for text in &texts {
                let _ = black_box(parse(black_box(text)));
            }
        });
    });
    group.finish();
}

/// Growing inputs of a kind take time in proportion: compare the throughputs.
fn hostile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hostile");
    group.sample_size(10);
    for kilobytes in [64, 1024] {
        let bytes = kilobytes * 1024;
        let many = |piece: &str| piece.repeat(bytes / piece.len());
        let inputs = [
            ("continuations", format!("FROM a\nRUN {}\n", many("x \\\n"))),
            ("quotes", format!("FROM a\nENV a={}\n", many("'\"'\"\\\n"))),
            ("words", format!("FROM a\nCOPY {}\n", many("a b\\\n"))),
        ];
        for (name, text) in inputs {
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(format!("{name}/{kilobytes}"), |bencher| {
                bencher.iter(|| black_box(parse(black_box(&text))));
            });
        }
        let nested = format!("{}{}", many("${a:-b"), "}".repeat(bytes / 6));
        group.throughput(Throughput::Bytes(nested.len() as u64));
        group.bench_function(format!("nested/{kilobytes}"), |bencher| {
            bencher.iter(|| expand(black_box(&nested), Lexing::default(), &|_| None));
        });
    }
    group.finish();
}

fn words(criterion: &mut Criterion) {
    let lookup = |name: &str| (name == "VERSION").then_some("1.2.3");
    let mut group = criterion.benchmark_group("expand");
    for word in [
        "/usr/local/bin",
        "app-${VERSION:-0}.tar.gz",
        "\"$VERSION and ${VERSION%.*}\"",
    ] {
        group.bench_function(word, |bencher| {
            bencher.iter(|| expand(black_box(word), Lexing::default(), &lookup));
        });
    }
    group.finish();
}

criterion_group!(benches, real, hostile, words);
criterion_main!(benches);
