//! The Dockerfiles of `testdata/examples`, from the first build to a container of another runtime.
//!
//! Each is built, built again with nothing to do, run and asked over HTTP, pushed to a registry,
//! and then taken by other tools: skopeo reads it, oci-image-tool validates it, umoci unpacks it
//! and podman runs it.

use std::fs;
use std::path::Path;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::Output;
use crate::support::home::succeed;
use crate::support::log::Log;
use crate::support::log::assert_all_cached;
use crate::support::peers;
use crate::support::peers::Server;
use crate::support::port::free_port;
use crate::support::require;
use crate::support::takers::TAKERS;
use crate::support::takers::take;
use crate::support::wait::PATIENCE;
use crate::support::wait::wait_until;

/// One folder of `testdata/examples`.
struct Example {
    name: &'static str,
    /// The base images it starts from: the name that makes it, and the reference.
    bases: &'static [(&'static str, &'static str)],
    /// Servers outside this machine that its `RUN`s need besides a Debian mirror.
    servers: &'static [Feature],
    /// The port it serves, the command that serves, and what is in the answer.
    port: u16,
    serve: &'static [&'static str],
    greeting: &'static str,
    /// A command that ends well if the image is whole.
    probe: &'static [&'static str],
}

#[test]
fn apache() {
    check(&Example {
        name: "apache",
        bases: &[("ubuntu", "ubuntu:latest")],
        servers: &[],
        port: 80,
        serve: &["apachectl", "-D", "FOREGROUND"],
        greeting: "Hello from Apache",
        probe: &["apachectl", "configtest"],
    });
}

#[test]
fn flask() {
    check(&Example {
        name: "flask",
        bases: &[("debian", "debian:bookworm"), ("python", "python:3.9-slim")],
        servers: &[Feature::Server("pypi.org:443")],
        port: 5000,
        serve: &[],
        greeting: "Hello from Flask",
        probe: &["gunicorn", "--check-config", "app:app"],
    });
}

#[test]
fn express() {
    check(&Example {
        name: "express",
        bases: &[
            ("debian", "debian:bookworm"),
            ("node", "node:15.4.0-alpine3.10"),
        ],
        servers: &[Feature::Server("registry.npmjs.org:443")],
        port: 3000,
        serve: &[],
        greeting: "Hello from Express",
        probe: &["node", "--eval", "require('express')"],
    });
}

#[test]
fn nginx() {
    check(&Example {
        name: "nginx",
        bases: &[("debian", "debian:bookworm"), ("nginx", "nginx:alpine")],
        servers: &[],
        port: 80,
        serve: &[],
        greeting: "Hello from nginx",
        probe: &["nginx", "-t"],
    });
}

#[test]
fn multistage() {
    let Some(first) = check(&Example {
        name: "multistage",
        bases: &[("debian", "debian:bookworm")],
        servers: &[],
        port: 8080,
        serve: &[],
        greeting: "Hello from two compilers",
        probe: &["/bin/greeting"],
    }) else {
        return;
    };
    let log = Log(&first.stderr);
    let [c, go] = ["[c 2/5] RUN", "[go 2/5] RUN"].map(|name| log.extent(log.vertex(name)));
    assert!(
        c.0 < go.1 && go.0 < c.1,
        "one stage waited for the other:\n{}",
        first.stderr
    );
}

/// Takes the example from its folder to a container of another runtime; what its first build
/// wrote, or nothing where it is skipped.
fn check(example: &Example) -> Option<Output> {
    let needs = [&peers::BASES[..], &TAKERS, example.servers].concat();
    if !require(&needs) {
        return None;
    }
    for (name, reference) in example.bases {
        peers::make_base(name, reference);
    }
    let home = Home::with_mirror(&peers::bases().address);
    let first = build(&home, example, "first");
    let again = build(&home, example, "again");
    assert_all_cached(&first.stderr, &again.stderr);
    let [one, other] = ["first", "again"].map(|name| fs::read(home.path(name)).unwrap());
    assert_eq!(one, other, "the second build made another image");
    serves(&home, example);

    let image = image(example);
    let pushed = format!("{}/{image}", peers::bases().address);
    let push = succeed(home.rbuild().args(["push", &image, &pushed]));
    take(&home, &pushed, push.stdout.trim(), example.probe);
    Some(first)
}

fn image(example: &Example) -> String {
    format!("examples/{}:v1", example.name)
}

fn build(home: &Home, example: &Example, iidfile: &str) -> Output {
    let context = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/examples")
        .join(example.name);
    let mut command = home.build(&context);
    command.args(["--ca-bundle", peers::CA_BUNDLE, "--tag", &image(example)]);
    command.arg("--iidfile").arg(home.path(iidfile));
    succeed(&mut command)
}

fn serves(home: &Home, example: &Example) {
    let port = free_port();
    let mut command = home.rbuild();
    command
        .args(["run", "--rm", "-p", &format!("{port}:{}", example.port)])
        .arg(image(example))
        .args(example.serve);
    let mut server = Server::start(&mut command);
    let address = format!("127.0.0.1:{port}");
    wait_until("the container answers", || {
        peers::http_get(&address, "/").is_some_and(|answer| answer.contains(example.greeting))
    });
    assert!(
        server.ends_within(PATIENCE),
        "SIGTERM did not end the container"
    );
}
