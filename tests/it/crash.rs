//! What is left when rbuild is killed, when the disk is full, and when many work on one store at
//! once: nothing that is half there, nothing that goes on, and a next build that makes the same.
//!
//! `RBUILD_KILLS` says how often rbuild is killed; `RBUILD_SEED` repeats the moments of an earlier
//! run, whose seed is printed.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use rbuild::cache;
use rbuild::oci::Digest;
use rbuild::snapshot::Overlay;
use rbuild::snapshot::Snapshotter;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::output;
use crate::support::home::succeed;
use crate::support::processes::command_lines;
use crate::support::registry::Demand;
use crate::support::registry::FakeRegistry;
use crate::support::require;
use crate::support::tree::shell;
use crate::support::wait::wait_until;

/// How often rbuild is killed unless `RBUILD_KILLS` says otherwise.
const KILLS: u32 = 200;

/// An image that no registry has.
const FOUND: &str = "FROM REGISTRY/base:v1
COPY files /files/
";

/// A command in it waits for a file in its cache mount.
const WAITING: &str = "FROM found:v1
RUN --mount=type=cache,target=/cache touch /cache/begun; until test -e /cache/go; do sleep 0.1; done
RUN cp -r /files /copied
";

const DOCKERFILE: &str = "FROM REGISTRY/base:v1 AS made
COPY files /files/
RUN --mount=type=cache,target=/cache : MARK; for i in $(seq 40); do echo $i > /file-$i; done; \\
    echo kept > /cache/file; cp -r /files /copied
FROM REGISTRY/base:v1
WORKDIR /srv/app
COPY --from=made /copied ./
RUN : MARK; mkdir d; rm /noise-1; cp /noise-2 d/; ln d/noise-2 hard; ln -s d link
ADD archive.tar /added/
";

fn able() -> bool {
    require(&[
        Feature::Root,
        Feature::Namespaces,
        Feature::Overlay,
        Feature::Program("busybox"),
    ])
}

/// A registry with a base image, a build context, and what must come out of it.
struct Scene {
    registry: FakeRegistry,
    home: Home,
    /// What no process of another test has on its command line.
    mark: String,
    /// The image that an undisturbed build makes.
    expected: String,
}

impl Scene {
    fn new() -> Scene {
        let registry = FakeRegistry::start(Demand::Nothing);
        let scene = Scene {
            mark: format!("mark-of-the-crash-tests-{}", registry.host()),
            registry,
            home: Home::new(),
            expected: String::new(),
        };
        let base = scene.home.write(
            "base/Dockerfile",
            "FROM scratch\nCOPY --from=host busybox /bin/busybox\n\
             RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n\
             COPY noise-1 /\nCOPY noise-2 /\nENV PATH=/bin\n",
        );
        let base = base.parent().unwrap();
        shell(
            base,
            "for i in 1 2; do head -c 1000000 /dev/urandom > noise-$i; done",
        );
        let name = format!("{}/base:v1", scene.registry.host());
        let mut build = scene.home.build(base);
        build.args(["--build-context", "host=/bin", "--push", "-t", &name]);
        succeed(&mut build);
        let context = scene.home.context(&scene.filled(DOCKERFILE));
        shell(
            &context,
            "mkdir -p files/deep/er w; for i in $(seq 60); do head -c 9000 /dev/urandom > files/$i; done
             ln files/1 files/deep/hard; ln -s ../1 files/deep/er/link; cp -r files w; tar -C w -cf archive.tar .; rm -r w",
        );
        fs::remove_dir_all(scene.home.path("root")).unwrap();
        let expected = scene.built();
        fs::remove_dir_all(scene.home.path("root")).unwrap();
        Scene { expected, ..scene }
    }

    /// A Dockerfile with what is this scene's own.
    fn filled(&self, dockerfile: &str) -> String {
        let dockerfile = dockerfile.replace("REGISTRY", &self.registry.host());
        dockerfile.replace("MARK", &self.mark)
    }

