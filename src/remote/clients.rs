//! HTTP clients: one for all that is reached in the same way.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::remote::Error;
use crate::remote::registries;
use crate::remote::registries::KeyPair;
use crate::remote::registries::Registry;

const CONNECT_LIMIT: Duration = Duration::from_secs(30);
const USER_AGENT: &str = concat!("rbuild/", env!("CARGO_PKG_VERSION"));

/// What makes one HTTP client unlike another. Making one costs a millisecond, for it loads the
/// certificates of the system; so those for equal registries are one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Trust {
    /// No proxy is asked for what is on this machine, whatever the environment says (Go's rule).
    is_local: bool,
    is_insecure: bool,
    ca: Vec<PathBuf>,
    keypair: Option<KeyPair>,
}

/// HTTP clients, each made when it is first needed.
#[derive(Debug, Default)]
pub(super) struct Clients(Mutex<HashMap<Trust, reqwest::Client>>);

impl Clients {
    /// Gives the client for web servers in general.
    pub(super) fn web(&self, host: &str) -> Result<reqwest::Client, Error> {
        self.get(Trust {
            is_local: registries::is_loopback(host),
            ..Trust::default()
        })
    }

    pub(super) fn registry(
        &self,
        host: &str,
        settings: &Registry,
    ) -> Result<reqwest::Client, Error> {
        self.get(Trust {
            is_local: registries::is_loopback(host),
            is_insecure: settings.insecure,
            ca: settings.ca.clone(),
            keypair: settings.keypair.clone(),
        })
    }

    fn get(&self, trust: Trust) -> Result<reqwest::Client, Error> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&trust) {
            return Ok(client.clone());
        }
        let client = trust.client()?;
        clients.insert(trust, client.clone());
        Ok(client)
    }
}

impl Trust {
    /// Makes a client. One for which no certificate is found trusts nobody, which only who speaks
    /// HTTPS is told.
    fn client(&self) -> Result<reqwest::Client, Error> {
        let usual = self
            .builder()?
            .tls_certs_merge(self.certificates()?)
            .build();
        usual.or_else(|_| {
            let bare = self.builder()?.tls_certs_only(self.certificates()?).build();
            bare.map_err(|source| Error::Setup { source })
        })
    }

    fn builder(&self) -> Result<reqwest::ClientBuilder, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_LIMIT)
            .referer(false)
            .tls_danger_accept_invalid_certs(self.is_insecure);
        if self.is_local {
            builder = builder.no_proxy();
        }
        if let Some(KeyPair { cert, key }) = &self.keypair {
            let mut pem = read(cert)?;
            pem.extend(read(key)?);
            let identity = reqwest::Identity::from_pem(&pem);
            builder = builder.identity(identity.map_err(|source| Error::Certificate {
                path: cert.clone(),
                source: source.into(),
            })?);
        }
        Ok(builder)
    }

    /// Reads the certificates that are trusted besides those of the system.
    fn certificates(&self) -> Result<Vec<reqwest::Certificate>, Error> {
        let mut certificates = Vec::new();
        for path in &self.ca {
            let parsed = reqwest::Certificate::from_pem_bundle(&read(path)?);
            certificates.extend(parsed.map_err(|source| Error::Certificate {
                path: path.clone(),
                source: source.into(),
            })?);
        }
        Ok(certificates)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Certificate {
        path: path.to_owned(),
        source: source.into(),
    })
}
