//! How fast a change set becomes a layer, and a layer a change set: bytes of the tar per second.

use std::fs;
use std::hint::black_box;
use std::io;
use std::path::Path;

use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;
use rbuild::layer;
use rbuild::layer::Below;
use rbuild::layer::Compression;
use rbuild::layer::PackOptions;
use rbuild::layer::UnpackOptions;
use rbuild::sys::Root;

const COMPRESSIONS: [(&str, Compression); 5] = [
    ("none", Compression::None),
    ("gzip 1", Compression::Gzip { level: 1 }),
    ("gzip 4", Compression::DEFAULT),
    ("gzip 6", Compression::Gzip { level: 6 }),
    ("zstd 3", Compression::Zstd { level: 3 }),
];

/// Makes a tree like that of a program with its sources: 2000 small texts and one large file.
fn tree(folder: &Path) {
    let mut state = 1_u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let words = [
        "let", "fn", "return", "struct", "impl", "match", "use", "self", "0", "->",
    ];
    let mut text = |length: usize| {
        let mut text = String::with_capacity(length + 8);
        while text.len() < length {
            text.push_str(words[next() as usize % words.len()]);
            text.push(if next() % 8 == 0 { '\n' } else { ' ' });
        }
        text
    };
    for index in 0..2000 {
        let sub = folder.join(format!("src/{}", index % 40));
        fs::create_dir_all(&sub).expect("a folder");
        fs::write(sub.join(format!("{index}.rs")), text(4000)).expect("a file");
    }
    fs::write(folder.join("large"), text(24 << 20)).expect("a file");
}

fn pack(folder: &Path, compression: Compression, out: impl io::Write) -> layer::Packed {
    let root = Root::open(folder).expect("a folder");
    let options = PackOptions {
        clamp_epoch: Some(0),
        ..PackOptions::new(compression)
    };
    layer::pack(&root, Below::Nothing, &options, out).expect("it packs")
}

fn packing(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    tree(folder.path());
    let size = pack(folder.path(), Compression::None, io::sink()).diff_size;
    let mut group = criterion.benchmark_group("pack");
    group.throughput(Throughput::Bytes(size));
    for (name, compression) in COMPRESSIONS {
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            &compression,
            |bench, kind| {
                bench.iter(|| black_box(pack(folder.path(), *kind, io::sink())));
            },
        );
    }
    group.finish();
}

fn unpacking(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    tree(folder.path());
    let mut group = criterion.benchmark_group("unpack");
    for (name, compression) in COMPRESSIONS {
        let mut blob = Vec::new();
        let packed = pack(folder.path(), compression, &mut blob);
        group.throughput(Throughput::Bytes(packed.diff_size));
        group.bench_with_input(BenchmarkId::from_parameter(name), &blob, |bench, blob| {
            bench.iter_with_large_drop(|| {
                let target = tempfile::tempdir().expect("a temporary folder");
                let root = Root::open(target.path()).expect("a folder");
                let options = UnpackOptions::layer(None);
                layer::unpack(blob.as_slice(), &root, &options).expect("it unpacks");
                target
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = packing, unpacking
}
criterion_main!(benches);
