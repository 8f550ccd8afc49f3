//! Layers: what is packed can be unpacked again, here and by others, and nothing leaves the root.

mod escape;

use std::ffi::OsStr;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::any;
use proptest::prelude::prop;
use proptest::prelude::prop_assert_eq;
use proptest::test_runner::Config;
use proptest::test_runner::TestRunner;
use rbuild::layer;
use rbuild::layer::Below;
use rbuild::layer::Compression;
use rbuild::layer::Earlier;
use rbuild::layer::Error;
use rbuild::layer::PackOptions;
use rbuild::layer::Packed;
use rbuild::layer::Piece;
use rbuild::layer::UnpackOptions;
use rbuild::layer::Unpacked;
use rbuild::oci::Digest;
use rbuild::sys::Owner;
use rbuild::sys::Root;
use tempfile::TempDir;

use crate::support::Feature;
use crate::support::random::repeatable;
use crate::support::require;
use crate::support::tree::Times;
use crate::support::tree::listing;
use crate::support::tree::perform;
use crate::support::tree::shell;
use crate::support::tree::steps;

/// One of everything that a layer can hold.
const EVERYTHING: &str = r#"
    mkdir -p dir/sub sticky empty
    chmod 1777 sticky; chown 7:8 dir/sub; chmod 2750 dir/sub
    echo content > dir/file; chown 70000:3000000 dir/file; chmod 4711 dir/file
    : > dir/zero; chmod 000 dir/zero
    head -c 1048577 /dev/urandom > dir/big
    ln dir/file dir/hard; ln dir/file another
    ln -s ../dir/file dir/link; ln -s /nowhere absolute; ln -s "$(printf 'n%.0s' $(seq 150))" long
    ln absolute hard-to-link
    mkfifo dir/fifo; mknod dir/char c 1 3; mknod dir/block b 7 300; mknod gone c 0 0
    printf x > "$(printf 'a%.0s' $(seq 101))"
    mkdir -p "$(printf 'd%.0s' $(seq 90))/$(printf 'e%.0s' $(seq 90))"
    printf y > "$(printf 'd%.0s' $(seq 90))/$(printf 'e%.0s' $(seq 90))/f"
    printf z > "$(printf 'u\303\244\377\n name')"
    touch -d '2001-02-03 04:05:06.789' dir/big; touch -d '1960-01-01' dir/zero
    touch -d '2500-01-01' another; touch -h -d '1999-09-09' absolute
    touch -d '2000-01-01' dir/sub dir
"#;

fn root(folder: &TempDir) -> Root {
    Root::open(folder.path()).unwrap()
}

fn tree(script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    shell(folder.path(), script);
    folder
}

fn pack_as(folder: &TempDir, compression: Compression) -> (Packed, Vec<u8>) {
    let mut blob = Vec::new();
    let options = PackOptions::new(compression);
    let packed = layer::pack(&root(folder), Below::Unknown, &options, &mut blob).unwrap();
    (packed, blob)
}

fn unpack_here(blob: impl Read + Send) -> (TempDir, Unpacked) {
    let folder = tempfile::tempdir().unwrap();
    let unpacked = layer::unpack(blob, &root(&folder), &UnpackOptions::layer(None)).unwrap();
    (folder, unpacked)
}

fn list(folder: &TempDir, times: Times) -> Vec<String> {
    listing(root(folder).dir(), times)
}

/// Gives one byte at a time, as the slowest network would.
struct Dribble<R>(R);

impl<R: Read> Read for Dribble<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

