//! The registry table: where a registry really is, and how to speak to it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::oci::Reference;

/// How to speak to one registry; a `[registry."<host>"]` table of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registry {
    /// Where to look first when pulling, in this order: `host[:port][/prefix]`.
    pub mirrors: Vec<String>,
    /// Whether it speaks plain HTTP. Unset, only registries on a loopback address do.
    pub http: Option<bool>,
    /// Whether its certificate may be anything, and plain HTTP will do where it has none.
    pub insecure: bool,
    /// Files of certificates (PEM) to trust besides those of the system.
    #[serde(deserialize_with = "one_or_many")]
    pub ca: Vec<PathBuf>,
    /// The client certificate and key (PEM) to present.
    pub keypair: Option<KeyPair>,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPair {
    /// The file of the certificate.
    pub cert: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
}

/// The registries that are not spoken to in the usual way, by host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Registries(pub BTreeMap<String, Registry>);

/// A repository at one of the places that serve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// What credentials and settings are looked up by: `docker.io`, `127.0.0.1:5000`.
    pub(super) host: String,
    /// The repository there, with the mirror's prefix.
    pub(super) path: String,
    /// For a mirror: the registry it stands for.
    pub(super) mirror_of: Option<String>,
}

impl Registries {
    /// Gives the settings of `host`.
    pub(super) fn get(&self, host: &str) -> Registry {
        self.0.get(host).cloned().unwrap_or_default()
    }

    /// Gives where `name` is pulled from: the mirrors, then the registry itself.
    pub(super) fn pull_endpoints(&self, name: &Reference) -> Vec<Endpoint> {
        let settings = self.get(name.domain());
        let mirrors = settings.mirrors.iter().map(|mirror| {
            let (_, place) = split_scheme(mirror);
            let (host, prefix) = place.split_once('/').unwrap_or((place, ""));
            let prefix = prefix.trim_matches('/');
            let path = match prefix {
                "" => name.path().to_owned(),
                prefix => format!("{prefix}/{}", name.path()),
            };
            Endpoint {
                host: host.to_owned(),
                path,
                mirror_of: Some(name.domain().to_owned()),
            }
        });
        let mut endpoints: Vec<Endpoint> = mirrors.collect();
        endpoints.push(origin(name));
        endpoints
    }

    /// Says whether `host` speaks plain HTTP: because its settings say so, because it is only
    /// known as a mirror `http://…`, or because it is this machine.
    pub(super) fn is_plain(&self, host: &str) -> bool {
        if let Some(http) = self.get(host).http {
            return http;
        }
        let mirrors = self.0.values().flat_map(|registry| &registry.mirrors);
        let mut schemes = mirrors.filter_map(|mirror| {
            let (scheme, place) = split_scheme(mirror);
            let is_same = place.split('/').next() == Some(host);
            scheme.filter(|_| is_same)
        });
        schemes
            .next()
            .map_or_else(|| is_loopback(host), |scheme| scheme == "http")
    }
}

impl Registry {
    /// Adds what docker's folders of certificates have for `host`. What is not readable there is
    /// noticed when it is used.
    pub(super) fn add_folders(&mut self, folders: &[PathBuf], host: &str) {
        let folders = folders.iter().map(|folder| folder.join(host));
        let entries = folders
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten();
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            match file.extension().and_then(OsStr::to_str) {
                Some("crt") => self.ca.push(file),
                Some("cert") if self.keypair.is_none() => {
                    let key = file.with_extension("key");
                    self.keypair = Some(KeyPair { cert: file, key });
                }
                _ => {}
            }
        }
    }
}

/// Gives the registry itself, where images are pushed.
pub(super) fn origin(name: &Reference) -> Endpoint {
    Endpoint {
        host: name.domain().to_owned(),
        path: name.path().to_owned(),
        mirror_of: None,
    }
}

/// Gives where a registry's API is. Docker Hub's is not where its name says.
pub(super) fn api_host(host: &str) -> &str {
    match host {
        "docker.io" | "index.docker.io" => "registry-1.docker.io",
        host => host,
    }
}

/// Says whether `host[:port]` is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    match name.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

fn split_scheme(mirror: &str) -> (Option<&str>, &str) {
    match mirror.split_once("://") {
        Some((scheme, place)) => (Some(scheme), place),
        None => (None, mirror),
    }
}

fn one_or_many<'a, D: serde::Deserializer<'a>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a path or a list of paths")]
    enum OneOrMany {
        One(PathBuf),
        Many(Vec<PathBuf>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(path) => vec![path],
        OneOrMany::Many(paths) => paths,
    })
}

#[cfg(test)]
mod tests {
    use super::Registries;
    use super::is_loopback;

    fn table(text: &str) -> Registries {
        #[derive(serde::Deserialize)]
        struct File {
            registry: Registries,
        }
        toml::from_str::<File>(text).unwrap().registry
    }

    #[test]
    fn mirrors_come_before_the_registry() {
        let table = table(
            r#"
            [registry."docker.io"]
            mirrors = ["127.0.0.1:5000", "http://cache.lan/hub/"]
            [registry."ghcr.io"]
            ca = "/etc/ca.pem"
            "#,
        );
        let places = |name: &str| -> Vec<String> {
            let endpoints = table.pull_endpoints(&name.parse().unwrap());
            let place = endpoints.iter();
            place
                .map(|place| format!("{} {}", place.host, place.path))
                .collect()
        };
        assert_eq!(
            places("debian"),
            [
                "127.0.0.1:5000 library/debian",
                "cache.lan hub/library/debian",
                "docker.io library/debian"
            ]
        );
        assert_eq!(places("ghcr.io/a/b"), ["ghcr.io a/b"]);
        assert!(table.is_plain("127.0.0.1:5000"));
        assert!(table.is_plain("cache.lan"));
        assert!(!table.is_plain("docker.io"));
        assert_eq!(table.get("ghcr.io").ca.len(), 1);
    }

    #[test]
    fn what_is_said_wins_over_what_is_usual() {
        let table = table("[registry.\"localhost:1\"]\nhttp = false\n[registry.x]\nhttp = true");
        assert!(!table.is_plain("localhost:1"));
        assert!(table.is_plain("localhost:2"));
        assert!(table.is_plain("x"));
    }

    #[test]
    fn unknown_settings_are_refused() {
        let error = toml::from_str::<Registries>("[\"a\"]\nmirror = []").unwrap_err();
        assert!(error.to_string().contains("mirrors"), "{error}");
    }

    #[test]
    fn knows_this_machine() {
        for host in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5",
            "127.9.9.9",
            "[::1]:5000",
            "a.localhost",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "docker.io",
            "10.0.0.1:5000",
            "[2001:db8::1]:5000",
            "localhost.example",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
