//! Archives and registries that are made to fill the disk, the memory or the day: each ends early,
//! with a message that says why.

use std::fs;
use std::io::Write;
use std::path::Path;

use rbuild::layer;
use rbuild::layer::UnpackOptions;
use rbuild::oci::Digest;
use rbuild::oci::media_type;
use rbuild::sys::Root;

use crate::support::home::Home;
use crate::support::home::Output;
use crate::support::home::fail_with;
use crate::support::registry::Demand;
use crate::support::registry::FakeRegistry;
use crate::support::tree::shell;
use crate::support::wire::Fault;

const ENTRIES_MAX: u64 = 1000;
const BYTES_MAX: u64 = 1 << 20;
/// What bombs come to.
const LARGE: usize = 48 << 20;

/// The header of a tar entry.
fn header(kind: tar::EntryType, path: &str, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(path).unwrap();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// An entry with content.
fn entry(kind: tar::EntryType, path: &str, content: &[u8]) -> Vec<u8> {
    let mut tar = header(kind, path, content.len() as u64);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
    tar
}

/// A file `f` behind an extension header with one record.
fn extended(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (rest..).find(|length| length.to_string().len() + rest == *length);
    let record = format!("{} {key}={value}\n", length.unwrap());
    let mut tar = entry(tar::EntryType::XHeader, "x", record.as_bytes());
    tar.extend(entry(tar::EntryType::Regular, "f", b""));
    tar
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

/// The bombs: name, archive, and what must be said. Of a header larger than 1 MiB, and of an archive
/// that it makes larger, either may be noticed first.
fn archives() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let regular = tar::EntryType::Regular;
    let zeros = entry(regular, "zeros", &vec![0; LARGE]);
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&zeros).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
    xz.write_all(&zeros).unwrap();
    let many: Vec<u8> = (0..=ENTRIES_MAX)
        .flat_map(|number| entry(regular, &format!("f{number}"), b""))
        .collect();
    let again: Vec<u8> = (0..=ENTRIES_MAX)
        .flat_map(|_| entry(regular, "same", b""))
        .collect();
    let long = "n".repeat(2 << 20);
    let deep = "d/".repeat(4000);
    let mut tail = entry(regular, "f", b"");
    tail.resize(LARGE, 0);
    vec![
        ("zeros in gzip", gzip(&zeros), "bytes"),
        ("zeros in bzip2", bzip2.finish().unwrap(), "bytes"),
        ("zeros in xz", xz.finish().unwrap(), "bytes"),
        (
            "zeros in zstd",
            zstd::encode_all(zeros.as_slice(), 1).unwrap(),
            "bytes",
        ),
        ("zeros after the end", gzip(&tail), "bytes"),
        ("more entries than allowed", many, "entries"),
        ("one name again and again", again, "entries"),
        (
            "a claim of exabytes",
            header(regular, "f", 1 << 60),
            "bytes",
        ),
        (
            "a PAX header of megabytes",
            extended("path", &long),
            "than 1",
        ),
        (
            "a long name of megabytes",
            entry(tar::EntryType::GNULongName, "x", long.as_bytes()),
            "than 1",
        ),
        (
            "a path of thousands of directories",
            extended("path", &deep),
            "cannot extract",
        ),
        (
            "an attribute of a hundred thousand bytes",
            extended("SCHILY.xattr.user.x", &long[..100_000]),
            "cannot extract",
        ),
        ("a sparse file of exabytes", sparse(), "bytes"),
    ]
}

/// A file that claims to be a hole of exabytes, in GNU's form.
fn sparse() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("sparse").unwrap();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header.as_gnu_mut().unwrap().set_real_size(1 << 60);
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn no_archive_takes_more_than_it_may() {
    let mut wrong = Vec::new();
    for (name, archive, expected) in archives() {
        let target = tempfile::tempdir().unwrap();
        let options = UnpackOptions {
            entries_max: ENTRIES_MAX,
            bytes_max: BYTES_MAX,
            ..UnpackOptions::archive(None)
        };
        let root = Root::open(target.path()).unwrap();
        let result = layer::unpack(archive.as_slice(), &root, &options);
        let error = result.err().map(|error| error.to_string());
        if !error.as_ref().is_some_and(|error| error.contains(expected)) {
            wrong.push(format!("{name}: {error:?}, not {expected:?}"));
        }
        let taken = shell(target.path(), "du -sk . | cut -f1");
        let kilobytes: u64 = taken.trim().parse().unwrap();
        // A thousand empty files take a folder of their own.
        if kilobytes > 2 * BYTES_MAX / 1024 {
            wrong.push(format!("{name}: it took {kilobytes} kB"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Pulls `x:v1`, which must fail as a registry's fault, and says why.
#[track_caller]
fn pull_fails(registry: &FakeRegistry, expected: &str) -> Output {
    let home = Home::new();
    let name = format!("{}/x:v1", registry.host());
    let output = fail_with(4, home.rbuild().args(["pull", &name]));
    assert!(output.stderr.contains(expected), "{}", output.stderr);
    assert_small(&home.path("root"));
    output
}

/// Nothing of what came was kept.
#[track_caller]
fn assert_small(root: &Path) {
    let files = fs::read_dir(root.join("tmp")).map_or(0, Iterator::count);
    assert_eq!(files, 0, "temporary files are left");
}

#[test]
fn a_manifest_of_megabytes_is_refused() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let manifest = vec![b' '; 100 << 20];
    registry.put_manifest("x", "v1", media_type::MANIFEST, &manifest);
    pull_fails(&registry, "more than 4194304 bytes");
}

#[test]
fn an_index_of_ten_thousand_images_is_looked_through() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let digest = Digest::of(b"x");
    let entry = format!(
        r#"{{"mediaType":"{}","digest":"{digest}","size":1,"platform":{{"os":"linux","architecture":"s390x"}}}}"#,
        media_type::MANIFEST
    );
    let entries = vec![entry; 10_000].join(",");
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{entries}]}}"#);
    registry.put_manifest("x", "v1", media_type::INDEX, index.as_bytes());
    let output = pull_fails(&registry, "s390x");
    assert!(output.stderr.len() < 10_000, "it lists them all");
}