#[test]
fn what_is_packed_is_unpacked_the_same() {
    if !require(&[Feature::Root]) {
        return;
    }
    let folder = tree(EVERYTHING);
    let attribute = |name: &str, key: &str, value: &[u8]| {
        let dir = root(&folder).open_dir(Path::new("dir")).unwrap();
        dir.set_xattr(name, OsStr::new(key), value).unwrap();
    };
    // A capability, with the byte of a line end in it.
    attribute(
        "file",
        "security.capability",
        b"\x01\0\0\x02\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    );
    attribute("sub", "trusted.overlay.opaque", b"y");
    attribute("sub", "user.overlay.opaque", b"y");
    let expected = list(&folder, Times::Seconds);
    // What programs note in attributes is no part of a layer.
    attribute("sub", "user.words", b"a=b\nc\0");
    let compressions = [
        Compression::None,
        Compression::DEFAULT,
        Compression::Zstd { level: 3 },
    ];
    let packed = compressions.map(|compression| pack_as(&folder, compression));
    for (compression, (packed_as, blob)) in compressions.into_iter().zip(&packed) {
        assert_eq!(packed_as.diff_id, packed[0].0.diff_id);
        let (copy, unpacked) = unpack_here(blob.as_slice());
        assert_eq!(unpacked.diff_id, packed_as.diff_id);
        assert_eq!(unpacked.diff_size, packed_as.diff_size);
        assert_eq!(unpacked.implied, Vec::<std::path::PathBuf>::new());
        assert_eq!(list(&copy, Times::Seconds), expected);
        assert_eq!(&pack_as(&copy, compression).1, blob);
    }
}

#[test]
fn a_reader_may_give_one_byte_at_a_time() {
    if !require(&[Feature::Root]) {
        return;
    }
    let folder = tree("mkdir d; head -c 100000 /dev/urandom > d/f; ln -s f d/l; echo x > y");
    for compression in [
        Compression::None,
        Compression::DEFAULT,
        Compression::Zstd { level: 3 },
    ] {
        let (packed, blob) = pack_as(&folder, compression);
        let (copy, unpacked) = unpack_here(Dribble(blob.as_slice()));
        assert_eq!(unpacked.diff_id, packed.diff_id);
        assert_eq!(list(&copy, Times::Seconds), list(&folder, Times::Seconds));
    }
}

#[test]
fn a_blob_that_is_cut_is_an_error_wherever_it_is_cut() {
    if !require(&[Feature::Root]) {
        return;
    }
    let folder = tree("mkdir d; head -c 3000 /dev/urandom > d/f; echo x > y");
    let (packed, blob) = pack_as(&folder, Compression::None);
    let options = UnpackOptions::layer(Some(packed.diff_id));
    for length in (0..blob.len()).step_by(97) {
        let target = tempfile::tempdir().unwrap();
        let result = layer::unpack(&blob[..length], &root(&target), &options);
        assert!(result.is_err(), "cut to {length} bytes");
    }
    let (_, blob) = pack_as(&folder, Compression::DEFAULT);
    for length in (1..blob.len()).step_by(97) {
        let target = tempfile::tempdir().unwrap();
        let result = layer::unpack(&blob[..length], &root(&target), &options);
        assert!(result.is_err(), "cut to {length} bytes");
    }
}

#[test]
fn a_wrong_diff_id_is_told() {
    if !require(&[Feature::Root]) {
        return;
    }
    let (_, blob) = pack_as(&tree("echo x > y"), Compression::DEFAULT);
    let (other, _) = pack_as(&tree("echo x > z"), Compression::DEFAULT);
    let target = tempfile::tempdir().unwrap();
    let options = UnpackOptions::layer(Some(other.diff_id));
    let error = layer::unpack(blob.as_slice(), &root(&target), &options).unwrap_err();
    assert!(matches!(error, Error::DiffId { .. }), "{error}");
}

#[test]
fn an_archive_larger_than_allowed_is_refused() {
    if !require(&[Feature::Root]) {
        return;
    }
    let folder = tree("for i in 1 2 3 4 5; do head -c 5000 /dev/zero > $i; done");
    let (packed, blob) = pack_as(&folder, Compression::DEFAULT);
    let unpack = |options: UnpackOptions| {
        let target = tempfile::tempdir().unwrap();
        layer::unpack(blob.as_slice(), &root(&target), &options)
    };
    let all = UnpackOptions::layer(None);
    unpack(UnpackOptions {
        entries_max: 5,
        bytes_max: packed.diff_size,
        ..all
    })
    .unwrap();
    let error = unpack(UnpackOptions {
        entries_max: 4,
        ..all
    })
    .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                what: "entries",
                limit: 4
            }
        ),
        "{error}"
    );
    for bytes_max in [0, 1000, packed.diff_size - 1] {
        let error = unpack(UnpackOptions { bytes_max, ..all }).unwrap_err();
        assert!(
            matches!(error, Error::Limit { what: "bytes", .. }),
            "{error}"
        );
    }
}

