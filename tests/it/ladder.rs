//! Every way of keeping commands apart, for real: as root, as a user with and without ranges of
//! numbers, and inside a container with default rights. All make the same image.

mod docker;

use std::fs;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use rustix::process::Signal;

use crate::sandbox::calls::compile;
use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::fail_with;
use crate::support::home::output;
use crate::support::home::succeed;
use crate::support::modes::RANGES;
use crate::support::modes::as_user;
use crate::support::modes::as_user_with;
use crate::support::modes::container;
use crate::support::modes::users_folder;
use crate::support::processes;
use crate::support::processes::rooted_in;
use crate::support::processes::signal_group;
use crate::support::require;

const NEEDS: [Feature; 4] = [
    Feature::Root,
    Feature::Namespaces,
    Feature::Overlay,
    Feature::Program("busybox"),
];

/// All that the modes do differently inside: files that are made, changed, linked and removed,
/// directories that are made anew, owners, and mounts of each kind, of which nothing may be left.
const DOCKERFILE: &str = r#"
FROM scratch
COPY --from=host busybox /bin/busybox
SHELL ["/bin/busybox", "sh", "-euc"]
ENV PATH=/bin
RUN for name in sh mkdir ln chmod chgrp chown cp rm rmdir mkfifo cat sleep test mv; do \
    /bin/busybox ln -s busybox /bin/$name; done; mkdir -p /a/b /old/deep; echo 1 > /a/one; ln /a/one /a/two; \
    ln -s one /a/link; chmod 4755 /a/one; echo x > /old/gone; echo y > /old/deep/gone
RUN rm -r /old; mkdir /old; echo new > /old/kept; mkfifo /a/pipe; rmdir /a/b; echo 2 > /a/b
COPY --chown=7:8 Dockerfile /copied/
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/mnt/memory \
    --mount=type=tmpfs,target=/dev \
    --mount=type=secret,id=word --mount=type=bind,target=/context \
    cat /run/secrets/word /context/Dockerfile > /read; rm -f /cache/x; echo 1 > /cache/x; \
    echo 1 > /mnt/memory/x; test -c /dev/null; sleep 1000 & echo done > /done
RUN mkdir -p /given/deep; cd /given; for name in all one kept plain; do echo $name > $name; done; \
    echo below > deep/below; ln -s /given/deep link; chmod 6755 one; chmod 2644 plain; \
    chown -R 33:34 deep all; chown 35 one plain; chown 36:36 link/below; chown 37:38 deep/../all; chown 45 /proc/../given/plain; \
    cd deep; chown 39 ../kept; rm ../kept; echo new > ../kept; chmod 4711 ../all; \
    chgrp 40 below; mkdir ../part; chown 41:42 ../part; /bin/chown 43 ../part; /bin/chown :44 ../part
RUN mkdir /linked; cd /linked; ln -s nowhere dangling; ln -s /moved moved; ln -s x root; mkfifo pipe; \
    chown -h 33:34 dangling moved; /bin/chown -h 35 moved; chown 36:37 pipe; chmod 640 pipe; \
    mv dangling renamed; cp -a renamed again; chown -h 0:0 again
RUN test ! -e /run/secrets/word; test ! -e /cache; test ! -e /mnt; test -s /read; mv /a /moved; \
    mv /linked/moved /linked/last; rm /linked/root
"#;

/// The build, whose output is the image's id.
fn build(rbuild: &mut Command, home: &Path) -> String {
    rbuild
        .env("SOURCE_DATE_EPOCH", "1000000000")
        .args(["build", "-q", "--build-context", "host=/bin"])
        .arg(format!("--secret=id=word,src={}/word", home.display()))
        .arg(home.join("context"));
    succeed(rbuild).stdout
}

fn home() -> Home {
    let home = Home::new();
    home.context(DOCKERFILE);
    home.write("word", "secret\n");
    home
}

/// The image that root of the machine makes, mounting overlays.
fn expected() -> String {
    let home = home();
    let mut rbuild = home.rbuild();
    let rbuild = rbuild.args(["--isolation", "namespace", "--snapshotter", "overlay"]);
    build(rbuild, &home.path(""))
}

#[test]
fn root_makes_the_same_image_in_every_way() {
    if !require(&NEEDS) {
        return;
    }
    let expected = expected();
    for flags in [["--snapshotter", "copy"], ["--isolation", "chroot"]] {
        let home = home();
        let mut rbuild = home.rbuild();
        assert_eq!(
            build(rbuild.args(flags), &home.path("")),
            expected,
            "{flags:?}"
        );
        // Nothing runs on, and nothing is mounted or lies about.
        let left = fs::read_dir(home.path("root/snapshots")).unwrap();
        let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.filter(|name| name.starts_with(".tmp")).count(), 0);
        assert_eq!(
            rooted_in(&home.path("")),
            Vec::<PathBuf>::new(),
            "{flags:?}"
        );
    }
}