    /// rbuild on this store, in a pinned time.
    fn rbuild(&self, args: &[&str]) -> Command {
        let mut command = self.home.rbuild();
        command.env("SOURCE_DATE_EPOCH", "1700000000");
        command.args(args).current_dir(self.home.path("context"));
        command
    }

    /// Builds undisturbed and gives the image's digest.
    fn built(&self) -> String {
        let done = succeed(&mut self.rbuild(&["build", "-q", "-t", "app:v1", "."]));
        done.stdout.trim().to_owned()
    }

    /// The arguments of what is killed.
    fn arguments(&self, what: &str) -> Vec<String> {
        let registry = self.registry.host();
        let line = match what {
            "pull" => format!("pull {registry}/base:v1"),
            "build" => "build -q -t app:v1 .".to_owned(),
            "push" => format!("push app:v1 {registry}/app:v1"),
            "save" => "build -q -o type=oci,tar=false,dest=layout .".to_owned(),
            "run" => format!("run app:v1 sh -c :{};echo>/file;ls>/list", self.mark),
            "prune" => "prune".to_owned(),
            "prune all" => "prune --all".to_owned(),
            other => panic!("nothing is called {other}"),
        };
        line.split(' ').map(str::to_owned).collect()
    }

    /// Everything in the store is what it says it is, and nothing goes on.
    fn check(&self, after: &str) {
        let root = self.home.path("root");
        for entry in fs::read_dir(root.join("blobs/sha256"))
            .into_iter()
            .flatten()
        {
            let path = entry.unwrap().path();
            let digest = Digest::of(&fs::read(&path).unwrap()).hex();
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(name, digest, "{after}: a blob is not what its name says");
        }
        if let Ok(index) = fs::read(root.join("index.json")) {
            serde_json::from_slice::<serde_json::Value>(&index).expect("the index is whole");
        }
        if root.join("snapshots").exists() {
            let snapshots = Overlay::open(&root.join("snapshots")).unwrap();
            for entry in cache::Local::open(&root, SystemTime::now()).list().unwrap() {
                let there = snapshots.exists(&entry.record.change_set);
                assert!(there, "{after}: a record has no snapshot: {entry:?}");
            }
        }
        wait_until(&format!("no process goes on: {after}"), || {
            // The test program itself has the mark only in memory.
            !command_lines().iter().any(|line| line.contains(&self.mark))
        });
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = root.join("snapshots").display().to_string();
        assert!(!mounts.contains(&own), "{after}: a mount is left\n{mounts}");
    }

