//! Inside `docker run` of a default container, as a static binary in an image of its own.

use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use super::DOCKERFILE;
use super::NEEDS;
use super::expected;
use crate::support::docker::DOCKER;
use crate::support::docker::Docker;
use crate::support::docker::LOOPBACK;
use crate::support::home::Home;
use crate::support::home::RBUILD;
use crate::support::home::succeed;
use crate::support::peers;
use crate::support::require;

const APACHE: &str = "FROM debian:bookworm\n\
                      RUN apt-get update && apt-get install --yes --no-install-recommends apache2\n\
                      RUN apache2 -v\n";

/// The name of the image that holds the binary.
const STATIC: &str = "rbuild:static";

#[test]
fn a_static_binary_in_docker_builds_and_pushes() {
    if !require(&[&NEEDS[..], &DOCKER, &peers::BASES].concat()) {
        return;
    }
    let docker = Docker::start();
    let home = home();
    load(&docker, &home);
    let mut doctor = rbuild(&docker, &home, &[]);
    let doctor = succeed(doctor.args(["doctor", "--format=json"])).stdout;
    let doctor: serde_json::Value = serde_json::from_str(&doctor).unwrap();
    assert_eq!(doctor["isolation"], "chroot", "{doctor}");

    // A daemon has its machine pass packets on.
    let rights = ["--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN"];
    let free = "--security-opt=seccomp=unconfined";
    let mut doctor = rbuild(&docker, &home, &[&rights[..], &[free]].concat());
    let told = succeed(doctor.arg("doctor")).stdout;
    assert!(told.contains("rbuild itself leads a network"), "{told}");

    let pushed = format!("{}/in-docker/apache2:v1", registry());
    let mut build = rbuild(&docker, &home, &[]);
    build.args(["build", "--progress=plain", "-f", "/home/Dockerfile.apache"]);
    succeed(build.args(["-t", &pushed, "--push", "/home/context"]));
    let said = succeed(docker.run().args([&pushed, "apache2", "-v"])).stdout;
    assert!(said.starts_with("Server version: Apache/2"), "{said}");

    let mut build = rbuild(&docker, &home, &["--env=SOURCE_DATE_EPOCH=1000000000"]);
    build.args(["build", "-q", "--build-context=host=/host"]);
    build.args(["--secret=id=word,src=/home/word", "/home/context"]);
    assert_eq!(succeed(&mut build).stdout, expected());
}

/// The registry of the base images, as containers see it.
fn registry() -> String {
    let (_, port) = peers::bases().address.rsplit_once(':').unwrap();
    format!("{LOOPBACK}:{port}")
}

/// What containers see as `/home`.
fn home() -> Home {
    peers::make_base("debian", "debian:bookworm");
    let home = Home::new();
    let registry = registry();
    let config = format!(
        "[registry.\"docker.io\"]\nmirrors = [{registry:?}]\n[registry.{registry:?}]\nhttp = true\n"
    );
    home.write("shared/rbuild.toml", &config);
    home.write("shared/context/Dockerfile", DOCKERFILE);
    home.write("shared/Dockerfile.apache", APACHE);
    home.write("shared/word", "secret\n");
    home
}

/// rbuild in a container, to be told its arguments; its store is in the container.
fn rbuild(docker: &Docker, home: &Home, more: &[&str]) -> Command {
    let mut run = docker.run();
    run.arg(format!("-v={}:/home:ro", home.path("shared").display()))
        .args(["-v=/bin/busybox:/host/busybox:ro"])
        .args(["-e=RBUILD_CONFIG=/home/rbuild.toml"])
        .args(more)
        .arg(STATIC);
    run
}

/// Makes the image of README, "A static binary", and gives it to docker.
fn load(docker: &Docker, home: &Home) {
    let certificates = home.path("image/ca-certificates.crt");
    let folder = certificates.parent().unwrap();
    fs::create_dir(folder).unwrap();
    link_static(&folder.join("rbuild"));
    fs::copy(peers::CA_BUNDLE, &certificates).unwrap();
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    fs::copy(
        testdata.join("container/Dockerfile"),
        folder.join("Dockerfile"),
    )
    .unwrap();
    let archive = home.path("image.tar");
    let mut build = home.rbuild();
    build.args(["build", "-q", "-t", STATIC, "-o"]);
    build.arg(format!("type=docker,dest={}", archive.display()));
    succeed(build.arg(folder));
    succeed(docker.client().arg("load").arg("-i").arg(&archive));
}

/// Links the program under test so that it needs no file of the machine. Nothing is compiled again
/// but `main`: that the C library is linked into it is of no concern to the libraries.
fn link_static(program: &Path) {
    let libraries = env::current_exe().unwrap().parent().unwrap().to_owned();
    let rustc = Path::new(env!("CARGO")).with_file_name("rustc");
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs");
    let mut link = Command::new(rustc);
    link.args(["--edition=2024", "--crate-name=rbuild"])
        .args(["-Ctarget-feature=+crt-static", "-Cstrip=symbols"])
        .arg(format!("-Ldependency={}", libraries.display()))
        .arg(format!("--extern=rbuild={}", library(&libraries).display()));
    succeed(link.arg("-o").arg(program).arg(main));
}

/// The library in the program under test: the last that cargo made before linking that. Others are
/// of earlier sources or other settings.
fn library(libraries: &Path) -> PathBuf {
    let modified = |path: &Path| path.metadata().unwrap().modified().unwrap();
    let linked = modified(Path::new(RBUILD));
    let all = fs::read_dir(libraries).unwrap();
    let ours = all.map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("librbuild-") && name.ends_with(".rlib") && modified(path) <= linked
    });
    ours.max_by_key(|path| modified(path)).unwrap()
}
