//! Ops as named values in canonical form, of which cache keys are made and misses explained.
//!
//! The bytes are a specification: equal ops give equal bytes, different ops different ones, on
//! every machine and in every release with the same key version. So every text and every list is
//! preceded by its length, and nothing depends on how a type prints or is laid out.

use std::borrow::Cow;
use std::fmt;

use crate::graph::CacheMount;
use crate::graph::CopyOp;
use crate::graph::CopySource;
use crate::graph::ExecOp;
use crate::graph::FileMode;
use crate::graph::GitOp;
use crate::graph::HttpOp;
use crate::graph::MkdirOp;
use crate::graph::Mount;
use crate::graph::MountKind;
use crate::graph::Network;
use crate::graph::Op;
use crate::graph::SecretMount;
use crate::graph::Security;
use crate::graph::mask_userinfo;

/// A part of an op: its name, and what it is.
pub type Field<'a> = (&'static str, Value<'a>);

/// A value of an op's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// What is not given.
    Nothing,
    /// A text.
    Text(Cow<'a, str>),
    /// A number.
    Number(i64),
    /// Values in order.
    List(Vec<Value<'a>>),
}

impl Value<'_> {
    /// Appends the canonical bytes: a letter for the kind; for a text or a list, its length; the
    /// content. Numbers are little endian and have eight bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => out.push(b'-'),
            Self::Text(text) => {
                out.push(b't');
                out.extend_from_slice(&(text.len() as u64).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Self::Number(number) => {
                out.push(b'n');
                out.extend_from_slice(&number.to_le_bytes());
            }
            Self::List(values) => {
                out.push(b'l');
                out.extend_from_slice(&(values.len() as u64).to_le_bytes());
                for value in values {
                    value.encode(out);
                }
            }
        }
    }
}

/// Prints the value for people; not a part of any key.
impl fmt::Display for Value<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => out.write_str("-"),
            Self::Text(text) => out.write_str(text),
            Self::Number(number) => write!(out, "{number}"),
            Self::List(values) => {
                out.write_str("[")?;
                for (position, value) in values.iter().enumerate() {
                    let separator = if position == 0 { "" } else { ", " };
                    write!(out, "{separator}{value}")?;
                }
                out.write_str("]")
            }
        }
    }
}

impl Op {
    /// Gives the parts of the op that decide what it makes, in a fixed order; the first is its
    /// kind.
    ///
    /// What cannot change the result, or must not count although it could, is left out: the name
    /// an image was asked by and the place its blobs come from, undeclared proxy settings, the
    /// addresses of extra hosts, the content, id and sharing of cache mounts, the values of
    /// secrets.
    #[must_use]
    pub fn fields(&self) -> Vec<Field<'_>> {
        match self {
            Self::Scratch => vec![("op", text("scratch"))],
            Self::Image(image) => {
                let layers = image.layers.iter();
                let diff_ids = layers.map(|layer| owned(layer.diff_id.to_string()));
                vec![("op", text("image")), ("layers", list(diff_ids))]
            }
            Self::Context(_) => vec![("op", text("context"))],
            Self::Http(http) => http_fields(http),
            Self::Git(git) => git_fields(git),
            Self::Exec(exec) => exec_fields(exec),
            Self::Copy(copy) => copy_fields(copy),
            Self::Mkdir(mkdir) => {
                let MkdirOp { path, owner } = mkdir;
                vec![
                    ("op", text("mkdir")),
                    ("path", text(path)),
                    ("owner", text(owner)),
                ]
            }
        }
    }
}

fn http_fields(http: &HttpOp) -> Vec<Field<'_>> {
    let HttpOp {
        url,
        file_name,
        checksum,
    } = http;
    vec![
        ("op", text("http")),
        ("url", owned(mask_userinfo(url))),
        ("file name", text(file_name)),
        (
            "checksum",
            optional(checksum.map(|digest| owned(digest.to_string()))),
        ),
    ]
}

fn git_fields(git: &GitOp) -> Vec<Field<'_>> {
    let GitOp {
        remote,
        reference,
        subdir,
        keep_git_dir,
        submodules,
        checksum,
        commit_mtime,
    } = git;
    vec![
        ("op", text("git")),
        ("remote", owned(mask_userinfo(remote))),
        ("reference", optional(reference.as_deref().map(text))),
        ("subdir", optional(subdir.as_deref().map(text))),
        ("keep git dir", flag(*keep_git_dir)),
        ("submodules", flag(*submodules)),
        ("checksum", optional(checksum.as_deref().map(text))),
        ("commit mtime", flag(*commit_mtime)),
    ]
}

fn exec_fields(exec: &ExecOp) -> Vec<Field<'_>> {
    let ExecOp {
        args,
        env,
        hidden_env: _,
        cwd,
        user,
        hostname,
        network,
        security,
        mounts,
        extra_hosts,
        shm_size_bytes,
        ulimits,
    } = exec;
    let pairs = env.iter();
    let pairs = pairs.map(|(name, value)| list([text(name), text(value)]));
    let limits = ulimits.iter();
    let limits = limits.map(|limit| {
        let (soft, hard) = (Value::Number(limit.soft), Value::Number(limit.hard));
        list([text(&limit.name), soft, hard])
    });
    vec![
        ("op", text("exec")),
        ("args", list(args.iter().map(|arg| text(arg)))),
        ("env", list(pairs)),
        ("cwd", text(cwd)),
        ("user", text(user)),
        ("hostname", text(hostname)),
        ("network", text(network_name(*network))),
        ("security", text(security_name(*security))),
        ("mounts", list(mounts.iter().map(mount_value))),
        (
            "extra hosts",
            list(extra_hosts.iter().map(|(name, _)| text(name))),
        ),
        ("shm size", optional(shm_size_bytes.map(size))),
        ("ulimits", list(limits)),
    ]
}