#[test]
fn what_is_not_possible_says_what_to_do() {
    if !require(&NEEDS) {
        return;
    }
    let home = home();
    let context = home.context("FROM scratch\nCOPY Dockerfile /\n");
    let mut rbuild = home.rbuild();
    rbuild.args(["--isolation=chroot", "--snapshotter=overlay", "build"]);
    let refused = fail_with(3, rbuild.arg(&context));
    assert!(refused.stderr.contains("hint: leave it out"), "{refused:?}");
    let asked = home.context(
        "FROM scratch\nCOPY --from=host busybox /\nRUN --network=none [\"/busybox\", \"true\"]\n",
    );
    let mut rbuild = home.rbuild();
    rbuild.args(["--isolation=chroot", "build", "--build-context=host=/bin"]);
    let refused = fail_with(3, rbuild.arg(&asked));
    assert!(
        refused
            .stderr
            .contains("a network of its own needs namespaces"),
        "{refused:?}"
    );
}

/// A user's folder with what is built.
fn users_home() -> tempfile::TempDir {
    let folder = users_folder();
    fs::write(folder.path().join("context/Dockerfile"), DOCKERFILE).unwrap();
    fs::write(folder.path().join("word"), "secret\n").unwrap();
    folder
}

/// Whether a user can be given ranges of numbers here.
fn can_have_ranges() -> bool {
    let needs = [Feature::UserNamespaces, Feature::Program("newuidmap")];
    require(&[&NEEDS[..], &needs].concat())
}

#[test]
fn a_user_makes_the_same_image() {
    if !can_have_ranges() {
        return;
    }
    let expected = expected();
    for ranges in [RANGES, ""] {
        let folder = users_home();
        let mut rbuild = as_user(folder.path(), ranges);
        assert_eq!(build(&mut rbuild, folder.path()), expected, "{ranges:?}");
        // What is known needs no namespace; what it has can be removed again.
        let mut rbuild = as_user(folder.path(), ranges);
        rbuild.env("RBUILD_ISOLATION", "chroot");
        assert_eq!(build(&mut rbuild, folder.path()), expected, "{ranges:?}");
        succeed(as_user(folder.path(), ranges).args(["prune", "--all"]));
        let doctor = succeed(as_user(folder.path(), ranges).args(["doctor", "--format=json"]));
        let doctor: serde_json::Value = serde_json::from_str(&doctor.stdout).unwrap();
        assert_eq!(doctor["isolation"], "rootless", "{doctor}");
    }
}

#[test]
fn a_store_is_no_other_users_than_those_it_was_made_by() {
    if !can_have_ranges() {
        return;
    }
    let folder = users_folder();
    let dockerfile = "FROM scratch\nCOPY --from=host busybox /bin/\n\
                      RUN [\"/bin/busybox\", \"chown\", \"5:6\", \"/bin\"]\n";
    fs::write(folder.path().join("context/Dockerfile"), dockerfile).unwrap();
    let archive = |ranges: &str| {
        let mut rbuild = as_user(folder.path(), ranges);
        rbuild.args(["build", "--build-context", "host=/bin", "context"]);
        rbuild.args(["--output", "type=tar,dest=-"]);
        output(&mut rbuild)
    };
    // Whom he gives files to without ranges is remembered, which whoever has ranges can read.
    for ranges in ["", RANGES] {
        let written = archive(ranges);
        assert_eq!(written.code, Some(0), "{}", written.stderr);
    }
    fs::write(
        folder.path().join("context/Dockerfile"),
        dockerfile.replace('6', "7"),
    )
    .unwrap();
    assert_eq!(archive(RANGES).code, Some(0));
    for others in ["", "nobody:800000:65536\n"] {
        let refused = archive(others);
        assert_eq!(refused.code, Some(3), "{}", refused.stderr);
        assert!(refused.stderr.contains("/etc/subuid"), "{}", refused.stderr);
    }
    // Whose files an empty note means, nobody can say; where there are none, it is no matter.
    fs::write(folder.path().join("root/snapshots/.remembers"), "").unwrap();
    assert_eq!(archive(RANGES).code, Some(3));
    succeed(as_user(folder.path(), RANGES).args(["prune", "--all"]));
    let made = archive("");
    assert_eq!(made.code, Some(0), "{}", made.stderr);
}

