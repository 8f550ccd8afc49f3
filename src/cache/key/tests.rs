//! What is in a key, what is not, and that a key stays what it is.

mod samples;

use self::samples::copy;
use self::samples::exec;
use self::samples::git;
use self::samples::http;
use self::samples::image;
use self::samples::inputs;
use self::samples::key;
use self::samples::layer;
use self::samples::mount;
use self::samples::pair;
use self::samples::text;
use super::CacheKey;
use super::ContentDigest;
use super::ContentHasher;
use super::InputKey;
use super::components;
use crate::graph::CacheMount;
use crate::graph::CopyOp;
use crate::graph::CopySource;
use crate::graph::ExecOp;
use crate::graph::FileMode;
use crate::graph::GitOp;
use crate::graph::HttpOp;
use crate::graph::ImageOp;
use crate::graph::MkdirOp;
use crate::graph::MountKind;
use crate::graph::Network;
use crate::graph::Op;
use crate::graph::SecretMount;
use crate::graph::Security;
use crate::graph::Sharing;
use crate::oci::Digest;
use crate::snapshot::SnapshotId;

/// Whoever makes this test fail has changed what keys mean, and raises `KEY_VERSION`.
#[test]
fn keys_stay_what_they_are() {
    let base = CacheKey::of_op(&Op::Scratch, &[]);
    let mkdir = MkdirOp {
        path: text("/src"),
        owner: text("me"),
    };
    let content = ContentDigest::of(b"content");
    let change_set = SnapshotId::new("change-set").unwrap();
    let keys = [
        base,
        CacheKey::of_op(&Op::Image(image()), &[]),
        CacheKey::of_op(&Op::Http(http()), &[]),
        CacheKey::of_op(&Op::Git(git()), &[]),
        key(Op::Exec(exec())),
        key(Op::Copy(copy())),
        key(Op::Mkdir(mkdir)),
        CacheKey::of_result(&base, &content),
        CacheKey::of_change_set(&base, &change_set),
    ];
    let expected = [
        "8ec6c440cf191a6a0c4277752d17c119fa2a5bb38d12e5ade20aee04c63c4837",
        "ab3177f8828619a59c9a9aeae9fef4758558bfb258ba8bec0f77d57810c112e6",
        "912ab6f61140aac55eb1781fdfccc14fe4174a509bb51b891571c30bcfc2e427",
        "b4acd8216462956646964c0de6b52d76392eb73334006364ce405ee99652d076",
        "665bf7cd5520c021711af2c92edf3edf57e27c99931731adb95e5b34cdd83193",
        "4ed222006dd33dcf4400c3e29c121e75739de261154a8e758e7487fd367f170d",
        "0a4cfc935d287afe0d3dcf42d85ce6670e849f8d6c023ee4ac45e063fa772e32",
        "0f5734d7866fadd4b79610724b61edce085aa58c4759dffe6b7571219e2c58d2",
        "ae19bbdaf4ce3c7521c8cac50e4272fb481ab42df827b326075e911f42543a47",
    ];
    assert_eq!(keys.map(|key| key.hex()), expected);
}

#[test]
fn every_part_of_a_command_counts() {
    let mut ops = vec![exec()];
    let mut with = |change: &dyn Fn(&mut ExecOp)| {
        let mut op = exec();
        change(&mut op);
        ops.push(op);
    };
    with(&|op| op.args.push(text("x")));
    with(&|op| op.args[1] = text("-e"));
    with(&|op| op.args = vec![text("/bin/sh"), text("-cmake")]);
    with(&|op| op.env[1].1 = text("2"));
    with(&|op| op.env[1].0 = text("B"));
    with(&|op| op.env.clear());
    with(&|op| op.env = vec![pair("PATH", "/binA"), pair("", "1")]);
    with(&|op| op.cwd = text("/"));
    with(&|op| op.user = text("you"));
    with(&|op| op.hostname = text("other"));
    with(&|op| op.network = Network::None);
    with(&|op| op.network = Network::Host);
    with(&|op| op.security = Security::Insecure);
    with(&|op| op.extra_hosts[0].0 = text("other"));
    with(&|op| op.shm_size_bytes = None);
    with(&|op| op.shm_size_bytes = Some(0));
    with(&|op| op.ulimits[0].soft = -1);
    with(&|op| op.ulimits[0].hard = -1);
    with(&|op| op.ulimits[0].name = text("nproc"));
    with(&|op| op.mounts.reverse());
    with(&|op| op.mounts.truncate(1));
    for position in 0..exec().mounts.len() {
        with(&|op| op.mounts[position].target = text("/other"));
    }
    assert_different(ops.into_iter().map(Op::Exec));
}