    /// After pruning, nothing of what was killed is there any more.
    fn assert_clean(&self) {
        succeed(&mut self.rbuild(&["prune"]));
        let script = "find tmp snapshots mounts contexts -name '.tmp-*' -o -name 'new-*' \
                      -o -path 'tmp/*' -o -path 'contexts/*.*'";
        // A store in which nothing was mounted has not all of these folders.
        let listed = shell(
            &self.home.path("root"),
            &format!("{script} 2>/dev/null || true"),
        );
        assert_eq!(listed, "", "pruning leaves something behind");
    }
}

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn new() -> Dice {
        let clock = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let seed = env::var("RBUILD_SEED")
            .ok()
            .and_then(|text| text.parse().ok());
        Dice(seed.unwrap_or(clock))
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        // The step of a linear congruential generator; its upper bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Runs rbuild and kills it after so long; tells whether it had not ended by itself.
fn kill_after(command: &mut Command, delay: Duration) -> bool {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(delay);
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    !ended
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_store() {
    if !able() {
        return;
    }
    let scene = Scene::new();
    let mut dice = Dice::new();
    println!("RBUILD_SEED={}", dice.0);
    let kills = env::var("RBUILD_KILLS")
        .ok()
        .and_then(|text| text.parse().ok());
    let kinds = [
        "pull",
        "build",
        "build",
        "save",
        "push",
        "run",
        "prune",
        "prune all",
    ];
    // How long each takes when it is not killed, learned on the way.
    let mut lengths: BTreeMap<&str, Duration> = BTreeMap::new();
    for number in 0..kills.unwrap_or(KILLS) {
        let what = kinds[number as usize % kinds.len()];
        if ["push", "run"].contains(&what) {
            scene.built();
        } else if !what.starts_with("prune") && dice.below(2) == 0 {
            succeed(&mut scene.rbuild(&["prune", "--all"]));
            // The name may be gone already.
            output(&mut scene.rbuild(&["rmi", "app:v1"]));
        }
        let arguments = scene.arguments(what);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let whole = *lengths.entry(what).or_insert_with(|| {
            let start = Instant::now();
            succeed(&mut scene.rbuild(&arguments));
            start.elapsed()
        });
        let delay = Duration::from_micros(dice.below(whole.as_micros() as u64 + 1));
        let after = format!("kill {number}, {what} after {delay:?}");
        kill_after(&mut scene.rbuild(&arguments), delay);
        scene.check(&after);
        assert_eq!(
            scene.built(),
            scene.expected,
            "{after}: the next build differs"
        );
    }
    scene.assert_clean();
    assert_eq!(scene.built(), scene.expected);
}

#[test]
fn a_full_disk_leaves_a_whole_store() {
    if !able() || !require(&[Feature::Program("mount")]) {
        return;
    }
    let scene = Scene::new();
    let mut refused = 0;
    for size in [1, 3, 5, 7, 9, 12] {
        let disk = Disk::mount(&scene.home, size);
        let built = output(&mut scene.rbuild(&["build", "-q", "-t", "app:v1", "."]));
        match built.code {
            Some(0) => assert_eq!(built.stdout.trim(), scene.expected),
            code => {
                refused += 1;
                // Where a command is the first to find it full, it is the command that fails.
                let expected = match built.stderr.contains("exit code") {
                    true => 1,
                    false => 3,
                };
                assert_eq!(code, Some(expected), "{size} MB: {}", built.stderr);
                assert!(
                    built.stderr.contains("No space left"),
                    "{size} MB: {}",
                    built.stderr
                );
            }
        }
        scene.check(&format!("a disk of {size} MB"));
        disk.grow();
        assert_eq!(
            scene.built(),
            scene.expected,
            "on a disk of {size} MB that grew"
        );
        scene.assert_clean();
    }
    assert!(refused > 1, "no disk was too small");
}

/// A store on a disk of its own.
struct Disk(String);

impl Disk {
    fn mount(home: &Home, megabytes: u32) -> Disk {
        let place = home.path("root").display().to_string();
        let _ = fs::remove_dir(&place);
        fs::create_dir(&place).unwrap();
        let size = format!("size={megabytes}m");
        succeed(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs", &place]));
        Disk(place)
    }

    fn grow(&self) {
        succeed(Command::new("mount").args(["-o", "remount,size=200m", &self.0]));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy", &self.0]).status();
    }
}

#[test]
fn eight_builders_and_a_pruner_disturb_nobody() {
    if !able() {
        return;
    }
    let scene = Scene::new();
    thread::scope(|scope| {
        let builders: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..2 {
                        assert_eq!(scene.built(), scene.expected);
                    }
                })
            })
            .collect();
        let mut prunings = [&["prune"][..], &["prune", "--all"]].into_iter().cycle();
        while !builders.iter().all(|builder| builder.is_finished()) {
            succeed(&mut scene.rbuild(prunings.next().unwrap()));
        }
    });
    scene.check("eight builders and a pruner");
    scene.assert_clean();
}

