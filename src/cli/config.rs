//! The configuration file: TOML, all of it optional.
//!
//! ```toml
//! [registry."docker.io"]
//! mirrors = ["127.0.0.1:5000"]   # asked first when pulling, in this order
//!
//! [registry."registry.example.com"]
//! http = true                    # speaks plain HTTP
//! insecure = true                # any certificate will do
//! ca = "corporate.pem"           # trusted besides those of the system
//! keypair = { cert = "client.pem", key = "client.key" }
//!
//! [limits]                       # more is taken for a bomb
//! layer_bytes = 274877906944     # of a layer or archive, unpacked: 256 GiB
//! layer_entries = 10000000
//! manifest_bytes = 4194304       # of a manifest, an index or a config
//! stall_seconds = 120            # a server that is silent so long is given up
//! ```
//!
//! Paths are relative to the folder of the file.

use std::io;
use std::num::NonZeroU64;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;

use super::arguments::Home;
use super::environment::Environment;
use super::error::Error;
use crate::build::Bounds;
use crate::build::Place;
use crate::dockerfile::nearest;
use crate::remote::KeyPair;
use crate::remote::Patience;
use crate::remote::Registries;
use crate::store::DOCUMENT_LIMIT_BYTES;

const SYSTEM: &str = "/etc/rbuild/config.toml";

/// What the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    /// The registry table.
    #[serde(rename = "registry")]
    pub registries: Registries,
    /// What is taken for a bomb.
    pub limits: Limits,
}

/// What is taken for a bomb.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    layer_bytes: u64,
    layer_entries: u64,
    #[serde(deserialize_with = "document_bytes")]
    manifest_bytes: u64,
    stall_seconds: NonZeroU64,
}

/// Reads the size of a document, of which the store gives none back that is larger.
fn document_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        size_bytes @ 1..=DOCUMENT_LIMIT_BYTES => Ok(size_bytes),
        other => Err(D::Error::custom(format!(
            "{other} bytes; expected 1 to {DOCUMENT_LIMIT_BYTES}"
        ))),
    }
}

impl Default for Limits {
    fn default() -> Self {
        let (bounds, patience) = (Bounds::default(), Patience::default());
        Self {
            layer_bytes: bounds.layer_bytes,
            layer_entries: bounds.layer_entries,
            manifest_bytes: patience.manifest_bytes,
            stall_seconds: NonZeroU64::new(patience.silence.as_secs()).unwrap_or(NonZeroU64::MIN),
        }
    }
}

impl Limits {
    /// What a layer or archive may come to.
    pub(super) fn bounds(self) -> Bounds {
        Bounds {
            layer_bytes: self.layer_bytes,
            layer_entries: self.layer_entries,
        }
    }

    /// How much of a registry or web server is borne.
    pub(super) fn patience(self) -> Patience {
        Patience {
            manifest_bytes: self.manifest_bytes,
            silence: Duration::from_secs(self.stall_seconds.get()),
        }
    }
}

/// Reads the first file there is: `--config`, `RBUILD_CONFIG`, the user's, the system's. One that
/// was named must be there.
pub(super) fn read(home: &Home, environment: &Environment) -> Result<Config, Error> {
    let named = home
        .config
        .clone()
        .or_else(|| environment.path("RBUILD_CONFIG"));
    if let Some(path) = named {
        let text = std::fs::read_to_string(&path).map_err(|source| Error::ReadConfig {
            path: path.clone(),
            source,
        })?;
        return parse(&path, &text);
    }
    let user = environment
        .xdg("XDG_CONFIG_HOME", ".config")
        .map(|folder| folder.join("rbuild/config.toml"));
    for path in user.into_iter().chain([PathBuf::from(SYSTEM)]) {
        match std::fs::read_to_string(&path) {
            Ok(text) => return parse(&path, &text),
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::ReadConfig { path, source }),
        }
    }
    Ok(Config::default())
}