/// Gives cache mounts that differ in what counts.
fn cache_kinds() -> Vec<MountKind> {
    let mut kinds = Vec::new();
    let caches = [
        (Some(1), "/a", false, 0, 0, 0),
        (None, "/a", false, 0, 0, 0),
        (Some(1), "/b", false, 0, 0, 0),
        (Some(1), "/a", true, 0, 0, 0),
        (Some(1), "/a", false, 1, 0, 0),
        (Some(1), "/a", false, 0, 1, 0),
        (Some(1), "/a", false, 0, 0, 1),
    ];
    for (input, source, readonly, mode, uid, gid) in caches {
        let named = |id: &str, sharing| {
            MountKind::Cache(CacheMount {
                id: text(id),
                sharing,
                input,
                source: text(source),
                readonly,
                mode,
                uid,
                gid,
            })
        };
        let one = Op::Exec(ExecOp {
            mounts: vec![mount(named("a", Sharing::Shared))],
            ..exec()
        });
        let other = Op::Exec(ExecOp {
            mounts: vec![mount(named("b", Sharing::Locked))],
            ..exec()
        });
        assert_eq!(key(one), key(other));
        kinds.push(named("a", Sharing::Shared));
    }
    kinds
}

#[test]
fn every_part_of_a_mount_counts_but_what_a_cache_mount_is_called() {
    let mut kinds = Vec::new();
    for (source, writable) in [("/a", false), ("/a", true), ("/b", false)] {
        kinds.push(MountKind::Bind {
            input: 1,
            source: text(source),
            writable,
        });
    }
    for size_bytes in [None, Some(0), Some(1)] {
        kinds.push(MountKind::Tmpfs { size_bytes });
    }
    for data in ["a", "b"] {
        kinds.push(MountKind::Script { data: text(data) });
    }
    let secrets = [
        ("a", None, false, 0, 0, 0),
        ("b", None, false, 0, 0, 0),
        ("a", Some("A"), false, 0, 0, 0),
        ("a", None, true, 0, 0, 0),
        ("a", None, false, 1, 0, 0),
        ("a", None, false, 0, 1, 0),
        ("a", None, false, 0, 0, 1),
    ];
    for (id, env, required, mode, uid, gid) in secrets {
        kinds.push(MountKind::Secret(SecretMount {
            id: text(id),
            env: env.map(text),
            required,
            mode,
            uid,
            gid,
        }));
        kinds.push(MountKind::Ssh {
            id: format!("{id}{env:?}"),
            required,
            mode,
            uid,
            gid,
        });
    }
    kinds.extend(cache_kinds());
    let ops = kinds.into_iter().map(|kind| {
        Op::Exec(ExecOp {
            mounts: vec![mount(kind)],
            ..exec()
        })
    });
    assert_different(ops);
}

#[test]
fn what_must_not_count_does_not() {
    let hidden = ExecOp {
        hidden_env: Vec::new(),
        extra_hosts: vec![pair("db", "10.0.0.2")],
        ..exec()
    };
    assert_eq!(key(Op::Exec(exec())), key(Op::Exec(hidden)));
    let renamed = ImageOp {
        name: text("other"),
        source: Some("docker.io/library/debian:12".parse().unwrap()),
        layers: vec![layer("a", "application/y"), layer("b", "application/y")],
    };
    assert_eq!(key(Op::Image(image())), key(Op::Image(renamed)));
}

#[test]
fn every_part_of_a_copy_counts() {
    let mut ops = vec![copy()];
    let mut with = |change: &dyn Fn(&mut CopyOp)| {
        let mut op = copy();
        change(&mut op);
        ops.push(op);
    };
    let path = |input, path, unpack| CopySource::Path {
        input,
        path: text(path),
        unpack,
    };
    let inline = |name, data| CopySource::Inline {
        name: text(name),
        data: text(data),
    };
    with(&|op| op.sources[0] = path(2, "/a", false));
    with(&|op| op.sources[0] = path(1, "/b", false));
    with(&|op| op.sources[0] = path(1, "/a", true));
    with(&|op| op.sources[1] = inline("other", "content"));
    with(&|op| op.sources[1] = inline("file", "other"));
    with(&|op| op.sources[1] = inline("filec", "ontent"));
    with(&|op| op.sources.reverse());
    with(&|op| op.destination = text("/to"));
    with(&|op| op.owner = None);
    with(&|op| op.owner = Some(String::new()));
    with(&|op| op.mode = Some(FileMode::Octal(0o755)));
    with(&|op| op.mode = Some(FileMode::Symbolic(text("u=r"))));
    with(&|op| op.excludes.clear());
    with(&|op| op.parents = true);
    with(&|op| op.link = true);
    assert_different(ops.into_iter().map(Op::Copy));
}

