//! Copies whose files nobody reads: their layers are packed straight from the source, and are the
//! same as if the files had been made.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use rbuild::sys::Dir;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::succeed;
use crate::support::image::layer_digests;
use crate::support::require;
use crate::support::tree::shell;

/// What is there, and what is copied.
const CONTEXT: &str = r#"
    mkdir -p below/etc/app below/srv/www below/private
    echo root:x:0:0::/: > below/etc/passwd; echo www:x:33:44::/: >> below/etc/passwd
    echo old > below/srv/www/old; ln -s srv below/link
    chmod 700 below/private; chown 5:6 below/private; touch -d '2001-01-01' below/private below/srv
    mkdir -p src/sub/deep src/empty src/private src/node_modules/x
    echo one > src/one; chmod 4711 src/one; touch -d '2003-02-01 04:05:06.7' src/one
    echo two > src/sub/two; chown 7:8 src/sub/two; chmod 2750 src/sub
    ln src/sub/two src/sub/deep/hard; ln src/sub/two src/also
    ln -s ../one src/sub/soft; ln -s /nowhere src/dangling
    mkfifo src/sub/fifo; mknod src/char c 1 3
    : > src/zero; head -c 1500000 /dev/urandom > src/large; truncate -s 1M src/sparse
    echo x > src/node_modules/x/y; echo log > src/sub/a.log
    printf z > "$(printf 'src/u\303\244 name')"
    touch -d '2002-02-02' src/sub/deep src/empty src; chmod 1777 src/empty
    tar -cf files.tar -C src --exclude=./one --exclude=./zero . && tar -czf packed.tar.gz -C src/sub .
    tar -cf twice.tar -C src sub/two sub/two && tar -cf through.tar -C below link && tar -rf through.tar \
        --transform 's,^srv,link,' -C below srv/www
    for f in $(seq 100); do seq $f $((f * 9)) > src/node_modules/$f; done
"#;

/// The copies, and whether they can be packed without being made.
const COPIES: [(&str, bool); 30] = [
    ("COPY src /new", true),
    ("COPY src /", true),
    ("COPY src /srv/www", true),
    ("COPY src/ /a/b/c/", true),
    ("COPY src/one /x", true),
    ("COPY src/one src/zero src/sub /several/", true),
    ("COPY src/one src/sub/../one src/sub /etc/app/", true),
    ("COPY --chown=www --chmod=640 src /srv", true),
    ("COPY --chown=1:2 src /private", true),
    ("COPY --chmod=u=rwX,go=rX src /m", true),
    (
        "COPY --exclude=node_modules --exclude=**/*.log src /e",
        true,
    ),
    ("COPY --parents src/sub/deep src/*/x /p/", true),
    ("COPY --parents src/./sub/two /", true),
    ("COPY s*c/o* /glob/", true),
    ("COPY --from=base /etc /copied", true),
    ("COPY --from=base / /all", true),
    ("ADD src /added", true),
    ("ADD files.tar /", true),
    ("ADD --chown=3:4 files.tar src/one /x/y/", true),
    ("ADD files.tar /srv", true),
    ("ADD --chmod=700 files.tar src/one /y/z/", true),
    ("ADD packed.tar.gz /x", false),
    ("ADD twice.tar /x", false),
    ("ADD through.tar /x", false),
    ("COPY src /link", false),
    ("COPY src/one /srv/www/old", false),
    ("COPY below /", false),
    ("COPY <<EOF /heredoc\ntext\nEOF", false),
    ("COPY --link src /linked", false),
    ("WORKDIR /w", false),
];

fn context(home: &Home) {
    fs::create_dir_all(home.path("context")).unwrap();
    shell(&home.path("context"), CONTEXT);
    let dir = Dir::open(&home.path("context/src")).unwrap();
    dir.set_xattr("one", OsStr::new("user.mark"), b"a b")
        .unwrap();
    dir.set_xattr("empty", OsStr::new("user.dir"), b"x")
        .unwrap();
    let capability = b"\x01\0\0\x02\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    dir.set_xattr("zero", OsStr::new("security.capability"), capability)
        .unwrap();
}

/// Builds with one of the stores; gives the layers' digests.
fn layers(home: &Home, store: &str, dockerfile: &str) -> Vec<String> {
    fs::write(home.path("Dockerfile"), dockerfile).unwrap();
    let layout = home.path("layout");
    let _ = fs::remove_dir_all(&layout);
    let mut command = home.build(&home.path("context"));
    command
        .env("RBUILD_ROOT", home.path(store))
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .arg("-f")
        .arg(home.path("Dockerfile"))
        .arg("-o")
        .arg(format!("type=oci,tar=false,dest={}", layout.display()));
    succeed(&mut command);
    layer_digests(&layout)
}

/// Says of how many change sets there is only the layer.
fn layers_alone(store: &Path) -> usize {
    let snapshots = fs::read_dir(store.join("snapshots")).into_iter().flatten();
    let snapshots = snapshots.map(|entry| entry.unwrap().path());
    let is_alone =
        |path: &std::path::PathBuf| path.join("layer").is_file() && !path.join("fs").exists();
    snapshots.filter(is_alone).count()
}

