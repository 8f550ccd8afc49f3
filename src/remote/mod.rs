//! Everything over the network: images from and to registries, files from web servers.
//!
//! [`resolve`] turns a name into a manifest digest and an image config, [`fetch_blob`] and [`pull`]
//! bring layers into the store, [`push`] sends an image, [`download`] gets a file. They share one
//! [`Client`], which knows the registry table, the user's credentials and how patient to be. All
//! that arrives is verified against its digest and size, and is stored before it is used.
//!
//! The room does not unpack layers and does not know what an image is fetched for. Proxies and
//! certificates come from the environment as the system's HTTP stack reads it (`HTTPS_PROXY`,
//! `NO_PROXY`, `SSL_CERT_FILE`); credential helpers are started as programs. Start reading at
//! [`resolve`]; `session.rs` sends one request, `auth.rs` obtains the right to.

mod about;
mod auth;
mod challenge;
mod clients;
mod credentials;
mod document;
mod error;
mod hint;
mod host;
mod http;
mod pull;
mod push;
mod receive;
mod registries;
mod resolve;
mod retry;
mod session;
mod tap;
mod transmit;
mod upload;

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::Mutex as AsyncMutex;
use tokio::sync::Semaphore;

use crate::oci::Digest;
use crate::oci::Reference;
use crate::progress::Sink;
use crate::remote::registries::Endpoint;
use crate::store::Store;

pub use error::Error;
pub use http::Download;
pub use http::Downloaded;
pub use http::Validators;
pub use http::download;
pub use pull::Wanted;
pub use pull::fetch_blob;
pub use pull::fetch_blob_tapped;
pub use pull::pull;
pub use push::Destination;
pub use push::push;
pub use push::push_blob;
pub use registries::KeyPair;
pub use registries::Registries;
pub use registries::Registry;
pub use resolve::Pull;
pub use resolve::Query;
pub use resolve::Resolved;
pub use resolve::resolve;
pub use retry::Patience;
pub use retry::Retry;
pub use tap::Tap;
pub use tap::Tapped;

/// How many blobs are moved at the same time, in each direction.
const TRANSFERS: usize = 6;

/// What the room must be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where what is fetched goes, and what is pushed comes from.
    pub store: Store,
    /// How to reach registries that are not reached in the usual way.
    pub registries: Registries,
    /// Docker's `config.json` and podman's `auth.json`, in the order to look; they need not exist.
    pub credential_files: Vec<PathBuf>,
    /// Folders like docker's `/etc/docker/certs.d`: in `<host>/`, each `*.crt` is trusted, and a
    /// `*.cert` with the `*.key` of the same name is presented.
    pub certificate_folders: Vec<PathBuf>,
    /// How patient to be.
    pub retry: Retry,
    /// How large a manifest, an index or a config may be.
    pub manifest_bytes: u64,
    /// Where warnings go.
    pub sink: Sink,
}

/// Gives docker's and podman's folders of certificates.
#[must_use]
pub fn usual_certificate_folders() -> Vec<PathBuf> {
    vec![
        "/etc/docker/certs.d".into(),
        "/etc/containers/certs.d".into(),
    ]
}

/// What only one at a time may do, and what is known of it.
type Turns<K, V> = Mutex<HashMap<K, Arc<AsyncMutex<V>>>>;

/// The network as one build sees it. Cheap to clone; nothing is set up before it is needed.
#[derive(Clone, Debug)]
pub struct Client(Arc<State>);

#[derive(Debug)]
struct State {
    options: Options,
    clients: clients::Clients,
    hosts: host::Hosts,
    /// Mirrors that cannot be reached.
    gone: Mutex<BTreeSet<String>>,
    /// Warnings that were given.
    said: Mutex<BTreeSet<String>>,
    downloads: Semaphore,
    uploads: Semaphore,
    /// Two that want the same blob at the same time fetch it once.
    blobs: Turns<Digest, ()>,
    /// As for fetching, by repository; and whether it has the blob.
    sent: Turns<(String, Digest), bool>,
}

impl Client {
    /// Makes a client; this costs nothing.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self(Arc::new(State {
            options,
            clients: clients::Clients::default(),
            hosts: host::Hosts::default(),
            gone: Mutex::default(),
            said: Mutex::default(),
            downloads: Semaphore::new(TRANSFERS),
            uploads: Semaphore::new(TRANSFERS),
            blobs: Mutex::default(),
            sent: Mutex::default(),
        }))
    }

    fn options(&self) -> &Options {
        &self.0.options
    }

    fn store(&self) -> &Store {
        &self.0.options.store
    }

    /// From now on, nothing that is fetched or sent is pruned until the client is gone: what is
    /// fetched has no name at first.
    fn hold_store(&self) -> Result<(), Error> {
        self.store().share().map_err(Error::Store)
    }

    /// Says something the user should know, however often it comes up, once.
    fn warn_once(&self, message: String) {
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.insert(message.clone()) {
            self.options().sink.warn(message);
        }
    }

    /// Gives where `name` is pulled from, without the mirrors that turned out not to be there.
    fn pull_endpoints(&self, name: &Reference) -> Vec<Endpoint> {
        let mut endpoints = self.options().registries.pull_endpoints(name);
        let gone = self.gone();
        endpoints.retain(|place| place.mirror_of.is_none() || !gone.contains(&place.host));
        endpoints
    }

    /// Remembers a mirror that cannot be reached: not every blob shall wait for it again.
    fn note(&self, place: &Endpoint, error: &Error) {
        if place.mirror_of.is_some() && error.is_unreachable() {
            self.gone().insert(place.host.clone());
        }
    }

    fn gone(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clients(&self) -> &clients::Clients {
        &self.0.clients
    }

    fn hosts(&self) -> &host::Hosts {
        &self.0.hosts
    }
}