#[test]
fn every_part_of_the_other_ops_counts() {
    let mkdir = |path, owner| {
        Op::Mkdir(MkdirOp {
            path: text(path),
            owner: text(owner),
        })
    };
    let one_layer = ImageOp {
        layers: image().layers[..1].to_vec(),
        ..image()
    };
    let mut ops = vec![
        Op::Scratch,
        Op::Image(image()),
        Op::Image(one_layer),
        mkdir("/a", ""),
        mkdir("/b", ""),
        mkdir("/a", "me"),
        mkdir("/", "ame"),
        Op::Http(http()),
    ];
    let mut with = |change: &dyn Fn(&mut HttpOp)| {
        let mut op = http();
        change(&mut op);
        ops.push(Op::Http(op));
    };
    with(&|op| op.url = text("http://host/other"));
    with(&|op| op.file_name = text("other"));
    with(&|op| op.checksum = Some(Digest::of(b"")));
    let mut with = |change: &dyn Fn(&mut GitOp)| {
        let mut op = git();
        change(&mut op);
        ops.push(Op::Git(op));
    };
    with(&|_| ());
    with(&|op| op.remote = text("https://host/other"));
    with(&|op| op.reference = None);
    with(&|op| op.subdir = Some(text("a")));
    with(&|op| op.keep_git_dir = true);
    with(&|op| op.submodules = false);
    with(&|op| op.checksum = Some(text("abc")));
    with(&|op| op.commit_mtime = true);
    assert_different(ops);
}

#[test]
fn every_input_counts() {
    let op = Op::Copy(copy());
    let [base, content] = inputs();
    let keys = [
        CacheKey::of_op(&op, &[base, content]),
        CacheKey::of_op(&op, &[content, base]),
        CacheKey::of_op(&op, &[base]),
        CacheKey::of_op(&op, &[InputKey::Nothing, content]),
        CacheKey::of_op(&op, &[InputKey::Nothing, InputKey::Nothing]),
        CacheKey::of_op(&op, &[base, InputKey::Content(ContentDigest::of(b"x"))]),
    ];
    for (position, key) in keys.iter().enumerate() {
        assert!(!keys[..position].contains(key), "{position}");
    }
    // A key and a digest of the same bytes are not the same.
    let InputKey::Content(digest) = content else {
        unreachable!("it was made above");
    };
    let bytes = *digest.as_bytes();
    let as_key = CacheKey::from_hex(&ContentDigest::from_bytes(bytes).hex()).unwrap();
    let as_key = CacheKey::of_op(&op, &[base, InputKey::Key(as_key)]);
    assert_ne!(as_key, keys[0]);
}

fn assert_different(ops: impl IntoIterator<Item = Op>) {
    let ops: Vec<Op> = ops.into_iter().collect();
    let keys: Vec<CacheKey> = ops.iter().cloned().map(key).collect();
    for (position, key) in keys.iter().enumerate() {
        if let Some(same) = keys[..position].iter().position(|other| other == key) {
            panic!("one key for {:#?} and {:#?}", ops[same], ops[position]);
        }
    }
}

#[test]
fn components_say_what_a_key_is_made_of() {
    let mut op = exec();
    op.mounts.clear();
    op.ulimits.clear();
    op.env = vec![pair("LONG", &"é".repeat(400))];
    let parts = components(&Op::Exec(op), &inputs());
    let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
    let expected = [
        "op",
        "args",
        "env",
        "cwd",
        "user",
        "hostname",
        "network",
        "security",
        "extra hosts",
        "shm size",
        "input 0",
        "input 1",
    ];
    assert_eq!(names, expected);
    assert_eq!(parts[1].value, "[/bin/sh, -c, make]");
    assert!(parts[2].value.len() < 400);
    assert!(parts[2].value.starts_with("[[LONG, éé"));
    let digest = ContentDigest::of(b"content");
    assert_eq!(parts[11].value, format!("content {digest}"));
}

#[test]
fn names_are_read_as_they_are_printed() {
    let key = key(Op::Scratch);
    assert_eq!(CacheKey::from_hex(&key.to_string()), Some(key));
    for text in ["", "00", &key.hex().to_uppercase(), &format!("{key}0")] {
        assert_eq!(CacheKey::from_hex(text), None, "{text}");
        assert!(CacheKey::try_from(text.to_owned()).is_err());
    }
}

#[test]
fn sized_values_do_not_run_into_each_other() {
    let digest = |parts: [&[u8]; 2]| {
        let mut hasher = ContentHasher::new();
        for part in parts {
            hasher.update_sized(part);
        }
        hasher.finish()
    };
    assert_ne!(digest([b"ab", b"c"]), digest([b"a", b"bc"]));
    let mut hasher = ContentHasher::new();
    hasher.update(b"a");
    hasher.update(b"b");
    assert_eq!(hasher.finish(), ContentDigest::of(b"ab"));
}