#[test]
fn a_claimed_size_reserves_nothing_above_the_limit() {
    let mut header = tar::Header::new_ustar();
    header.set_path("f").unwrap();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(8 << 20);
    header.set_cksum();
    let target = tempfile::tempdir().unwrap();
    let options = UnpackOptions {
        bytes_max: 1 << 20,
        ..UnpackOptions::layer(None)
    };
    let error = layer::unpack(header.as_bytes().as_slice(), &root(&target), &options).unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    assert!(!target.path().join("f").exists());
}

#[test]
fn times_are_clamped_only_down() {
    if !require(&[Feature::Root]) {
        return;
    }
    let folder = tree("touch -d @100 old; touch -d @300 new; mkdir d; touch -d @200.9 d");
    let mut blob = Vec::new();
    let options = PackOptions {
        clamp_epoch: Some(200),
        ..PackOptions::new(Compression::None)
    };
    layer::pack(&root(&folder), Below::Nothing, &options, &mut blob).unwrap();
    let (copy, _) = unpack_here(blob.as_slice());
    assert_eq!(
        shell(copy.path(), "stat -c '%n %.9Y' d new old"),
        "d 200.000000000\nnew 200.000000000\nold 100.000000000\n"
    );
}

#[test]
fn the_change_set_of_an_unknown_base_keeps_its_opaque_directories() {
    if !require(&[Feature::Root]) {
        return;
    }
    let folder = tree("mkdir -p plain replaced; touch replaced/x plain/x");
    layer::whiteout::make_opaque(root(&folder).dir(), "replaced").unwrap();
    let (_, blob) = pack_as(&folder, Compression::None);
    let listed = tar_list(&blob);
    assert_eq!(
        listed,
        "plain/\nplain/x\nreplaced/\nreplaced/.wh..wh..opq\nreplaced/x\n"
    );
    let (copy, _) = unpack_here(blob.as_slice());
    assert_eq!(list(&copy, Times::Seconds), list(&folder, Times::Seconds));
}

/// The names in a tar, as GNU tar reads them.
fn tar_list(blob: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tar"), blob).unwrap();
    shell(folder.path(), "tar -tf tar")
}

#[test]
fn gnu_tar_and_our_own_read_each_other() {
    if !require(&[Feature::Root, Feature::Program("tar")]) {
        return;
    }
    // GNU tar has no whiteouts; its exact times need PAX.
    let folder = tree(&format!("{EVERYTHING} rm gone"));
    let (_, blob) = pack_as(&folder, Compression::DEFAULT);
    let theirs = tempfile::tempdir().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), blob).unwrap();
    let at = |script: &str| script.replace("FILE", file.path().to_str().unwrap());
    shell(theirs.path(), &at("tar --numeric-owner -xpzf FILE"));
    assert_eq!(list(&theirs, Times::Seconds), list(&folder, Times::Seconds));
    for format in ["gnu", "pax"] {
        shell(
            folder.path(),
            &at(&format!("tar --format={format} --numeric-owner -cf FILE .")),
        );
        let (ours, _) = unpack_here(std::fs::File::open(file.path()).unwrap());
        let times = if format == "pax" {
            Times::Exact
        } else {
            Times::Seconds
        };
        assert_eq!(list(&ours, times), list(&folder, times), "{format}");
    }
    shell(
        folder.path(),
        &at(
            "rm -rf dir/zero another dir/file dir/hard u* a* long; tar --format=ustar --numeric-owner -cf FILE .",
        ),
    );
    let (ours, _) = unpack_here(std::fs::File::open(file.path()).unwrap());
    assert_eq!(list(&ours, Times::Seconds), list(&folder, Times::Seconds));
}