#[test]
fn who_has_other_ranges_is_told_what_keeps_him_from_a_store() {
    if !can_have_ranges() {
        return;
    }
    let folder = users_folder();
    let dockerfile = "FROM scratch\nCOPY --from=host busybox /\n\
                      RUN [\"/busybox\", \"mkdir\", \"-m\", \"700\", \"/own\"]\n\
                      RUN [\"/busybox\", \"chown\", \"5:6\", \"/own\"]\n";
    fs::write(folder.path().join("context/Dockerfile"), dockerfile).unwrap();
    let mut rbuild = as_user(folder.path(), RANGES);
    succeed(rbuild.args(["build", "--build-context", "host=/bin", "context"]));
    for others in ["", "nobody:800000:65536\n"] {
        for words in [&["du"][..], &["prune", "--all"], &["doctor"]] {
            let told = fail_with(3, as_user(folder.path(), others).args(words));
            let said = format!("{}{}", told.stdout, told.stderr);
            for part in ["belong to other users", "(/etc/subuid, /etc/subgid)"] {
                assert!(said.contains(part), "{words:?}: {said}");
            }
        }
    }
    for words in [&["doctor"][..], &["du"], &["prune", "--all"]] {
        succeed(as_user(folder.path(), RANGES).args(words));
    }
}

#[test]
fn root_of_a_user_namespace_is_not_root_of_the_machine() {
    if !require(&[&NEEDS[..], &[Feature::UserNamespaces]].concat()) {
        return;
    }
    let folder = users_folder();
    let mut doctor = as_user(folder.path(), "");
    let said = fail_with(3, doctor.args(["--isolation=namespace", "doctor"])).stderr;
    assert!(said.contains("--isolation=rootless"), "{said}");
}

#[test]
fn ranges_of_groups_that_are_refused_are_told() {
    if !can_have_ranges() {
        return;
    }
    let folder = users_folder();
    // With his own group in the range, it would be mapped twice.
    let mut rbuild = as_user_with(folder.path(), RANGES, "nobody:65000:1000\n");
    rbuild.args(["build", "--progress=plain", "-f", "-", "context"]);
    let said = fail_with(3, rbuild.stdin(Stdio::null())).stderr;
    assert!(said.contains("newgidmap: "), "{said}");
    assert!(said.contains("/etc/subgid"), "{said}");
}

#[test]
fn a_user_without_ranges_runs_what_another_user_is_to_run() {
    if !require(&[&NEEDS[..], &[Feature::UserNamespaces]].concat()) {
        return;
    }
    let folder = users_folder();
    let dockerfile = "FROM scratch\nCOPY --from=host busybox /bin/\n\
                      RUN [\"/bin/busybox\", \"ln\", \"-s\", \"/dev/stdout\", \"/log\"]\n\
                      RUN [\"/bin/busybox\", \"chown\", \"33:33\", \"/log\"]\nUSER 7:8\n\
                      RUN [\"/bin/busybox\", \"sh\", \"-ec\", \"echo 1; echo 2 > /dev/stdout\"]\n\
                      RUN [\"/bin/busybox\", \"true\"]\n";
    fs::write(folder.path().join("context/Dockerfile"), dockerfile).unwrap();
    let build = || {
        let mut rbuild = as_user(folder.path(), "");
        rbuild.args(["build", "--progress=plain", "--build-context=host=/bin"]);
        succeed(rbuild.arg(folder.path().join("context"))).stderr
    };
    // It is said once, and not by a build that runs nothing.
    let warning = "warning: commands of other users run as root, since ";
    for count in [1, 0] {
        let said = build();
        assert_eq!(said.matches(warning).count(), count, "{said}");
    }
}

#[test]
fn a_user_without_ranges_gives_files_away_by_every_call() {
    let needs = [
        &NEEDS[..],
        &[Feature::UserNamespaces, Feature::Program("cc")],
    ]
    .concat();
    if !cfg!(target_arch = "x86_64") || !require(&needs) {
        return;
    }
    // On its standard input, to a user and a group; all bits are neither.
    let calls = [
        "64:93:0:33:34",          // fchown
        "64:93:0:0xffffffff:35",  // fchown
        "32:207:0:36:0xffffffff", // fchown32
        "32:95:0:0xffff:37",      // fchown, when users had 16 bits
        "32:207:0:38:39",         // fchown32
        "32:95:0:40:0xffff",      // fchown, when users had 16 bits
    ];
    let runs = (1..=calls.len()).map(|count| {
        let made = calls[..count].join(" ");
        format!("echo > /{count}; /calls {made} < /{count}")
    });
    let dockerfile = format!(
        "FROM scratch\nCOPY --from=host busybox /\nCOPY calls /\n\
         RUN [\"/busybox\", \"sh\", \"-ec\", \"{}; /calls 32:213:1000 32:20\"]\n",
        runs.collect::<Vec<_>>().join("; ")
    );
    let folder = users_folder();
    compile(&folder.path().join("context/calls"));
    fs::write(folder.path().join("context/Dockerfile"), dockerfile).unwrap();
    fs::write(folder.path().join("word"), "").unwrap();
    let home = Home::new();
    let expected = build(&mut home.rbuild(), folder.path());
    let given = build(&mut as_user(folder.path(), ""), folder.path());
    assert_eq!(given, expected);
}

