//! What `ADD` and named contexts fetch: git repositories and files of web servers.

use crate::dockerfile::PlanProblem;
use crate::graph::GitOp;
use crate::graph::HttpOp;
use crate::graph::Op;

/// What a source of `ADD` is.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dockerfile) enum Source {
    /// A path in the build context.
    Local,
    /// A file of a web server.
    Http(HttpOp),
    /// A git repository.
    Git(Repository),
}

/// A git repository as a URL names it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dockerfile) struct Repository {
    /// The checkout.
    pub(in crate::dockerfile) op: GitOp,
    /// `keep-git-dir` of the URL, if it says so.
    pub(in crate::dockerfile) keep_git_dir: Option<bool>,
}

/// The parts of a URL that matter here, not decoded.
struct Url<'a> {
    scheme: &'a str,
    /// All before `?` and `#`.
    remote: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

/// Says what `text` is. With `is_git` a web address is a repository whatever its name.
pub(in crate::dockerfile) fn read(text: &str, is_git: bool) -> Result<Source, PlanProblem> {
    let Some(url) = split(text) else {
        return Ok(Source::Local);
    };
    match url.scheme {
        "http" | "https" if !is_git && !url.path.ends_with(".git") => Ok(Source::Http(HttpOp {
            url: text.to_owned(),
            file_name: file_name(url.path),
            checksum: None,
        })),
        "http" | "https" | "git" | "ssh" => repository(&url).map(Source::Git).map_err(|reason| {
            let url = text.to_owned();
            PlanProblem::GitUrl { url, reason }
        }),
        _ => Ok(Source::Local),
    }
}

/// Gives the op that fetches a context: [`Op::Git`] for a repository, [`Op::Http`] for a file.
///
/// # Errors
/// [`PlanProblem::GitUrl`] if the URL is none that can be fetched.
pub fn context(url: &str) -> Result<Op, PlanProblem> {
    Ok(match read(url, false)? {
        Source::Git(repository) => Op::Git(repository.op),
        Source::Http(op) => Op::Http(HttpOp {
            file_name: "context".to_owned(),
            ..op
        }),
        Source::Local => {
            return Err(PlanProblem::GitUrl {
                url: url.to_owned(),
                reason: "its scheme is none of http, https, git and ssh".to_owned(),
            });
        }
    })
}

/// Splits a URL, or the form `user@host:path` that ssh has.
fn split(text: &str) -> Option<Url<'_>> {
    let (rest, fragment) = match text.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (text, None),
    };
    let (remote, query) = match rest.split_once('?') {
        Some((remote, query)) => (remote, Some(query)),
        None => (rest, None),
    };
    let (scheme, path) = match remote.split_once("://") {
        Some((scheme, behind)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => (
            scheme,
            behind.find('/').map_or("", |slash| &behind[slash..]),
        ),
        _ => ("ssh", scp_path(remote)?),
    };
    Some(Url {
        scheme,
        remote,
        path,
        query,
        fragment,
    })
}

fn scp_path(text: &str) -> Option<&str> {
    let (user, rest) = text.split_once('@')?;
    let (host, path) = rest.split_once(':')?;
    let legal = |text: &str, extra: &str| {
        let mut chars = text.chars();
        !text.is_empty() && chars.all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    (legal(user, "-_") && legal(host, "-.")).then_some(path)
}

fn file_name(path: &str) -> String {
    let path = decode(path);
    let name = path.trim_end_matches('/').rsplit('/').next();
    let name = name.filter(|name| !matches!(*name, "" | "." | ".."));
    name.unwrap_or("__unnamed__").to_owned()
}

fn repository(url: &Url<'_>) -> Result<Repository, String> {
    let mut repository = Repository {
        op: GitOp {
            remote: url.remote.to_owned(),
            reference: None,
            subdir: None,
            keep_git_dir: false,
            submodules: true,
            checksum: None,
            commit_mtime: false,
        },
        keep_git_dir: None,
    };
    if let Some(fragment) = url.fragment {
        let fragment = decode(fragment);
        let (reference, subdir) = fragment.split_once(':').unwrap_or((&fragment, ""));
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        repository.op.reference = given(reference);
        repository.op.subdir = given(subdir);
    }
    let mut seen = Vec::new();
    for field in url.query.unwrap_or_default().split('&') {
        if field.is_empty() {
            continue;
        }
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        let (key, value) = (decode_query(key), decode_query(value));
        if seen.contains(&key) {
            return Err(format!("`{key}` stands twice"));
        }
        repository.set(&key, &value)?;
        seen.push(key);
    }
    if seen.iter().any(|key| key == "tag") && seen.iter().any(|key| key == "branch") {
        return Err("it has a tag and a branch".to_owned());
    }
    if repository.op.reference.is_none() {
        repository.op.reference.clone_from(&repository.op.checksum);
    }
    repository.op.keep_git_dir = repository.keep_git_dir == Some(true);
    Ok(repository)
}

impl Repository {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let switch = match value {
            "" | "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
            _ => None,
        };
        let flag = || switch.ok_or_else(|| format!("`{key}` cannot be `{value}`"));
        match key {
            "submodules" => self.op.submodules = flag()?,
            "keep-git-dir" => self.keep_git_dir = Some(flag()?),
            // How the commit is fetched, not which.
            "fetch-by-commit" => _ = flag()?,
            _ if value.is_empty() => return Err(format!("`{key}` has no value")),
            "ref" => agree(&mut self.op.reference, value, key)?,
            "tag" => agree(&mut self.op.reference, &full(value, "refs/tags/"), key)?,
            "branch" => agree(&mut self.op.reference, &full(value, "refs/heads/"), key)?,
            "subdir" => agree(&mut self.op.subdir, value, key)?,
            "checksum" | "commit" => agree(&mut self.op.checksum, value, key)?,
            "mtime" => match value {
                "checkout" => self.op.commit_mtime = false,
                "commit" => self.op.commit_mtime = true,
                _ => return Err(format!("`mtime` cannot be `{value}`")),
            },
            _ => return Err(format!("there is no option `{key}`")),
        }
        Ok(())
    }
}

