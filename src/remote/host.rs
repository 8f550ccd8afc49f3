//! Registries, and what was learnt about each.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use reqwest::Url;
use tokio::sync::OnceCell;

use crate::remote::Client;
use crate::remote::Error;
use crate::remote::auth::Tokens;
use crate::remote::challenge::Challenge;
use crate::remote::registries;

/// A registry, and what was learnt about it.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) base: Url,
    pub(super) http: reqwest::Client,
    pub(super) challenge: Mutex<Option<Challenge>>,
    pub(super) tokens: Tokens,
}

/// The registries that were spoken to.
#[derive(Debug, Default)]
pub(super) struct Hosts(Mutex<HashMap<String, Arc<OnceCell<Arc<Host>>>>>);

impl Hosts {
    pub(super) async fn get(&self, client: &Client, name: &str) -> Result<Arc<Host>, Error> {
        let cell = {
            let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(hosts.entry(name.to_owned()).or_default())
        };
        let host = cell.get_or_try_init(|| Host::reach(client, name)).await?;
        Ok(Arc::clone(host))
    }
}

impl Host {
    async fn reach(client: &Client, name: &str) -> Result<Arc<Self>, Error> {
        let mut settings = client.options().registries.get(name);
        settings.add_folders(&client.options().certificate_folders, name);
        let http = client.clients().registry(name, &settings)?;
        let url = |scheme| {
            let text = format!("{scheme}://{}/", registries::api_host(name));
            Url::parse(&text).map_err(|_| Error::Url { url: text })
        };
        let mut base = if client.options().registries.is_plain(name) {
            url("http")?
        } else {
            url("https")?
        };
        if settings.insecure && base.scheme() == "https" {
            // An insecure registry may have no TLS at all (docker's insecure-registries).
            let probe = http
                .get(base.join("/v2/").expect("a constant path joins"))
                .send()
                .await;
            if probe.is_err_and(|error| error.is_connect()) {
                base = url("http")?;
            }
        }
        Ok(Arc::new(Self {
            name: name.to_owned(),
            base,
            http,
            challenge: Mutex::default(),
            tokens: Tokens::default(),
        }))
    }
}