/// A tar of entries given as kind, path and link; files hold their own path.
fn handmade(entries: &[(char, &str, &str)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (kind, path, link) in entries {
        let mut header = tar::Header::new_ustar();
        let fields = header.as_ustar_mut().unwrap();
        fields.name[..path.len()].copy_from_slice(path.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        fields.typeflag = [u8::try_from(*kind).unwrap()];
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1000);
        let content = if *kind == '0' { path.as_bytes() } else { b"" };
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// Unpacks into a folder beside which nothing may appear; gives the paths in it.
fn unpack_guarded(tar: &[u8], options: &UnpackOptions) -> (Vec<String>, Result<Unpacked, Error>) {
    let outside = tree("mkdir root secret; echo secret > secret/file");
    let before = list(&outside, Times::Ignored);
    let inside = Root::open(&outside.path().join("root")).unwrap();
    let result = layer::unpack(tar, &inside, options);
    let found = listing(inside.dir(), Times::Ignored);
    shell(outside.path(), "rm -rf root; mkdir root");
    assert_eq!(
        list(&outside, Times::Ignored),
        before,
        "something outside was touched"
    );
    let path = |line: &String| line.split(' ').next().unwrap().to_owned();
    (found.iter().map(path).collect(), result)
}

#[test]
fn no_entry_reaches_outside_the_root() {
    if !require(&[Feature::Root]) {
        return;
    }
    type Entries<'a> = &'a [(char, &'a str, &'a str)];
    let cases: &[(Entries<'_>, &str)] = &[
        (&[('0', "../secret/new", "")], "secret secret/new"),
        (&[('0', "/etc/../../../a", "")], "a"),
        (&[('0', "a/../../b", "")], "b"),
        (
            &[('2', "link", "../secret"), ('0', "link/file", "")],
            "link secret secret/file",
        ),
        (&[('2', "link", "/"), ('0', "link/file", "")], "file link"),
        // A directory that becomes a link between two of its files.
        (
            &[
                ('5', "d/", ""),
                ('0', "d/a", ""),
                ('2', "d", "../secret"),
                ('0', "d/file", ""),
            ],
            "d secret secret/file",
        ),
        (
            &[('2', "link", "../secret/file"), ('0', "link", "")],
            "link",
        ),
        (&[('3', "../char", "")], "char"),
        (&[('6', "/../../fifo", "")], "fifo"),
        (&[('5', "../../d/", "")], "d"),
    ];
    for (entries, expected) in cases {
        for options in [UnpackOptions::layer(None), UnpackOptions::archive(None)] {
            if entries[0].0 == '3' && options.content == layer::Content::Layer {
                continue;
            }
            let (found, result) = unpack_guarded(&handmade(entries), &options);
            result.unwrap();
            assert_eq!(found.join(" "), *expected, "{entries:?}");
        }
    }
}

#[test]
fn hard_links_lead_nowhere_outside_the_archive() {
    if !require(&[Feature::Root]) {
        return;
    }
    let cases: &[&[(char, &str, &str)]] = &[
        &[('1', "stolen", "../secret/file")],
        &[('1', "stolen", "/etc/passwd")],
        &[('2', "out", "../secret"), ('1', "stolen", "out/file")],
        &[('5', "d/", ""), ('1', "to-directory", "d")],
        &[('0', ".wh.x", ""), ('1', "to-whiteout", "x")],
        &[('1', "self", "self")],
        &[('1', "to-root", "/")],
    ];
    for entries in cases {
        let (_, result) = unpack_guarded(&handmade(entries), &UnpackOptions::layer(None));
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::LinkTarget { .. }),
            "{entries:?}: {error}"
        );
    }
}

#[test]
fn entries_come_in_any_order_and_the_last_of_a_path_counts() {
    if !require(&[Feature::Root]) {
        return;
    }
    let tar = handmade(&[
        ('0', "d/e/file", ""),
        ('5', "d/", ""),
        ('0', "x", ""),
        ('2', "x", "target"),
        ('0', "y", ""),
        ('5', "y/", ""),
        ('0', "y/in", ""),
        ('5', "z/", ""),
        ('0', "z/gone", ""),
        ('0', "z", ""),
        ('0', "first", ""),
        ('1', "second", "first"),
        ('1', "second", "first"),
        ('5', "./", ""),
    ]);
    let (folder, unpacked) = unpack_here(tar.as_slice());
    assert_eq!(unpacked.implied, [Path::new("d/e")]);
    let found = shell(
        folder.path(),
        "find . -mindepth 1 -printf '%P %y %m %T@ %l\n' | grep -v ^d/e\\ | LC_ALL=C sort; stat -c %a d/e",
    );
    assert_eq!(
        found,
        "d d 644 1000.0000000000 \n\
         d/e/file f 644 1000.0000000000 \n\
         first f 644 1000.0000000000 \n\
         second f 644 1000.0000000000 \n\
         x l 777 1000.0000000000 target\n\
         y d 644 1000.0000000000 \n\
         y/in f 644 1000.0000000000 \n\
         z f 644 1000.0000000000 \n\
         755\n"
    );
}

#[test]
fn whiteouts_hide_only_what_lies_below() {
    if !require(&[Feature::Root]) {
        return;
    }
    let tar = handmade(&[
        ('0', ".wh.gone", ""),
        ('0', "file", ""),
        ('0', ".wh.file", ""),
        ('5', "before/", ""),
        ('0', ".wh.before", ""),
        ('0', ".wh.after", ""),
        ('5', "after/", ""),
        ('0', ".wh.implied", ""),
        ('0', "implied/file", ""),
        ('5', "opaque/", ""),
        ('0', "opaque/.wh..wh..opq", ""),
        ('0', "opaque/file", ""),
        ('0', ".wh..wh.plnk", ""),
    ]);
    let (folder, _) = unpack_here(tar.as_slice());
    let lines = list(&folder, Times::Ignored);
    let whiteouts: Vec<_> = lines
        .iter()
        .filter(|line| line.ends_with(" whiteout"))
        .collect();
    assert_eq!(whiteouts, ["gone whiteout"]);
    let opaque = lines
        .iter()
        .filter(|line| line.contains("trusted.overlay.opaque"));
    let opaque: Vec<_> = opaque.map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(opaque, ["after", "before", "implied", "opaque"]);
    assert!(lines.iter().any(|line| line.starts_with("file File")));
    for name in [".wh.", ".wh..", ".wh...", "d/.wh..", ".wh..wh..opq"] {
        let target = tempfile::tempdir().unwrap();
        let tar = handmade(&[('0', name, "")]);
        let error = layer::unpack(tar.as_slice(), &root(&target), &UnpackOptions::layer(None));
        assert!(
            matches!(error.unwrap_err(), Error::Archive { entry: 1, .. }),
            "{name}"
        );
    }
}

#[test]
fn an_archive_is_extracted_as_it_is() {
    if !require(&[Feature::Root]) {
        return;
    }
    let folder = tree("mkdir d; echo old > d/kept; echo old > d/replaced; chmod 700 d .");
    let tar = handmade(&[
        ('5', "./", ""),
        ('5', "d/", ""),
        ('0', "d/replaced", ""),
        ('0', ".wh.name", ""),
        ('0', "new/file", ""),
    ]);
    let options = UnpackOptions::archive(Some(Owner { uid: 5, gid: 6 }));
    layer::unpack(tar.as_slice(), &root(&folder), &options).unwrap();
    let found = shell(
        folder.path(),
        "find . -printf '%P %U %G %m\n' | LC_ALL=C sort; cat d/kept",
    );
    assert_eq!(
        found,
        " 0 0 700\n.wh.name 5 6 644\nd 5 6 644\nd/kept 0 0 644\nd/replaced 5 6 644\nnew 0 0 755\n\
         new/file 5 6 644\nold\n"
    );
}

#[test]
fn attributes_of_overlayfs_never_enter() {
    if !require(&[Feature::Root]) {
        return;
    }
    let records = [
        record("SCHILY.xattr.trusted.overlay.redirect=/etc"),
        record("SCHILY.xattr.user.x=y"),
    ];
    let records = records.concat();
    let tar = escape::extended(&records);
    let (folder, _) = unpack_here(tar.as_slice());
    let dir = root(&folder);
    assert_eq!(dir.dir().xattrs("f").unwrap(), ["user.x"]);
}

/// A PAX record with its length, which counts its own digits.
fn record(text: &str) -> Vec<u8> {
    let rest = text.len() + 2;
    let length = (rest..).find(|length| length.to_string().len() + rest == *length);
    format!("{} {text}\n", length.unwrap()).into_bytes()
}

#[test]
fn what_is_no_tar_is_told_so() {
    let cases: [(&[u8], bool); 5] = [
        (b"", false),
        (b"hello", false),
        (&[0; 1024], false),
        (&[b'a'; 4096], false),
        (&handmade(&[('0', "a", "")]), true),
    ];
    for (content, expected) in cases {
        assert_eq!(layer::is_archive(content), expected);
        assert_eq!(layer::is_archive(Dribble(content)), expected);
        for compressed in compressed(content) {
            assert_eq!(layer::is_archive(compressed.as_slice()), expected);
            assert!(!layer::is_archive(&compressed[..compressed.len().min(12)]));
        }
    }
}

/// The same content in every compression that archives come in.
fn compressed(content: &[u8]) -> Vec<Vec<u8>> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(content).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(content).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(content).unwrap();
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zstd.write_all(content).unwrap();
    // What is not known to be all needs a window.
    zstd.flush().unwrap();
    let near = zstd.finish().unwrap();
    // A window as `zstd --long=29` makes it: RFC 8878, 3.1.1.1.2.
    let mut far = near.clone();
    assert_eq!(far[4] & 0x20, 0, "the frame says nothing of a window");
    far[5] = (29 - 10) << 3;
    vec![
        gzip.finish().unwrap(),
        bzip2.finish().unwrap(),
        xz.finish().unwrap(),
        near,
        far,
    ]
}

#[test]
fn every_compression_is_known_by_its_content() {
    if !require(&[Feature::Root]) {
        return;
    }
    let tar = handmade(&[('0', "a", ""), ('5', "d/", "")]);
    for blob in compressed(&tar) {
        let twice = [
            blob.as_slice(),
            compressed(b"")
                .iter()
                .find(|end| end[..2] == blob[..2])
                .unwrap(),
        ]
        .concat();
        for blob in [blob, twice] {
            let (folder, unpacked) = unpack_here(Dribble(blob.as_slice()));
            assert_eq!(unpacked.diff_id.0, Digest::of(&tar));
            assert_eq!(shell(folder.path(), "ls"), "a\nd\n");
        }
    }
}

/// Gives a file another size as soon as something of it was written.
struct Resize<'a>(&'a Path, u64);

