//! The tools that take an image from a registry or a file after rbuild has made it.

use std::path::Path;
use std::process::Command;

use super::Feature;
use super::home::Home;
use super::home::Output;
use super::home::succeed;

/// What [`take`] needs.
pub(crate) const TAKERS: [Feature; 5] = [
    Feature::Root,
    Feature::Program("skopeo"),
    Feature::Program("oci-image-tool"),
    Feature::Program("umoci"),
    Feature::Program("podman"),
];

/// Takes an image that was pushed as this reference, with this digest, from a registry on
/// loopback: skopeo inspects and copies it, oci-image-tool validates the copy, umoci unpacks it,
/// and podman runs the command in it; what that wrote.
pub(crate) fn take(home: &Home, reference: &str, digest: &str, command: &[&str]) -> Output {
    let remote = format!("docker://{reference}");
    let inspected =
        succeed(Command::new("skopeo").args(["inspect", "--tls-verify=false", &remote]));
    assert!(
        inspected
            .stdout
            .contains(&format!("\"Digest\": \"{digest}\"")),
        "{digest} is not in {}",
        inspected.stdout
    );
    let layout = home.path("layout");
    let copy = format!("oci:{}:v1", layout.display());
    succeed(Command::new("skopeo").args(["copy", "--src-tls-verify=false", &remote, &copy]));
    validate(&layout, "v1");
    succeed(
        Command::new("umoci")
            .args(["unpack", "--image", &format!("{}:v1", layout.display())])
            .arg(home.path("bundle")),
    );
    succeed(podman(home).args(["pull", "--tls-verify=false", reference]));
    podman_run(home, reference, command)
}

/// Has oci-image-tool check an OCI layout.
pub(crate) fn validate(layout: &Path, tag: &str) {
    succeed(
        Command::new("oci-image-tool")
            .args(["validate", "--type", "image", "--ref"])
            .arg(format!("name={tag}"))
            .arg(layout),
    );
}

/// podman with a store of its own.
pub(crate) fn podman(home: &Home) -> Command {
    let mut command = Command::new("podman");
    command
        .args(["--runtime", "runc", "--root"])
        .arg(home.path("podman"))
        .arg("--runroot")
        .arg(home.short_path("run"));
    command
}

/// Runs a command in an image by podman and runc.
pub(crate) fn podman_run(home: &Home, image: &str, command: &[&str]) -> Output {
    // Below the limits of the test: raising them takes a capability that a CI machine may lack.
    let limits = [
        "--ulimit",
        "nofile=1024:1024",
        "--ulimit",
        "nproc=1024:1024",
    ];
    succeed(
        podman(home)
            .args(["run", "--rm", "--network", "none"])
            .args(limits)
            .arg(format!("--entrypoint={}", command[0]))
            .arg(image)
            .args(&command[1..]),
    )
}
