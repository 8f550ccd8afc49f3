//! What becomes of images for several platforms: outputs, the store.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use super::ARCH;
use super::BOTH;
use super::arch;
use super::blobs;
use super::build;
use super::document;
use super::entry;
use super::home;
use super::layout;
use super::listed;
use super::pairs;
use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::fail_with;
use crate::support::home::succeed;
use crate::support::require;

#[test]
fn a_layout_holds_the_index_and_an_archive_for_docker_none() {
    if !require(&[Feature::Root, Feature::Program("skopeo")]) {
        return;
    }
    let home = home(ARCH);
    let layout = layout(&home, BOTH, &[]);
    let index = entry(&layout);
    assert_eq!(
        listed(&layout, &index),
        pairs(&["linux/amd64", "linux/arm64"])
    );
    let archive = home.path("archive.tar");
    let output = format!("type=oci,dest={}", archive.display());
    succeed(build(&home, BOTH).args(["-o", &output]));
    let mut skopeo = std::process::Command::new("skopeo");
    skopeo.args(["--override-arch", "arm64", "inspect", "--config"]);
    let config = succeed(skopeo.arg(format!("oci-archive:{}", archive.display()))).stdout;
    assert!(config.contains("arm64"), "{config}");
    let refused = fail_with(1, build(&home, BOTH).args(["-o", "type=docker,dest=x.tar"])).stderr;
    assert!(refused.contains("holds one image"), "{refused}");
    assert!(refused.contains("type=oci"), "{refused}");
}

#[test]
fn a_layout_that_lacks_what_its_index_lists_is_named() {
    if !require(&[Feature::Root]) {
        return;
    }
    let home = home(ARCH);
    let layout = layout(&home, BOTH, &[]);
    let manifest = document(&layout, &entry(&layout))["manifests"][1].take();
    let digest = manifest["digest"].as_str().unwrap().replace(':', "/");
    fs::remove_file(layout.join("blobs").join(digest)).unwrap();
    // In a store of its own, which does not have the manifest either.
    let other = super::home("FROM base\nCOPY same /same\n");
    let context = format!("base=oci-layout://{}", layout.display());
    succeed(build(&other, "linux/amd64").args(["--build-context", &context]));
    let refused = fail_with(1, build(&other, BOTH).args(["--build-context", &context])).stderr;
    assert!(refused.contains(layout.to_str().unwrap()), "{refused}");
}

#[test]
fn files_of_each_platform_have_a_folder() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let home = home(&format!("{ARCH}COPY same /dir/same\n"));
    let (out, archive) = (home.path("out"), home.path("out.tar"));
    let mut command = build(&home, "linux/amd64,linux/arm/v7");
    command.args(["-o", &format!("type=local,dest={}", out.display())]);
    succeed(command.args(["-o", &format!("type=tar,dest={}", archive.display())]));
    let archived = archived(&archive);
    for (folder, architecture) in [("linux_amd64", "amd64"), ("linux_arm_v7", "arm")] {
        for (name, content) in [("arch", architecture), ("dir/same", "same")] {
            let path = format!("{folder}/{name}");
            assert_eq!(fs::read_to_string(out.join(&path)).unwrap(), content);
            assert_eq!(archived[&path], content);
        }
        assert!(archived.contains_key(&format!("{folder}/")));
    }
    // One platform has none, unless it is to have one.
    assert_eq!(arch(&home, "linux/arm64"), "arm64");
    let split = format!("type=local,platform-split=true,dest={}", out.display());
    succeed(build(&home, "linux/arm64").args(["-o", &split]));
    assert!(out.join("linux_arm64/arch").is_file());
}

#[test]
fn files_without_folders_must_not_collide() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let home = home("FROM scratch\nARG TARGETARCH\nCOPY same /dir/$TARGETARCH\n");
    let out = home.path("out");
    let local = format!("type=local,platform-split=false,dest={}", out.display());
    succeed(build(&home, BOTH).args(["-o", &local]));
    assert!(out.join("dir/amd64").is_file() && out.join("dir/arm64").is_file());
    let archive = home.path("out.tar");
    let tar = format!("type=tar,platform-split=false,dest={}", archive.display());
    succeed(build(&home, BOTH).args(["-o", &tar]));
    let names: Vec<String> = archived(&archive).into_keys().collect();
    assert_eq!(names, ["dir/", "dir/amd64", "dir/arm64"]);
    home.context(ARCH);
    for output in [local, tar] {
        let refused = fail_with(1, build(&home, BOTH).args(["-o", &output])).stderr;
        assert!(refused.contains("a file \"arch\""), "{refused}");
        assert!(refused.contains("platform-split=false"), "{refused}");
    }
}