impl Write for Resize<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        std::fs::File::options()
            .write(true)
            .open(self.0)?
            .set_len(self.1)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_that_changes_while_it_is_packed_is_an_error() {
    // More than is read ahead of what is written.
    const SIZE: u64 = 256 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let changing = root(&folder);
    let options = PackOptions::new(Compression::None);
    for length in [5, SIZE + 1] {
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(SIZE).unwrap();
        let out = Resize(&path, length);
        let error = layer::pack(&changing, Below::Nothing, &options, out).unwrap_err();
        assert!(
            matches!(error, Error::Changed { size: SIZE, .. }),
            "{error}"
        );
    }
}

/// What one layer is compressed to can be taken over by another: its bytes stay what they are.
#[test]
fn pieces_of_an_earlier_layer_change_no_byte() {
    let folder = tree(
        r#"for d in 1 2 3 4; do mkdir $d; for f in $(seq 150); do
             seq $((d * f)) $((d * f + 3000)) > $d/$f; done; done
           seq 500000 > large"#,
    );
    let (first, blob) = pack_as(&folder, Compression::DEFAULT);
    std::fs::write(folder.path().join("2/70"), "changed").unwrap();
    let (changed, expected) = pack_as(&folder, Compression::DEFAULT);
    let taken_over = |blob: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(blob).unwrap();
        let options = PackOptions {
            earlier: Some(Arc::new(Earlier::new(file, &first.pieces))),
            ..PackOptions::new(Compression::DEFAULT)
        };
        let mut out = Vec::new();
        let packed = layer::pack(&root(&folder), Below::Unknown, &options, &mut out).unwrap();
        assert_eq!(packed, changed);
        out
    };
    assert_eq!(taken_over(&blob), expected);
    let mut damaged = blob.clone();
    for byte in damaged.iter_mut().step_by(1000) {
        *byte ^= 1;
    }
    assert_eq!(taken_over(&damaged), expected);
    let is_new = |piece: &&Piece| !first.pieces.contains(piece);
    let new = changed.pieces.iter().filter(is_new).count();
    let of = changed.pieces.len();
    assert!(new <= 5 && of >= 20, "{new} of {of}");
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let folder = tree("head -c 5000000 /dev/urandom > a; yes | head -c 5000000 > b");
    let (_, expected) = pack_as(&folder, Compression::DEFAULT);
    for threads in [1, 5] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let (_, blob) = pool.install(|| pack_as(&folder, Compression::DEFAULT));
        assert_eq!(blob, expected, "{threads} threads");
    }
}

