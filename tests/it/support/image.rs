//! An image as text: what its config says, and what each of its layers holds.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use tar::Archive;
use tar::Entry;
use tar::EntryType;

/// Files up to this size are shown with their content; of larger ones only the name is.
const SHOWN_BYTES: u64 = 200;

/// Describes the only image of an OCI layout, without times and digests.
pub(crate) fn describe(layout: &Path) -> String {
    let index = read_json(&layout.join("index.json"));
    let manifest = read_json(&blob(layout, &index["manifests"][0]));
    let mut config = read_json(&blob(layout, &manifest["config"]));
    let history = config["history"].take();
    for volatile in ["created", "history", "rootfs"] {
        config.as_object_mut().unwrap().shift_remove(volatile);
    }
    let mut text = serde_json::to_string_pretty(&config).unwrap();
    text.push('\n');
    for entry in history.as_array().unwrap() {
        let empty = if entry["empty_layer"] == true {
            " (empty)"
        } else {
            ""
        };
        writeln!(
            text,
            "history: {}{empty}",
            entry["created_by"].as_str().unwrap()
        )
        .unwrap();
    }
    for layer in manifest["layers"].as_array().unwrap() {
        text.push_str("layer:\n");
        describe_layer(&blob(layout, layer), &mut text);
    }
    text
}

/// Gives the digests of the layers of the only image of an OCI layout.
pub(crate) fn layer_digests(layout: &Path) -> Vec<String> {
    let index = read_json(&layout.join("index.json"));
    let manifest = read_json(&blob(layout, &index["manifests"][0]));
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers
        .map(|layer| layer["digest"].as_str().unwrap().to_owned())
        .collect()
}

fn blob(layout: &Path, descriptor: &Value) -> std::path::PathBuf {
    let digest = descriptor["digest"].as_str().unwrap();
    layout.join("blobs").join(digest.replace(':', "/"))
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn describe_layer(path: &Path, text: &mut String) {
    let mut archive = Archive::new(MultiGzDecoder::new(fs::File::open(path).unwrap()));
    for entry in archive.entries().unwrap() {
        describe_entry(&mut entry.unwrap(), text);
    }
}

fn describe_entry(entry: &mut Entry<'_, impl Read>, text: &mut String) {
    let header = entry.header();
    let kind = match header.entry_type() {
        EntryType::Regular => 'f',
        EntryType::Directory => 'd',
        EntryType::Symlink => 'l',
        EntryType::Link => 'h',
        EntryType::Char => 'c',
        EntryType::Block => 'b',
        EntryType::Fifo => 'p',
        other => panic!("unexpected entry type {other:?}"),
    };
    let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
    let mode = header.mode().unwrap();
    let size = header.size().unwrap();
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    write!(text, "  {kind} {mode:04o} {uid}:{gid} {name}").unwrap();
    if let Some(link) = entry.link_name_bytes() {
        write!(text, " -> {}", String::from_utf8_lossy(&link)).unwrap();
    }
    if kind == 'f' && size <= SHOWN_BYTES {
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        write!(text, " {content:?}").unwrap();
    }
    text.push('\n');
}
