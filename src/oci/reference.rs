//! Names of images: `[host[:port]/]path[:tag][@digest]`.
//!
//! The grammar is that of the distribution project's reference package, which docker and BuildKit
//! read names with. It is parsed by hand: a regular expression for it takes 40 ms to compile.

use std::fmt;
use std::str::FromStr;

use crate::oci::Digest;
use crate::oci::Error;

const DEFAULT_DOMAIN: &str = "docker.io";
const PATH_MAX_BYTES: usize = 255;
const TAG_MAX_BYTES: usize = 128;

/// The name of an image in a registry or in the local store, in its full form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Gives the registry: `docker.io`, `127.0.0.1:5000`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Gives the repository within the registry: `library/debian`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Gives the tag, if the name has one. A name without tag and digest means `latest`; it is
    /// added when the name is read.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Gives the digest, if the name has one; it wins over the tag.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Gives the same name with `digest` instead of any digest it had.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// Gives the same repository under `domain` and `path`, for a mirror.
    #[must_use]
    pub fn with_repository(&self, domain: &str, path: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            path: path.to_owned(),
            ..self.clone()
        }
    }

    /// Gives the repository without tag and digest: `docker.io/library/debian`.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// Gives what a registry's manifest endpoint is asked for: the digest, or else the tag.
    #[must_use]
    pub fn identifier(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// Gives the short form a person writes: `debian:bookworm` for
    /// `docker.io/library/debian:bookworm`.
    #[must_use]
    pub fn familiar(&self) -> String {
        let mut text = if self.domain == DEFAULT_DOMAIN {
            self.path
                .strip_prefix("library/")
                .unwrap_or(&self.path)
                .to_owned()
        } else {
            self.repository()
        };
        self.push_suffix(&mut text);
        text
    }

    fn push_suffix(&self, text: &mut String) {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    /// Reads a name as docker does: `debian` is `docker.io/library/debian:latest`.
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map_err(|reason| Error::Reference {
            text: text.to_owned(),
            reason,
        })
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err("64 hexadecimal digits are an image's id, not its name");
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => {
            let digest = digest
                .parse()
                .map_err(|_| "the part after @ is not a sha256 digest")?;
            (rest, Some(digest))
        }
        None => (text, None),
    };
    let (name, tag) = split_tag(rest);
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let (domain, path) = split_domain(name);
    check_domain(&domain)?;
    check_path(&path)?;
    let tag = match (tag, digest) {
        (Some(tag), _) => Some(tag.to_owned()),
        (None, None) => Some("latest".to_owned()),
        (None, Some(_)) => None,
    };
    Ok(Reference {
        domain,
        path,
        tag,
        digest,
    })
}

/// Splits at the last colon, unless it belongs to the host's port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

/// The first component is a host if it looks like one; else the name is Docker Hub's.
fn split_domain(name: &str) -> (String, String) {
    let (domain, path) = match name.split_once('/') {
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':', '['])
                || first.chars().any(|c| c.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_DOMAIN, name),
    };
    let domain = if domain == "index.docker.io" {
        DEFAULT_DOMAIN
    } else {
        domain
    };
    if domain == DEFAULT_DOMAIN && !path.contains('/') {
        return (domain.to_owned(), format!("library/{path}"));
    }
    (domain.to_owned(), path.to_owned())
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let mut bytes = tag.bytes();
    let first = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if first && rest && tag.len() <= TAG_MAX_BYTES {
        return Ok(());
    }
    Err("a tag is up to 128 letters, digits, '_', '.' and '-', not starting with '.' or '-'")
}

fn check_domain(domain: &str) -> Result<(), &'static str> {
    const REASON: &str = "the registry before the first '/' is not a host name with optional port";
    let (host, port) = match domain
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, port)) => {
            let legal = address
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b':');
            if address.is_empty() || !legal {
                return Err(REASON);
            }
            match port.strip_prefix(':') {
                Some(port) => ("localhost", Some(port)),
                None if port.is_empty() => ("localhost", None),
                None => return Err(REASON),
            }
        }
        None => match domain.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (domain, None),
        },
    };
    let label = |label: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(legal)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let port_is_legal =
        port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    if host.split('.').all(label) && port_is_legal {
        Ok(())
    } else {
        Err(REASON)
    }
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if path.len() > PATH_MAX_BYTES {
        return Err("the repository is longer than 255 bytes");
    }
    if path.chars().any(|c| c.is_ascii_uppercase()) {
        return Err("the repository must be lower case");
    }
    if path.split('/').all(is_path_component) {
        return Ok(());
    }
    Err(
        "each part of the repository is lower-case letters and digits, separated by '.', '_', '__' or dashes",
    )
}

/// `[a-z0-9]+(separator [a-z0-9]+)*`, where a separator is `.`, `_`, `__` or dashes.
fn is_path_component(component: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    is_word(first)
        && is_word(last)
        && bytes.split(is_word).all(|separator| {
            matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|&b| b == b'-')
        })
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.repository();
        self.push_suffix(&mut text);
        out.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn reads_names_as_docker_does() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (given, full) in [
            ("debian", "docker.io/library/debian:latest".to_owned()),
            (
                "debian:bookworm",
                "docker.io/library/debian:bookworm".to_owned(),
            ),
            ("a/b", "docker.io/a/b:latest".to_owned()),
            (
                "docker.io/debian",
                "docker.io/library/debian:latest".to_owned(),
            ),
            ("index.docker.io/a/b:1", "docker.io/a/b:1".to_owned()),
            ("localhost/x", "localhost/x:latest".to_owned()),
            ("localhost:5000/x/y:z", "localhost:5000/x/y:z".to_owned()),
            ("[::1]:5000/x", "[::1]:5000/x:latest".to_owned()),
            ("Foo/bar", "Foo/bar:latest".to_owned()),
            (
                "quay.io/a/b-c__d.e:V1_x",
                "quay.io/a/b-c__d.e:V1_x".to_owned(),
            ),
            (
                &format!("debian@{digest}"),
                format!("docker.io/library/debian@{digest}"),
            ),
            (
                &format!("debian:1@{digest}"),
                format!("docker.io/library/debian:1@{digest}"),
            ),
        ] {
            let reference: Reference = given.parse().unwrap();
            assert_eq!(reference.to_string(), full, "{given}");
            assert_eq!(full.parse::<Reference>().unwrap(), reference, "{given}");
        }
    }

    #[test]
    fn refuses_what_docker_refuses() {
        let long = "a".repeat(300);
        let id = "a".repeat(64);
        for text in [
            "",
            "A",
            "a//b",
            "a/",
            "/a",
            "a:",
            "a:.x",
            "a b",
            "a@sha256:12",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "host:port/x",
            "[::1/x",
            &long,
            &id,
            "a:b:c",
            "a@b@c",
            "-.com/x",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn prints_the_familiar_form() {
        for text in ["debian:bookworm", "a/b:latest", "localhost:5000/x:1"] {
            assert_eq!(text.parse::<Reference>().unwrap().familiar(), text);
        }
    }
}