#[test]
fn a_full_disk_names_the_file() {
    if !require(&[Feature::Root, Feature::Program("mount")]) {
        return;
    }
    let folder = tree("head -c 3000000 /dev/urandom > large");
    let (_, blob) = pack_as(&folder, Compression::None);
    let small = tree("mkdir t; mount -t tmpfs -o size=1m none t");
    let target = Root::open(&small.path().join("t")).unwrap();
    let error = layer::unpack(blob.as_slice(), &target, &UnpackOptions::layer(None)).unwrap_err();
    drop(target);
    // A process that another test is starting may have it open, too.
    shell(small.path(), "umount -l t");
    assert!(error.to_string().contains("large"), "{error}");
    let source = std::error::Error::source(&error).unwrap();
    let text = format!("{source} {:?}", source.source().map(ToString::to_string));
    assert!(text.contains("No space left"), "{text}");
}

#[test]
fn any_tree_comes_back_from_its_layer() {
    if !require(&[Feature::Root]) {
        return;
    }
    let mut runner = TestRunner::new(Config {
        cases: 60,
        ..repeatable()
    });
    let result = runner.run(&steps(25), |steps| {
        let folder = tempfile::tempdir().unwrap();
        perform(&root(&folder), &steps);
        let (packed, blob) = pack_as(&folder, Compression::DEFAULT);
        let (copy, unpacked) = unpack_here(blob.as_slice());
        prop_assert_eq!(unpacked.diff_id, packed.diff_id);
        prop_assert_eq!(list(&copy, Times::Seconds), list(&folder, Times::Seconds));
        Ok(())
    });
    result.unwrap();
}