fn parse(path: &Path, text: &str) -> Result<Config, Error> {
    let mut config: Config = toml::from_str(text).map_err(|error| Error::Config {
        message: message(error.message()),
        place: Box::new(Place {
            file: path.display().to_string(),
            text: text.to_owned(),
            bytes: error.span().unwrap_or(0..0),
        }),
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for registry in config.registries.0.values_mut() {
        for path in &mut registry.ca {
            *path = folder.join(&*path);
        }
        if let Some(KeyPair { cert, key }) = &mut registry.keypair {
            *cert = folder.join(&*cert);
            *key = folder.join(&*key);
        }
    }
    Ok(config)
}

/// Adds to serde's "unknown field `x`, expected one of `a`, `b`" which one was perhaps meant.
fn message(original: &str) -> String {
    let Some(rest) = original.strip_prefix("unknown field ") else {
        return original.replace('\n', " ");
    };
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let unknown = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    match nearest(unknown, &known) {
        Some(meant) => format!("unknown key {unknown:?}, did you mean {meant:?}?"),
        None => format!("unknown key {unknown:?}, known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::path::PathBuf;

    use super::parse;
    use crate::cli::error::Error;

    #[test]
    fn a_registry_table_is_read() {
        let text = r#"
            [registry."docker.io"]
            mirrors = ["127.0.0.1:5000", "mirror.example.com/hub"]
            [registry."r.example.com"]
            http = true
            ca = "corporate.pem"
            keypair = { cert = "/abs/client.pem", key = "client.key" }
        "#;
        let config = parse(Path::new("/etc/rbuild/config.toml"), text).unwrap();
        let table = config.registries.0;
        assert_eq!(table["docker.io"].mirrors.len(), 2);
        let other = &table["r.example.com"];
        assert_eq!(other.http, Some(true));
        assert_eq!(other.ca, [PathBuf::from("/etc/rbuild/corporate.pem")]);
        let keypair = other.keypair.as_ref().unwrap();
        assert_eq!(keypair.cert, Path::new("/abs/client.pem"));
        assert_eq!(keypair.key, Path::new("/etc/rbuild/client.key"));
    }

    #[test]
    fn limits_that_are_not_named_are_the_usual_ones() {
        let read = |text| parse(Path::new("c.toml"), text).unwrap().limits;
        let limits = read("[limits]\nmanifest_bytes = 1000\nstall_seconds = 5\n");
        assert_eq!(limits.patience().manifest_bytes, 1000);
        assert_eq!(limits.patience().silence.as_secs(), 5);
        assert_eq!(limits.bounds(), read("").bounds());
    }

    #[test]
    fn limits_that_could_not_be_kept_are_refused() {
        for limit in [
            "manifest_bytes = 67108865",
            "manifest_bytes = 0",
            "stall_seconds = 0",
        ] {
            let (message, _) = failure(&format!("[limits]\n{limit}\n"));
            assert!(message.contains("expected"), "{message}");
        }
    }

    fn failure(text: &str) -> (String, usize) {
        match parse(Path::new("c.toml"), text).unwrap_err() {
            Error::Config { place, message } => {
                let line = text[..place.bytes.start].matches('\n').count() + 1;
                (message, line)
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_mistake_is_found_in_its_line() {
        let (message, line) = failure("\n[registry.\"a\"]\nmirror = []\n");
        assert_eq!(
            (message.contains("\"mirrors\""), line),
            (true, 3),
            "{message}"
        );
        let (message, line) = failure("[registri.\"a\"]\n");
        assert_eq!(
            (message.contains("\"registry\""), line),
            (true, 1),
            "{message}"
        );
        let (message, line) = failure("[registry.a]\n\nhttp = \"yes\"\n");
        assert_eq!((message.contains("boolean"), line), (true, 3), "{message}");
        let (_, line) = failure("a = 1\nb = \n");
        assert_eq!(line, 2);
    }
}
