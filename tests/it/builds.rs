//! The folders of `testdata/builds`: each is a build context, and `image.txt` is the image that it
//! becomes. `UPDATE_EXPECT=1` rewrites the texts.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::RUNS_BUSYBOX;
use crate::support::home::Home;
use crate::support::home::RBUILD;
use crate::support::home::fail_with;
use crate::support::home::succeed;
use crate::support::image::describe;
use crate::support::require;

#[test]
fn every_context_becomes_its_image() {
    if !require(&RUNS_BUSYBOX) {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/builds");
    let update = env::var_os("UPDATE_EXPECT").is_some();
    let home = Home::new();
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in fs::read_dir(folder).unwrap() {
        let case = case.unwrap().path();
        let expected = case.join("image.txt");
        let image = build(&home, &case);
        if update {
            fs::write(&expected, &image).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != image {
            wrong.push(format!("{}:\n{image}", case.display()));
        }
        count += 1;
    }
    assert!(count > 0, "no build contexts");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn build(home: &Home, case: &Path) -> String {
    let name = case.file_name().unwrap().to_str().unwrap();
    let layout = home.path(name);
    let mut command = home.build(case);
    command
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .args(["--build-context", "host=/bin", "-o"])
        .arg(format!("type=oci,tar=false,dest={}", layout.display()));
    succeed(&mut command);
    describe(&layout)
}

/// A build of the context, with files of the machine's as another, by a shell that sets a limit.
fn build_within(home: &Home, limit: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit {limit} && exec \"$@\"");
    command.args(["-c", &script, "sh", RBUILD, "build"]);
    command.args(["--progress=plain", "--build-context=host=/bin", "context"]);
    command.current_dir(home.path(""));
    for (name, value) in home.rbuild().get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
}

#[test]
fn files_are_written_over_those_of_an_earlier_build() {
    let home = Home::new();
    let out = home.path("out");
    let write = |name: &str, what: &str| {
        let context = home.context(&format!("FROM scratch\nCOPY {what} /{name}\n"));
        let mut build = home.build(&context);
        build.arg("--output").arg(&out);
        build
    };
    home.write("context/file", "1");
    home.write("context/dir/inner", "2");
    succeed(&mut write("a", "file"));
    assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "1");
    fs::remove_file(out.join("a")).unwrap();
    let outside = home.path("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, out.join("a")).unwrap();
    succeed(&mut write("a/", "dir"));
    assert_eq!(fs::read_to_string(out.join("a/inner")).unwrap(), "2");
    assert!(!out.join("a").is_symlink());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    // What is in a folder may be the user's own.
    let refused = fail_with(1, &mut write("a", "file")).stderr;
    assert!(
        refused.contains("cannot replace the directory"),
        "{refused}"
    );
    assert!(out.join("a/inner").exists());
}

#[test]
fn a_command_may_open_as_many_files_as_was_allowed() {
    if !require(&RUNS_BUSYBOX) {
        return;
    }
    let home = Home::new();
    home.context("FROM scratch\nCOPY --from=host busybox /bin/sh\nRUN ulimit -Sn\n");
    let told = |allowed: &str, options: &[&str]| {
        succeed(build_within(&home, allowed).arg("--no-cache").args(options)).stderr
    };
    for (allowed, options, limit) in [
        ("-Sn 123", &[][..], " 123"),
        ("-Sn 123", &["--ulimit=nofile=77:200"], " 77"),
        // No file has a number as high as this.
        ("-n 64", &[], " 64"),
    ] {
        let told = told(allowed, options);
        let is_limit = |line: &str| line.starts_with("#3 ") && line.ends_with(limit);
        assert!(told.lines().any(is_limit), "{told}");
    }
}

#[test]
fn a_chain_may_be_higher_than_files_may_be_open() {
    if !require(&RUNS_BUSYBOX) {
        return;
    }
    let home = Home::new();
    let below: String = (0..100).map(|at| format!("WORKDIR /{at}\n")).collect();
    let base = "FROM scratch\nCOPY --from=host busybox /bin/sh\n";
    let run = "RUN [ -d /0 ] && [ \"$PWD\" = /99 ]\n";
    home.context(&format!("{base}{below}{run}"));
    succeed(&mut build_within(&home, "-n 64"));
}

#[test]
fn a_store_inside_of_the_context_is_no_part_of_it() {
    if !require(&RUNS_BUSYBOX) {
        return;
    }
    let home = Home::new();
    let context = home.context(
        "FROM scratch\nCOPY --from=host busybox /bin/sh\nCOPY . /src\n\
         RUN --mount=type=bind,target=/mnt [ -e /mnt/Dockerfile ] && [ ! -e /mnt/.rbuild ]\n",
    );
    let out = home.path("out");
    for ignore in ["", "*\n!**/*e\n"] {
        fs::write(context.join(".dockerignore"), ignore).unwrap();
        let build = || {
            let mut command = home.build(&context);
            command.env("RBUILD_ROOT", context.join(".rbuild"));
            command.args(["--build-context=host=/bin", "-o"]).arg(&out);
            succeed(&mut command).stderr
        };
        build();
        assert!(out.join("src/Dockerfile").exists());
        assert!(!out.join("src/.rbuild").exists());
        let again = build();
        assert_eq!(again.matches(" CACHED").count(), 3, "{again}");
    }
}

#[test]
fn who_copies_the_store_is_told_that_it_is_no_part_of_the_context() {
    let home = Home::new();
    for path in [".rbuild", ".rbuild/oci-layout"] {
        let context = home.context(&format!("FROM scratch\nCOPY {path} /x\n"));
        for ignore in ["", ".rb*\n"] {
            fs::write(context.join(".dockerignore"), ignore).unwrap();
            let mut build = home.build(&context);
            let said = fail_with(1, build.env("RBUILD_ROOT", context.join(".rbuild"))).stderr;
            let why = format!("{path:?} is of the store of this rbuild");
            assert!(said.contains(&why) && !said.contains("hint:"), "{said}");
        }
    }
}