/// The digests are those of BuildKit's layers of `COPY . .` and `COPY --chown=1:1 testfile /`.
#[test]
fn a_layer_is_byte_for_byte_that_of_buildkit() {
    if !require(&[Feature::Root]) {
        return;
    }
    let copied = tree(
        r#"
        mkdir -p subdir/subsubdir; echo unmatched > .dockerignore
        printf 'FROM scratch\nCOPY . .\n' > Dockerfile
        printf sub1 > subdir/sub1.txt; echo subsub1 > subdir/subsubdir/subsub1.txt
        chmod 644 .dockerignore Dockerfile subdir/*.txt subdir/*/*.txt
        chmod 755 subdir subdir/subsubdir
        find . -exec touch -d @1795225140.2432 {} +
        "#,
    );
    let owned = tree(
        r#"
        echo "Hi, I'm a test file.  Enjoy the test." > testfile
        chmod 644 testfile; chown 1:1 testfile; touch -d @1795225140.242 testfile
        "#,
    );
    let diff_id = |folder| pack_as(folder, Compression::None).0.diff_id.to_string();
    assert_eq!(
        diff_id(&copied),
        "sha256:e6edd7b277ec7fc7f079ebda88c6073a7d195c4c805025bf1c485fef8fca0581"
    );
    assert_eq!(
        diff_id(&owned),
        "sha256:2c6e39295b97adebcb28cbf10235101c98567705847e933d7f9339893b91a5f2"
    );
}