#[test]
fn an_index_that_is_nested_too_deep_is_refused() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let mut listed = (media_type::MANIFEST, Digest::of(b"x"), 1);
    for _ in 0..4 {
        let (kind, digest, size) = listed;
        let entry = format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#);
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#);
        registry.put_manifest("x", "v1", media_type::INDEX, index.as_bytes());
        listed = (media_type::INDEX, Digest::of(index.as_bytes()), index.len());
    }
    pull_fails(&registry, "is an index nested more than 3 deep");
}

#[test]
fn ten_thousand_layers_that_are_not_there_are_given_up() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let config = registry.put_blob("x", b"{}");
    let layer = format!(
        r#"{{"mediaType":"{}","digest":"{}","size":1}}"#,
        media_type::LAYER,
        Digest::of(b"missing")
    );
    let layers = vec![layer; 10_000].join(",");
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"{}","digest":"{config}","size":2}},"layers":[{layers}]}}"#,
        media_type::CONFIG
    );
    registry.put_manifest("x", "v1", media_type::MANIFEST, manifest.as_bytes());
    pull_fails(&registry, "");
    assert!(
        registry.requests().len() < 1000,
        "it asked for each of them"
    );
}

fn assert_given_up(registry: &FakeRegistry, max: usize) {
    let count = registry.requests().len();
    assert!(count < max, "{count} requests");
}

#[test]
fn redirects_in_a_circle_are_given_up() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let place = format!("http://{}/v2/x/manifests/v1", registry.host());
    registry.fault("GET", "manifests", u32::MAX, Fault::Redirect(place.clone()));
    registry.fault("HEAD", "manifests", u32::MAX, Fault::Redirect(place));
    pull_fails(&registry, "manifests/v1");
    assert_given_up(&registry, 200);
}

#[test]
fn a_token_that_is_never_enough_is_asked_for_a_few_times() {
    let registry = FakeRegistry::start(Demand::Token);
    // The registry forgets every token at once.
    let demand = "www-authenticate: Bearer realm=\"/token\",service=\"fake\"";
    registry.fault("GET", "manifests", u32::MAX, Fault::Status(401, demand, ""));
    registry.fault(
        "HEAD",
        "manifests",
        u32::MAX,
        Fault::Status(401, demand, ""),
    );
    pull_fails(&registry, "");
    assert!(registry.count("GET", "/token") < 10);
    assert_given_up(&registry, 50);
}

#[test]
fn a_token_server_that_leads_in_circles_is_given_up() {
    let registry = FakeRegistry::start(Demand::Token);
    let place = format!("http://{}/token", registry.host());
    registry.fault("GET", "/token", u32::MAX, Fault::Redirect(place));
    pull_fails(&registry, "token");
    assert_given_up(&registry, 200);
}

#[test]
fn the_configuration_says_what_is_too_much() {
    let home = Home::new();
    home.write(
        "rbuild.toml",
        "[limits]\nlayer_bytes = 100000\nlayer_entries = 3\n",
    );
    let context = home.context("FROM scratch\nADD archive /\n");
    let zeros = entry(tar::EntryType::Regular, "zeros", &vec![0; 200_000]);
    let many: Vec<u8> = (0..4)
        .flat_map(|number| entry(tar::EntryType::Directory, &format!("d{number}"), b""))
        .collect();
    for (archive, expected) in [(zeros, "100000 bytes"), (many, "3 entries")] {
        fs::write(context.join("archive"), gzip(&archive)).unwrap();
        let output = fail_with(1, &mut home.build(&context));
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
}