#[test]
fn the_layer_is_that_of_the_files() {
    if !require(&[Feature::Root, Feature::Namespaces]) {
        return;
    }
    let home = Home::new();
    context(&home);
    for (copy, is_direct) in COPIES {
        let base = "FROM scratch AS base\nCOPY below /\nFROM base";
        let last = format!("{base}\n{copy}\n");
        let followed = format!("{base}\n{copy}\nWORKDIR /last\n");
        let before = layers_alone(&home.path("one"));
        let direct = layers(&home, "one", &last);
        let made = usize::from(is_direct);
        assert_eq!(layers_alone(&home.path("one")), before + made, "{copy}");
        let through_files = layers(&home, "two", &followed);
        assert_eq!(direct[..], through_files[..direct.len()], "{copy}");
        // What follows needs the files after all: they are made of the layer.
        assert_eq!(layers(&home, "one", &followed), through_files, "{copy}");
        assert_eq!(layers_alone(&home.path("one")), before, "{copy}");
    }
    assert_eq!(layers_alone(&home.path("two")), 0);
}

/// A linked copy serves any base, so its layer is whole even where the base has all of it.
#[test]
fn the_layer_of_a_linked_copy_is_the_same_on_any_base() {
    if !require(&[Feature::Root, Feature::Namespaces]) {
        return;
    }
    let home = Home::new();
    context(&home);
    let on_scratch = "FROM scratch\nCOPY --link src/one /x\n";
    let on_the_same = "FROM scratch AS base\nCOPY src/one /x\nFROM base\nCOPY --link src/one /x\n";
    let expected = layers(&home, "one", on_scratch);
    assert_eq!(layers(&home, "two", on_the_same)[1], expected[0]);
    assert_eq!(layers(&home, "two", on_scratch), expected);
}

/// A layer with most pieces of another is the one that is made from nothing.
#[test]
fn one_changed_file_changes_the_layer_as_if_all_were_new() {
    if !require(&[Feature::Root, Feature::Namespaces]) {
        return;
    }
    let home = Home::new();
    context(&home);
    shell(
        &home.path("context/src"),
        "mkdir many; for f in $(seq 400); do seq $f $((f + 2000)) > many/$f; done",
    );
    let dockerfile = "FROM scratch\nCOPY src /\n";
    let first = layers(&home, "one", dockerfile);
    let notes = |store: &str| {
        fs::read_dir(home.path(store).join("notes"))
            .unwrap()
            .count()
    };
    assert_eq!(notes("one"), 1);
    fs::write(home.path("context/src/many/17"), "changed").unwrap();
    let changed = layers(&home, "one", dockerfile);
    assert_ne!(changed, first);
    assert_eq!(changed, layers(&home, "two", dockerfile));
    assert_eq!(notes("one"), 1);
}

#[test]
fn a_layer_alone_outlives_pruning_and_keeps_its_time() {
    if !require(&[Feature::Root, Feature::Namespaces]) {
        return;
    }
    let home = Home::new();
    let context = home.context("FROM scratch\nCOPY Dockerfile /x\n");
    let image = || {
        succeed(&mut home.build(&context));
        fs::read_to_string(home.path("root/index.json")).unwrap()
    };
    let first = image();
    assert_eq!(layers_alone(&home.path("root")), 1);
    let mut forget = home.rbuild();
    let id = succeed(home.rbuild().args(["images", "-q"])).stdout;
    succeed(forget.args(["rmi", id.trim()]));
    succeed(home.rbuild().arg("prune"));
    assert_eq!(layers_alone(&home.path("root")), 1);
    assert_eq!(image(), first);
    let directory = home.path("out");
    let mut command = home.build(&context);
    command
        .arg("-o")
        .arg(format!("type=local,dest={}", directory.display()));
    succeed(&mut command);
    assert!(directory.join("x").is_file());
    assert_eq!(layers_alone(&home.path("root")), 0);
    assert_eq!(image(), first);
}

/// A file whose size is not what its metadata says, as that of a log to which somebody writes while
/// the build reads it; the kernel's own do so at any time.
#[test]
fn a_file_of_another_size_than_it_said_is_copied_first() {
    if !require(&[Feature::Root, Feature::Namespaces]) {
        return;
    }
    let folder = Path::new("/sys/devices/system/cpu");
    let Ok(content) = fs::read(folder.join("online")) else {
        return;
    };
    if fs::metadata(folder.join("online")).unwrap().len() <= content.len() as u64 {
        return;
    }
    let home = Home::new();
    let context = home.context("FROM scratch\nCOPY --from=cpu online /\n");
    let out = home.path("out");
    let mut command = home.build(&context);
    command.arg("--build-context");
    command.arg(format!("cpu={}", folder.display()));
    command.args(["-t", "sizes"]);
    succeed(&mut command);
    let mut command = home.build(&context);
    command.arg("--build-context");
    command.arg(format!("cpu={}", folder.display()));
    command.arg("-o").arg(&out);
    succeed(&mut command);
    assert_eq!(fs::read(out.join("online")).unwrap(), content);
}