#[test]
fn files_with_holes_come_as_gnu_tar_writes_them() {
    if !require(&[Feature::Root, Feature::Program("tar")]) {
        return;
    }
    let folder = tree(
        r#"
        truncate -s 9000000 few; printf x | dd of=few bs=1 seek=5000000 conv=notrunc status=none
        truncate -s 700000 none; echo whole > whole; truncate -s 9000000 many
        for i in $(seq 60); do
            head -c 5000 /dev/urandom | dd of=many bs=1000 seek=$((i * 100)) conv=notrunc status=none
        done
        "#,
    );
    let expected = list(&folder, Times::Seconds);
    for format in [
        "gnu",
        "pax --sparse-version=1.0",
        "pax --sparse-version=0.1",
    ] {
        shell(
            folder.path(),
            &format!("tar -S --format={format} -cf $PWD.tar *"),
        );
        let file = folder.path().with_extension("tar");
        let tar = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(tar.len() < 1 << 20, "{format}: there are no holes");
        let (copy, _) = unpack_here(Dribble(tar.as_slice()));
        assert_eq!(list(&copy, Times::Seconds), expected, "{format}");
        let blocks = shell(copy.path(), "stat -c %b few none");
        assert!(
            blocks
                .lines()
                .all(|blocks| blocks.parse::<u32>().unwrap() < 100),
            "{blocks}"
        );
    }
}

/// Whatever bytes a blob has, it is extracted or refused, inside the root.
#[test]
fn no_archive_is_a_panic() {
    if !require(&[Feature::Root]) {
        return;
    }
    let folder =
        tree("mkdir d; echo x > d/f; ln -s f d/l; ln d/f h; truncate -s 100000 s; echo > s");
    shell(
        folder.path(),
        "printf z > $(printf 'a%.0s' $(seq 101)); tar -S --format=pax -cf t *",
    );
    let tar = std::fs::read(folder.path().join("t")).unwrap();
    let change = (0..tar.len(), any::<u8>(), any::<bool>());
    let mut runner = TestRunner::new(Config {
        cases: 200,
        ..repeatable()
    });
    let result = runner.run(&prop::collection::vec(change, 1..8), |changes| {
        let mut broken = tar.clone();
        for (at, byte, repair) in changes {
            broken[at] = byte;
            let header = &mut broken[at / 512 * 512..][..512];
            if repair && at % 512 < 345 {
                let mut fixed = tar::Header::from_byte_slice(header).clone();
                fixed.set_cksum();
                header.copy_from_slice(fixed.as_bytes());
            }
        }
        let _ = unpack_guarded(&broken, &UnpackOptions::archive(None));
        Ok(())
    });
    result.unwrap();
}