/// Sets what may be said twice in different ways, but not differently.
fn agree(slot: &mut Option<String>, value: &str, key: &str) -> Result<(), String> {
    match slot {
        Some(old) if old != value => Err(format!("`{key}` is `{value}`, but also `{old}`")),
        _ => {
            *slot = Some(value.to_owned());
            Ok(())
        }
    }
}

fn full(name: &str, prefix: &str) -> String {
    if name.starts_with(prefix) {
        return name.to_owned();
    }
    format!("{prefix}{name}")
}

fn decode_query(text: &str) -> String {
    decode(&text.replace('+', " "))
}

/// Replaces `%41` by `A`; what is no such escape stays.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| first == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::Source;
    use super::read;

    fn git(text: &str) -> super::Repository {
        match read(text, false).unwrap() {
            Source::Git(repository) => repository,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn http_name(text: &str) -> String {
        match read(text, false).unwrap() {
            Source::Http(op) => op.file_name,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn tells_repositories_from_files_and_paths() {
        for text in [
            "a/b",
            "./x@y:z",
            "github.com/a/b",
            "C:\\x",
            "ftp://host/x",
            "a@b/c:d",
        ] {
            assert_eq!(read(text, false).unwrap(), Source::Local, "{text}");
        }
        assert_eq!(http_name("https://host/a/b%20c.tar?x=1#y"), "b c.tar");
        for text in ["http://host", "http://host/", "http://host/?a/b"] {
            assert_eq!(http_name(text), "__unnamed__");
        }
        for text in [
            "git://host/x",
            "ssh://git@host/x",
            "git@host:x/y",
            "https://host/x.git",
        ] {
            assert_eq!(git(text).op.remote, text);
        }
        assert!(matches!(read("https://host/x", true), Ok(Source::Git(_))));
    }

    #[test]
    fn reads_fragments_and_queries() {
        let found = git("https://host/x.git#v1:dir");
        assert_eq!(found.op.remote, "https://host/x.git");
        assert_eq!(found.op.reference.as_deref(), Some("v1"));
        assert_eq!(found.op.subdir.as_deref(), Some("dir"));
        let found = git("git@host:x.git?tag=v1&subdir=d&keep-git-dir&submodules=0&mtime=commit");
        assert_eq!(found.op.reference.as_deref(), Some("refs/tags/v1"));
        assert_eq!(found.op.subdir.as_deref(), Some("d"));
        assert!(found.op.keep_git_dir && found.op.commit_mtime && !found.op.submodules);
        let found = git("https://host/x.git?commit=abc");
        assert_eq!(found.op.reference.as_deref(), Some("abc"));
        assert_eq!(found.op.checksum.as_deref(), Some("abc"));
    }

    #[test]
    fn refuses_what_contradicts_itself() {
        for query in [
            "ref=a&ref=a",
            "ref=",
            "tag=a&branch=a",
            "novel=1",
            "submodules=maybe",
            "mtime=now",
        ] {
            let text = format!("https://host/x.git?{query}");
            assert!(read(&text, false).is_err(), "{text}");
        }
        assert!(read("https://host/x.git?ref=a#b", false).is_err());
    }
}