/// A user's folder with a Dockerfile whose base is at a registry that takes connections and never
/// says a word; and the registry.
fn silent_base() -> (TcpListener, tempfile::TempDir) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = users_folder();
    let text = format!("FROM {}/x\n", silent.local_addr().unwrap());
    fs::write(folder.path().join("context/Dockerfile"), text).unwrap();
    (silent, folder)
}

#[test]
fn a_signal_to_the_process_that_a_user_started_ends_the_build() {
    if !require(&[&NEEDS[..], &[Feature::UserNamespaces]].concat()) {
        return;
    }
    let (silent, folder) = silent_base();
    let dockerfile = folder.path().join("context/Dockerfile");
    for signal in [Signal::INT, Signal::TERM] {
        let mut rbuild = as_user(folder.path(), "");
        // What can be read only once is read as root of the user namespace.
        rbuild.args(["build", "--progress=plain", "-f", "-", "context"]);
        rbuild.stdin(File::open(&dockerfile).unwrap());
        let child = rbuild.stderr(Stdio::piped()).spawn().unwrap();
        let (mut connection, _) = silent.accept().unwrap();
        connection.read_exact(&mut [0; 4]).unwrap();
        processes::signal(child.id(), signal);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert!(said.contains("canceled"), "{said}");
    }
}

#[test]
fn a_signal_that_a_users_shell_ignores_is_ignored() {
    if !require(&[&NEEDS[..], &[Feature::UserNamespaces]].concat()) {
        return;
    }
    let (silent, folder) = silent_base();
    let dockerfile = folder.path().join("context/Dockerfile");
    let mut rbuild = as_user(folder.path(), "");
    // What can be read only once is read as root of the user namespace.
    rbuild.args(["build", "--progress=plain", "-f", "-", "context"]);
    let mut nohup = Command::new("nohup");
    nohup.arg(rbuild.get_program()).args(rbuild.get_args());
    let set = rbuild.get_envs();
    nohup.envs(set.filter_map(|(name, value)| Some((name, value?))));
    nohup.current_dir(folder.path());
    nohup.stdin(File::open(&dockerfile).unwrap());
    nohup.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = nohup.spawn().unwrap();
    let (_connection, _) = silent.accept().unwrap();
    let told = |name| fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap();
    let (status, users) = (told("status"), told("uid_map"));
    child.kill().unwrap();
    child.wait().unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap();
    assert_eq!(ignored & 1, 1, "{status}");
    assert!(users.contains("65534"), "{users}");
}

#[test]
fn a_signal_to_all_processes_of_a_user_counts_once() {
    if !require(&[&NEEDS[..], &[Feature::UserNamespaces]].concat()) {
        return;
    }
    let folder = users_folder();
    let dockerfile = "FROM scratch\nCOPY --from=host busybox /\n";
    fs::write(folder.path().join("context/Dockerfile"), dockerfile).unwrap();
    let mut rbuild = as_user(folder.path(), "");
    rbuild.args(["build", "-q", "-t", "box", "--build-context", "host=/bin"]);
    succeed(rbuild.arg(folder.path().join("context")));
    // One signal is counted, the other asks for the count.
    let script = "count=0; trap 'count=$((count + 1)); echo one' TERM; \
                  trap 'echo $count; exit' USR1; echo ready; while :; do /busybox sleep 0.1; done";
    let mut rbuild = as_user(folder.path(), "");
    rbuild.args([
        "run",
        "--network=none",
        "box",
        "/busybox",
        "sh",
        "-c",
        script,
    ]);
    let run = rbuild
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = run.spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = || said.next().unwrap().unwrap();
    assert_eq!(said(), "ready");
    for (signal, answer) in [(Signal::TERM, "one"), (Signal::USR1, "1")] {
        signal_group(child.id(), signal);
        assert_eq!(said(), answer);
    }
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_container_with_default_rights_makes_the_same_image() {
    let needs = [
        &NEEDS[..],
        &[Feature::Program("podman"), Feature::Program("runc")],
    ]
    .concat();
    if !require(&needs) {
        return;
    }
    let expected = expected();
    let home = home();
    let mut run = container(&home, &["-e=SOURCE_DATE_EPOCH=1000000000".to_owned()]);
    run.args(["/rbuild", "build", "-q", "--build-context=host=/bin"])
        .args(["--secret=id=word,src=/home/word", "/home/context"]);
    let built = succeed(&mut run);
    assert_eq!(built.stdout, expected);
}
