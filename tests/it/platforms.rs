//! Images for several platforms: what a build makes of them, and what becomes of them afterwards.

mod kept;
mod made;
mod sent;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::home::Home;
use crate::support::home::succeed;
use crate::support::registry::FakeRegistry;

/// The machines of most of these images.
const BOTH: &str = "linux/amd64,linux/arm64";

/// A Dockerfile whose images differ by one file, `arch`.
const ARCH: &str = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /arch\n";

/// A store with a context for [`BOTH`].
fn home(dockerfile: &str) -> Home {
    let home = Home::new();
    for architecture in ["amd64", "arm64", "arm"] {
        home.write(&format!("context/{architecture}"), architecture);
    }
    home.write("context/same", "same");
    home.context(dockerfile);
    home
}

/// A build of the context for these platforms.
fn build(home: &Home, platforms: &str) -> Command {
    let mut command = home.build(&home.path("context"));
    command.args(["--platform", platforms]);
    command
}

/// Builds the context into a layout beside it and gives that.
fn layout(home: &Home, platforms: &str, more: &[&str]) -> std::path::PathBuf {
    let layout = home.path("layout");
    let output = format!("type=oci,tar=false,dest={}", layout.display());
    succeed(build(home, platforms).args(["-o", &output]).args(more));
    layout
}

/// Reads a document that a descriptor names.
fn document(layout: &Path, descriptor: &Value) -> Value {
    let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
    json(&layout.join("blobs").join(digest))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The last entry of a layout's index.
fn entry(layout: &Path) -> Value {
    let index = json(&layout.join("index.json"));
    index["manifests"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone()
}

/// The platforms that an index lists, each with what the config of its image says.
fn listed(layout: &Path, index: &Value) -> Vec<(String, String)> {
    let entries = document(layout, index)["manifests"].take();
    let entries = entries.as_array().unwrap().iter().map(|entry| {
        let manifest = document(layout, entry);
        let config = document(layout, &manifest["config"]);
        (platform(&entry["platform"]), platform(&config))
    });
    entries.collect()
}

fn platform(value: &Value) -> String {
    let part = |name: &str| value[name].as_str().map(str::to_owned);
    let parts = ["os", "architecture", "variant"]
        .into_iter()
        .filter_map(part);
    parts.collect::<Vec<_>>().join("/")
}

/// Pairs of equal texts.
fn pairs(platforms: &[&str]) -> Vec<(String, String)> {
    let both = |text: &&str| ((*text).to_owned(), (*text).to_owned());
    platforms.iter().map(both).collect()
}

/// Builds an index of images with a file `arch` elsewhere and pushes it to the registry as `NAME`.
fn publish(registry: &FakeRegistry, name: &str, platforms: &str) -> String {
    let maker = home(ARCH);
    let name = format!("{}/{name}", registry.host());
    let mut command = build(&maker, platforms);
    // An index, even of one.
    command.args(["--build-arg", "BUILDKIT_MULTI_PLATFORM=1"]);
    succeed(command.args(["-t", &name, "--push"]));
    name
}

/// Builds the context for the platform into a directory and gives what its file `arch` says.
fn arch(home: &Home, platforms: &str) -> String {
    let out = home.path("out");
    let output = format!("type=local,dest={}", out.display());
    succeed(build(home, platforms).args(["-o", &output]));
    fs::read_to_string(out.join("arch")).unwrap()
}

/// The blobs of a store.
fn blobs(home: &Home) -> usize {
    fs::read_dir(home.path("root/blobs/sha256"))
        .unwrap()
        .count()
}