#[test]
fn a_build_keeps_what_it_was_told_of_while_all_else_is_pruned() {
    if !able() {
        return;
    }
    let scene = Scene::new();
    scene.built();
    scene.home.write("found", &scene.filled(FOUND));
    scene.home.write("waiting", WAITING);
    let blobs = || {
        fs::read_dir(scene.home.path("root/blobs/sha256"))
            .unwrap()
            .count()
    };
    let build = |file: &str| {
        let mut build = scene.rbuild(&["build", "-q", "-t", &format!("{file}:v1"), "-f"]);
        build.arg(scene.home.path(file)).arg(".");
        build
    };
    let build_waiting = |meanwhile: &dyn Fn()| {
        succeed(&mut build("found"));
        let waiting = build("waiting").stdout(Stdio::piped()).spawn().unwrap();
        let root = scene.home.path("root");
        wait_until("the command waits", || {
            !shell(&root, "ls mounts/*/0/data/begun 2>/dev/null || true").is_empty()
        });
        meanwhile();
        shell(
            &root,
            "for begun in mounts/*/0/data/begun; do touch ${begun%begun}go; done",
        );
        let built = waiting.wait_with_output().unwrap();
        assert!(built.status.success());
        String::from_utf8(built.stdout).unwrap()
    };
    let built = build_waiting(&|| {
        let before = blobs();
        succeed(&mut scene.rbuild(&["rmi", "app:v1", "found:v1"]));
        succeed(&mut scene.rbuild(&["prune", "--all"]));
        assert!(blobs() < before, "nothing was pruned");
    });
    scene.check("a build beside a pruning");
    let name = format!("{}/waiting:v1", scene.registry.host());
    succeed(&mut scene.rbuild(&["push", "waiting:v1", &name]));
    succeed(&mut scene.rbuild(&["prune", "--all"]));
    assert_eq!(build_waiting(&|| ()), built);
    scene.assert_clean();
}

#[test]
fn pruning_removes_what_killed_processes_had_begun() {
    if !able() {
        return;
    }
    let scene = Scene::new();
    scene.built();
    let root = scene.home.path("root");
    shell(
        &root,
        "mkdir -p $(echo mounts/*/0)/new-1-0/half snapshots/.tmp-half/fs/half
         touch tmp/1-0 $(ls -d contexts/* | head -1).1f",
    );
    scene.assert_clean();
    assert!(root.join("contexts").read_dir().unwrap().count() > 0);
    let kept = shell(&root, "cat mounts/*/0/data/file");
    assert_eq!(kept, "kept\n", "what was whole stays");
}

#[test]
fn who_builds_removes_the_root_file_systems_that_killed_processes_had_begun() {
    let home = Home::new();
    let context = home.context("FROM scratch\nCOPY Dockerfile /\n");
    succeed(&mut home.build(&context));
    let half = home.path("root/snapshots/.tmp-half");
    fs::create_dir_all(half.join("fs/half")).unwrap();
    // Where nothing is made, nobody looks.
    succeed(&mut home.build(&context));
    assert!(half.exists());
    // A build does not wait until it is done.
    wait_until("it is removed", || {
        succeed(home.build(&context).arg("--no-cache"));
        !half.exists()
    });
}

#[test]
fn two_builds_that_write_one_layout_lose_no_image() {
    let home = Home::new();
    thread::scope(|scope| {
        for number in 0..4 {
            let dockerfile = format!("FROM scratch\nCOPY Dockerfile /{number}\n");
            let file = home.write(&format!("{number}/Dockerfile"), &dockerfile);
            let mut build = home.build(file.parent().unwrap());
            build.args(["-t", &format!("app:v{number}"), "-o"]);
            let layout = home.path("layout").display().to_string();
            build.arg(format!("type=oci,tar=false,dest={layout}"));
            scope.spawn(move || succeed(&mut build));
        }
    });
    let index = fs::read_to_string(home.path("layout/index.json")).unwrap();
    for number in 0..4 {
        assert!(index.contains(&format!("app:v{number}")), "{index}");
    }
}