fn network_name(network: Network) -> &'static str {
    match network {
        Network::Default => "default",
        Network::Host => "host",
        Network::None => "none",
    }
}

fn security_name(security: Security) -> &'static str {
    match security {
        Security::Sandbox => "sandbox",
        Security::Insecure => "insecure",
    }
}

fn mount_value(mount: &Mount) -> Value<'_> {
    let kind = match &mount.kind {
        MountKind::Bind {
            input,
            source,
            writable,
        } => list([text("bind"), index(*input), text(source), flag(*writable)]),
        MountKind::Cache(cache) => cache_value(cache),
        MountKind::Tmpfs { size_bytes } => list([text("tmpfs"), optional(size_bytes.map(size))]),
        MountKind::Secret(secret) => secret_value(secret),
        MountKind::Ssh {
            id,
            required,
            mode,
            uid,
            gid,
        } => list([
            text("ssh"),
            text(id),
            flag(*required),
            number(*mode),
            number(*uid),
            number(*gid),
        ]),
        MountKind::Script { data } => list([text("script"), text(data)]),
    };
    list([text(&mount.target), kind])
}

fn cache_value(cache: &CacheMount) -> Value<'_> {
    let CacheMount {
        id: _,
        sharing: _,
        input,
        source,
        readonly,
        mode,
        uid,
        gid,
    } = cache;
    list([
        text("cache"),
        optional(input.map(index)),
        text(source),
        flag(*readonly),
        number(*mode),
        number(*uid),
        number(*gid),
    ])
}

fn secret_value(secret: &SecretMount) -> Value<'_> {
    let SecretMount {
        id,
        env,
        required,
        mode,
        uid,
        gid,
    } = secret;
    list([
        text("secret"),
        text(id),
        optional(env.as_deref().map(text)),
        flag(*required),
        number(*mode),
        number(*uid),
        number(*gid),
    ])
}

fn copy_fields(copy: &CopyOp) -> Vec<Field<'_>> {
    let CopyOp {
        sources,
        destination,
        owner,
        mode,
        excludes,
        parents,
        link,
    } = copy;
    let mode = mode.as_ref().map(|mode| match mode {
        FileMode::Octal(bits) => number(*bits),
        FileMode::Symbolic(clauses) => text(clauses),
    });
    vec![
        ("op", text("copy")),
        ("sources", list(sources.iter().map(source_value))),
        ("destination", text(destination)),
        ("owner", optional(owner.as_deref().map(text))),
        ("mode", optional(mode)),
        ("excludes", list(excludes.iter().map(|line| text(line)))),
        ("parents", flag(*parents)),
        ("link", flag(*link)),
    ]
}

fn source_value(source: &CopySource) -> Value<'_> {
    match source {
        CopySource::Path {
            input,
            path,
            unpack,
        } => list([text("path"), index(*input), text(path), flag(*unpack)]),
        CopySource::Inline { name, data } => list([text("inline"), text(name), text(data)]),
    }
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

fn owned(text: String) -> Value<'static> {
    Value::Text(Cow::Owned(text))
}

fn number(number: u32) -> Value<'static> {
    Value::Number(i64::from(number))
}

fn flag(flag: bool) -> Value<'static> {
    Value::Number(i64::from(flag))
}

fn index(index: usize) -> Value<'static> {
    Value::Number(i64::try_from(index).expect("a vertex has few inputs"))
}

fn size(bytes: u64) -> Value<'static> {
    Value::Number(bytes.cast_signed())
}

fn list<'a>(values: impl IntoIterator<Item = Value<'a>>) -> Value<'a> {
    Value::List(values.into_iter().collect())
}

fn optional(value: Option<Value<'_>>) -> Value<'_> {
    value.unwrap_or(Value::Nothing)
}

#[cfg(test)]
mod tests {
    use super::Value;
    use super::list;
    use super::text;

    fn bytes(value: &Value<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    }

    #[test]
    fn values_that_print_alike_have_different_bytes() {
        let alike = [
            list([text("a, b")]),
            list([text("a"), text("b")]),
            text("[a, b]"),
        ];
        for value in &alike {
            assert_eq!(value.to_string(), "[a, b]");
        }
        assert_ne!(bytes(&alike[0]), bytes(&alike[1]));
        assert_ne!(bytes(&alike[0]), bytes(&alike[2]));
        assert_ne!(bytes(&Value::Nothing), bytes(&text("-")));
        assert_ne!(bytes(&Value::Number(1)), bytes(&text("1")));
    }

    #[test]
    fn bytes_are_as_specified() {
        let value = list([text("ab"), Value::Number(-2), Value::Nothing]);
        let mut expected = vec![b'l', 3, 0, 0, 0, 0, 0, 0, 0];
        expected.extend(b"t\x02\0\0\0\0\0\0\0ab");
        expected.extend(b"n\xfe\xff\xff\xff\xff\xff\xff\xff");
        expected.push(b'-');
        assert_eq!(bytes(&value), expected);
    }
}