#[test]
fn all_platforms_stay_with_the_name_and_go_with_it() {
    if !require(&[Feature::Root]) {
        return;
    }
    let home = home(ARCH);
    succeed(build(&home, BOTH).args(["-t", "app"]));
    let images = succeed(home.rbuild().args(["images", "--format", "json"])).stdout;
    assert!(images.contains("\"linux/amd64,linux/arm64\""), "{images}");
    succeed(home.rbuild().args(["tag", "app", "other"]));
    succeed(home.rbuild().args(["rmi", "app"]));
    prune(&home);
    // The index, and of each image manifest, config, layer.
    assert_eq!(blobs(&home), 1 + 2 * 3);
    for platform in BOTH.split(',') {
        let mut inspect = home.rbuild();
        let seen = succeed(inspect.args(["inspect", "--platform", platform, "other"])).stdout;
        let architecture = platform.split('/').nth(1).unwrap();
        let said = format!("\"Architecture\": \"{architecture}\"");
        assert!(seen.contains(&said), "{seen}");
        succeed(
            home.rbuild()
                .args(["history", "--platform", platform, "other"]),
        );
    }
    succeed(home.rbuild().args(["rmi", "other"]));
    prune(&home);
    assert_eq!(blobs(&home), 0);
}

#[test]
fn an_image_without_a_name_goes_too() {
    if !require(&[Feature::Root]) {
        return;
    }
    let home = home(ARCH);
    let id = succeed(build(&home, BOTH).arg("-q")).stdout;
    prune(&home);
    assert_eq!(blobs(&home), 1 + 2 * 3);
    // Whoever knows one of its images can name it.
    let manifest = document(&home.path("root"), &entry(&home.path("root")))["manifests"][1].take();
    succeed(
        home.rbuild()
            .args(["inspect", manifest["digest"].as_str().unwrap()]),
    );
    succeed(home.rbuild().args(["rmi", id.trim()]));
    assert_eq!(succeed(home.rbuild().args(["images", "-q"])).stdout, "");
    prune(&home);
    assert_eq!(blobs(&home), 0);
}

#[test]
fn an_id_that_is_listed_means_the_image_that_has_it() {
    if !require(&[Feature::Root]) {
        return;
    }
    let home = home("FROM scratch\nCOPY same /same\n");
    for (platforms, name) in [(BOTH, "both"), ("linux/arm64", "alone")] {
        let mut command = build(&home, platforms);
        // At one time, so that it is one image.
        succeed(command.env("SOURCE_DATE_EPOCH", "0").args(["-t", name]));
    }
    let shown = |more: &[&str]| succeed(home.rbuild().arg("images").args(more)).stdout;
    let ids = shown(&["-q", "--no-trunc"]);
    let [index, image] = ids.lines().collect::<Vec<_>>()[..] else {
        panic!("{ids}");
    };
    let listed = shown(&["--format", "json"]);
    for id in [index, image] {
        assert!(listed.contains(&format!("\"id\":\"{id}\"")), "{listed}");
    }
    for id in [image, &image["sha256:".len()..][..12]] {
        let seen = succeed(home.rbuild().args(["inspect", id])).stdout;
        assert!(seen.contains("\"alone:latest\""), "{seen}");
        succeed(home.rbuild().args(["history", id]));
    }
    succeed(home.rbuild().args(["tag", image, "other"]));
    let refused = fail_with(1, home.rbuild().args(["rmi", image])).stderr;
    assert!(
        refused.contains("2 names: alone:latest, other:latest"),
        "{refused}"
    );
    succeed(home.rbuild().args(["rmi", "-f", image]));
    // Now it is an id of what lists it.
    let gone = succeed(home.rbuild().args(["rmi", image])).stdout;
    assert_eq!(gone, "Untagged: both:latest\n");
}

#[test]
fn an_image_for_one_platform_is_not_taken_for_another() {
    if !require(&[Feature::Root]) {
        return;
    }
    let home = home(ARCH);
    succeed(build(&home, "linux/arm64").args(["-t", "alone"]));
    succeed(build(&home, "linux/arm64,linux/arm64").args(["-t", "index"]));
    let say = |name: &str, platform: &str| {
        let mut inspect = home.rbuild();
        fail_with(1, inspect.args(["inspect", "--platform", platform, name])).stderr
    };
    let said = say("alone", "linux/s390x");
    assert!(
        said.contains("is for linux/arm64, not for linux/s390x"),
        "{said}"
    );
    let said = say("index", "linux/s390x");
    assert!(said.contains("linux/arm64"), "{said}");
    // Where nobody says which, it is the one there is.
    for name in ["alone", "index"] {
        succeed(home.rbuild().args(["inspect", name]));
        succeed(home.rbuild().args(["history", name]));
    }
    home.context("FROM index\nCOPY same /same\n");
    let refused = fail_with(4, build(&home, "linux/s390x").arg("--pull=never")).stderr;
    assert!(refused.contains("linux/s390x"), "{refused}");
}

/// What a tar holds, by path.
fn archived(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(fs::File::open(path).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        (entry.path().unwrap().display().to_string(), content)
    });
    entries.collect()
}

/// Forgets what only the cache needs too.
fn prune(home: &Home) {
    succeed(home.rbuild().args(["prune", "--all"]));
}
