//! One op of each kind, with all that it can say.

use crate::cache::key::CacheKey;
use crate::cache::key::ContentDigest;
use crate::cache::key::InputKey;
use crate::graph::CacheMount;
use crate::graph::CopyOp;
use crate::graph::CopySource;
use crate::graph::ExecOp;
use crate::graph::GitOp;
use crate::graph::HttpOp;
use crate::graph::ImageOp;
use crate::graph::Mount;
use crate::graph::MountKind;
use crate::graph::Network;
use crate::graph::Op;
use crate::graph::SecretMount;
use crate::graph::Security;
use crate::graph::Sharing;
use crate::graph::Ulimit;
use crate::oci::Descriptor;
use crate::oci::DiffId;
use crate::oci::Digest;
use crate::oci::Layer;

pub(super) fn text(text: &str) -> String {
    text.to_owned()
}

pub(super) fn pair(name: &str, value: &str) -> (String, String) {
    (text(name), text(value))
}

pub(super) fn exec() -> ExecOp {
    ExecOp {
        args: vec![text("/bin/sh"), text("-c"), text("make")],
        env: vec![pair("PATH", "/bin"), pair("A", "1")],
        hidden_env: vec![pair("http_proxy", "http://proxy")],
        cwd: text("/src"),
        user: text("me"),
        hostname: text("buildkitsandbox"),
        network: Network::Default,
        security: Security::Sandbox,
        mounts: vec![bind(), cache_mount(), secret(), ssh(), tmpfs(), script()],
        extra_hosts: vec![pair("db", "10.0.0.1")],
        shm_size_bytes: Some(1 << 20),
        ulimits: vec![Ulimit {
            name: text("nofile"),
            soft: 10,
            hard: 20,
        }],
    }
}

pub(super) fn mount(kind: MountKind) -> Mount {
    Mount {
        target: text("/mnt"),
        kind,
    }
}

pub(super) fn bind() -> Mount {
    mount(MountKind::Bind {
        input: 1,
        source: text("/a"),
        writable: false,
    })
}

pub(super) fn cache_mount() -> Mount {
    mount(MountKind::Cache(CacheMount {
        id: text("id"),
        sharing: Sharing::Shared,
        input: Some(1),
        source: text("/a"),
        readonly: false,
        mode: 0o755,
        uid: 0,
        gid: 0,
    }))
}

pub(super) fn secret() -> Mount {
    mount(MountKind::Secret(SecretMount {
        id: text("token"),
        env: None,
        required: false,
        mode: 0o400,
        uid: 0,
        gid: 0,
    }))
}

pub(super) fn ssh() -> Mount {
    mount(MountKind::Ssh {
        id: text("default"),
        required: false,
        mode: 0o600,
        uid: 0,
        gid: 0,
    })
}

pub(super) fn tmpfs() -> Mount {
    mount(MountKind::Tmpfs { size_bytes: None })
}

pub(super) fn script() -> Mount {
    mount(MountKind::Script { data: text("#!") })
}

pub(super) fn copy() -> CopyOp {
    CopyOp {
        sources: vec![
            CopySource::Path {
                input: 1,
                path: text("/a"),
                unpack: false,
            },
            CopySource::Inline {
                name: text("file"),
                data: text("content"),
            },
        ],
        destination: text("/to/"),
        owner: Some(text("me")),
        mode: None,
        excludes: vec![text("*.o")],
        parents: false,
        link: false,
    }
}

pub(super) fn http() -> HttpOp {
    HttpOp {
        url: text("http://host/file"),
        file_name: text("file"),
        checksum: None,
    }
}

pub(super) fn git() -> GitOp {
    GitOp {
        remote: text("https://host/repo"),
        reference: Some(text("main")),
        subdir: None,
        keep_git_dir: false,
        submodules: true,
        checksum: None,
        commit_mtime: false,
    }
}

pub(super) fn image() -> ImageOp {
    ImageOp {
        name: text("debian"),
        source: None,
        layers: vec![layer("a", "application/x"), layer("b", "application/x")],
    }
}

pub(super) fn layer(content: &str, media_type: &str) -> Layer {
    let digest = Digest::of(content.as_bytes());
    Layer {
        diff_id: DiffId(digest),
        blob: Descriptor::of(media_type, media_type.as_bytes()),
    }
}

pub(super) fn inputs() -> [InputKey; 2] {
    let base = CacheKey::of_op(&Op::Scratch, &[]);
    let content = ContentDigest::of(b"content");
    [InputKey::Key(base), InputKey::Content(content)]
}

pub(super) fn key(op: Op) -> CacheKey {
    CacheKey::of_op(&op, &inputs())
}
