//! Layers and archives that try to reach outside of the directory they are unpacked into. The
//! guarded folder is `../secret`, as seen from there.

use rbuild::layer::UnpackOptions;

use super::handmade;
use super::record;
use super::unpack_guarded;
use crate::support::Feature;
use crate::support::require;

/// The entries of one archive: kind, path, link.
type Entries = &'static [(char, &'static str, &'static str)];

/// What is tried, and what is then in the directory; nothing where it must be refused.
const LAYERS: &[(&str, Entries, Option<&str>)] = &[
    (
        "a link twice over",
        &[
            ('2', "a", "../secret"),
            ('2', "b", "a"),
            ('0', "b/file", ""),
        ],
        Some("a b secret secret/file"),
    ),
    (
        "a link in the middle of a path",
        &[
            ('5', "d/", ""),
            ('2', "d/up", ".."),
            ('0', "d/up/../../secret/file", ""),
        ],
        Some("d d/up secret secret/file"),
    ),
    (
        "a parent that becomes a link and a directory again",
        &[
            ('5', "d/", ""),
            ('2', "d", "../secret"),
            ('5', "d/", ""),
            ('0', "d/file", ""),
        ],
        Some("d d/file"),
    ),
    (
        "a grandparent that becomes a link",
        &[
            ('5', "a/b/c/", ""),
            ('0', "a/b/c/x", ""),
            ('2', "a", "../secret"),
            ('0', "a/b/c/file", ""),
        ],
        Some("a secret secret/b secret/b/c secret/b/c/file"),
    ),
    (
        "a file that becomes a directory",
        &[
            ('2', "d", "../secret/file"),
            ('5', "d/", ""),
            ('0', "d/x", ""),
        ],
        Some("d d/x"),
    ),
    (
        "a link to itself as parent",
        &[('2', "l", "l"), ('0', "l/x", "")],
        None,
    ),
    (
        "two links to each other as parent",
        &[('2', "a", "b"), ('2', "b", "a"), ('0', "a/x", "")],
        None,
    ),
    (
        "a directory over a link keeps its target",
        &[('2', "l", "../secret"), ('5', "l/", "")],
        Some("l"),
    ),
    (
        "times of a directory that became a link",
        &[('5', "d/", ""), ('0', "d/x", ""), ('2', "d", "../secret")],
        Some("d"),
    ),
    (
        "a device over a link",
        &[('2', "l", "../secret/file"), ('3', "l", "")],
        Some("l"),
    ),
    (
        "a pipe behind a link",
        &[('2', "l", "../secret"), ('6', "l/pipe", "")],
        Some("l secret secret/pipe"),
    ),
    (
        "a hard link over a link",
        &[
            ('0', "f", ""),
            ('2', "l", "../secret/file"),
            ('1', "l", "f"),
        ],
        Some("f l"),
    ),
    (
        "a hard link to a link, written through",
        &[
            ('2', "l", "../secret/file"),
            ('1', "h", "l"),
            ('0', "h", ""),
        ],
        Some("h l"),
    ),
    (
        "a hard link whose target climbs",
        &[('0', "f", ""), ('1', "h", "../../../f")],
        Some("f h"),
    ),
    (
        "a hard link into its own future",
        &[('1', "h", "f"), ('0', "f", "")],
        None,
    ),
    (
        "a whiteout that climbs",
        &[('0', "../secret/.wh.file", "")],
        Some("secret secret/file"),
    ),
    (
        "a whiteout behind a link",
        &[('2', "l", "../secret"), ('0', "l/.wh.file", "")],
        Some("l secret secret/file"),
    ),
    (
        "an opaque mark behind a link",
        &[('2', "l", "../secret"), ('0', "l/.wh..wh..opq", "")],
        Some("l secret"),
    ),
    (
        "an opaque mark of the root",
        &[('0', ".wh..wh..opq", "")],
        None,
    ),
    ("a whiteout of ..", &[('0', "d/.wh...", "")], None),
    ("a whiteout of .", &[('0', "d/.wh..", "")], None),
    (
        "a whiteout that is a link",
        &[('2', ".wh.x", "../secret/file")],
        Some("x"),
    ),
    (
        "a whiteout that is a directory",
        &[('5', ".wh.x/", ""), ('0', ".wh.x/file", "")],
        Some(".wh.x .wh.x/file x"),
    ),
    (
        "an opaque mark that is a hard link",
        &[('0', "f", ""), ('1', "d/.wh..wh..opq", "f")],
        Some("d f"),
    ),
    (
        "the root as a link",
        &[('2', "./", "../secret"), ('0', "file", "")],
        Some("file"),
    ),
    (
        "the root as a file",
        &[('0', "/", ""), ('0', "file", "")],
        Some("file"),
    ),
    (
        "an empty name",
        &[('0', "", ""), ('0', "file", "")],
        Some("file"),
    ),
    (
        "a name of blanks and controls",
        &[('0', " \n\r\t", "")],
        Some(""),
    ),
    (
        "a path below a file",
        &[('0', "f", ""), ('0', "f/x", "")],
        None,
    ),
    (
        "a path below a whiteout",
        &[('3', "c", ""), ('0', "c/x", "")],
        Some("c c/x"),
    ),
];

#[test]
fn no_layer_reaches_outside() {
    if !require(&[Feature::Root]) {
        return;
    }
    let mut wrong = Vec::new();
    for (name, entries, expected) in LAYERS {
        let (found, result) = unpack_guarded(&handmade(entries), &UnpackOptions::layer(None));
        match (expected, result) {
            (Some(expected), Ok(_)) if found.join(" ") == *expected => {}
            (None, Err(_)) => {}
            (_, result) => wrong.push(format!("{name}: {found:?}, {result:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the extension headers before a file `f` say, and what is then in the directory.
const EXTENSIONS: &[(&str, &str, Option<&str>)] = &[
    (
        "a path that climbs",
        "path=../secret/x",
        Some("secret secret/x"),
    ),
    (
        "an absolute path",
        "path=/etc/passwd",
        Some("etc etc/passwd"),
    ),
    ("a path with a NUL", "path=a\0b", None),
    ("an empty path", "path=", Some("f")),
    ("a link that climbs", "linkpath=../secret", Some("f")),
    ("a number that is none", "uid=-7", None),
    ("a size that is none", "size=x", None),
    ("a time out of all range", "mtime=99999999999999", Some("f")),
    (
        "an attribute of overlayfs",
        "SCHILY.xattr.trusted.overlay.redirect=/secret",
        Some("f"),
    ),
    (
        "an attribute with a NUL in its name",
        "SCHILY.xattr.user.a\0b=c",
        None,
    ),
];

#[test]
fn no_extension_header_reaches_outside() {
    if !require(&[Feature::Root]) {
        return;
    }
    let mut wrong = Vec::new();
    for (name, text, expected) in EXTENSIONS {
        let tar = extended(&record(text));
        let (found, result) = unpack_guarded(&tar, &UnpackOptions::layer(None));
        match (expected, result) {
            (Some(expected), Ok(_)) if found.join(" ") == *expected => {}
            (None, Err(_)) => {}
            (_, result) => wrong.push(format!("{name}: {found:?}, {result:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An archive of the file `f` with an extension header of these records.
pub(super) fn extended(records: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::XHeader);
    header.set_size(records.len() as u64);
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.extend_from_slice(records);
    tar.resize(tar.len().next_multiple_of(512), 0);
    tar.extend_from_slice(&handmade(&[('0', "f", "")]));
    tar
}
