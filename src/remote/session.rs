//! Requests to one repository: authorized, and tried again where that may help.

use std::fmt;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

use oci_distribution::secrets::RegistryAuth;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use reqwest::header::HeaderValue;
use reqwest::header::WWW_AUTHENTICATE;

use crate::oci::Digest;
use crate::remote::Client;
use crate::remote::Error;
use crate::remote::Retry;
use crate::remote::about::About;
use crate::remote::auth;
use crate::remote::challenge;
use crate::remote::document::blocking;
use crate::remote::host::Host;
use crate::remote::registries::Endpoint;
use crate::remote::transmit;
use crate::remote::transmit::Outcome;
use crate::remote::transmit::Tries;

/// How often a mirror is tried.
const MIRROR_ATTEMPTS: u32 = 2;

/// Requests to one repository, under one set of rights.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) host: Arc<Host>,
    pub(super) path: String,
    /// What a token must allow: `repository:library/debian:pull`.
    pub(super) scopes: Vec<String>,
    mirror_of: Option<String>,
}

impl fmt::Debug for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Session({}/{})", self.host.name, self.path)
    }
}

impl Session {
    /// Prepares requests to `endpoint` that may do `actions`: `pull`, or `pull,push`.
    pub(super) async fn open(
        client: &Client,
        endpoint: &Endpoint,
        actions: &str,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: client.clone(),
            host: client.hosts().get(client, &endpoint.host).await?,
            path: endpoint.path.clone(),
            scopes: vec![format!("repository:{}:{actions}", endpoint.path)],
            mirror_of: endpoint.mirror_of.clone(),
        })
    }

    /// Asks for the right to pull from a second repository as well, to mount its blobs.
    pub(super) fn also_pull(&self, path: &str) -> Self {
        let mut session = self.clone();
        session.scopes.push(format!("repository:{path}:pull"));
        session
    }

    /// Gives `registry/path`.
    pub(super) fn repository(&self) -> String {
        format!("{}/{}", self.host.name, self.path)
    }

    /// Remembers that the repository has these blobs.
    pub(super) async fn remember(&self, blobs: Vec<Digest>) -> Result<(), Error> {
        let (store, repository) = (self.client.store().clone(), self.repository());
        let remember = move || {
            for blob in blobs {
                store.add_location(&blob, &repository);
            }
            Ok(())
        };
        blocking(remember).await.map_err(Error::Store)
    }

    /// Says how patient to be: less with a mirror, for there is another place to ask.
    pub(super) fn retry(&self) -> Retry {
        let retry = self.client.options().retry;
        match self.mirror_of {
            Some(_) => Retry {
                attempts: retry.attempts.min(MIRROR_ATTEMPTS),
                ..retry
            },
            None => retry,
        }
    }

    /// Says whether nothing but pulling is asked for.
    pub(super) fn only_pulls(&self) -> bool {
        self.scopes.iter().all(|scope| scope.ends_with(":pull"))
    }

    /// Gives the URL of `rest` within the repository. A mirror is told which registry is meant
    /// (containerd's `ns`), in case it stands for several.
    pub(super) fn url(&self, rest: &str) -> Url {
        let path = format!("/v2/{}/{rest}", self.path);
        let mut url = self
            .host
            .base
            .join(&path)
            .expect("repository names are legal in URLs");
        if let Some(origin) = &self.mirror_of {
            url.query_pairs_mut().append_pair("ns", origin);
        }
        url
    }

    /// Sends what `build` makes, again where that may help, and gives the answer if it is a good
    /// one.
    pub(super) async fn send(
        &self,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let retry = self.retry();
        let mut tries = Tries::new(retry);
        loop {
            let outcome = self.send_authorized(&build, retry.silence).await?;
            if let Some(response) = tries.settle(outcome).await? {
                return Ok(response);
            }
        }
    }

    /// As [`Session::send`], but not again if it fails in passing, and without an end to the
    /// waiting: for a request whose body is long, and which begins with another.
    pub(super) async fn send_once(
        &self,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Error> {
        match self.send_authorized(&build, Duration::MAX).await? {
            Outcome::Good(response) => Ok(response),
            Outcome::Refused(about, response) => Err(about.refused(response).await),
            Outcome::Lost(error, _) => Err(error),
        }
    }

    /// Sends once, or twice if the registry first has to say what it demands or no longer takes
    /// the token it gave.
    async fn send_authorized(
        &self,
        build: &impl Fn(&reqwest::Client) -> RequestBuilder,
        silence: Duration,
    ) -> Result<Outcome, Error> {
        let mut refused = None;
        loop {
            let authorization = auth::authorize(self, refused.as_ref()).await?;
            let built = build(&self.host.http).build();
            let mut request = built.map_err(|source| Error::Setup { source })?;
            let about = About::new(request.method(), request.url());
            // A location may lead to another host, which has no business with the secret.
            if request.url().origin() == self.host.base.origin()
                && let Some(value) = header(&authorization)
            {
                request.headers_mut().insert(AUTHORIZATION, value);
            }
            let response = match transmit::execute(&self.host.http, request, silence).await {
                Ok(response) => response,
                Err(lost) => return Ok(lost.outcome(about)),
            };
            let status = response.status();
            if status.is_success() {
                return Ok(Outcome::Good(response));
            }
            if status != StatusCode::UNAUTHORIZED {
                return Ok(Outcome::Refused(about, response));
            }
            let is_new = self.learn(&response);
            if refused.is_some() || !is_new && authorization == RegistryAuth::Anonymous {
                let credentials = auth::describe(self).await;
                return Err(about.unauthorized(response, credentials).await);
            }
            refused = Some(authorization);
        }
    }

    /// Remembers what the registry demands; says whether it is anything rbuild can meet.
    fn learn(&self, response: &Response) -> bool {
        let headers = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let demand = challenge::parse(headers.filter_map(|header| header.to_str().ok()));
        let mut known = self
            .host
            .challenge
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_some = demand.is_some();
        *known = demand.or(known.take());
        is_some
    }
}

fn header(authorization: &RegistryAuth) -> Option<HeaderValue> {
    let text = match authorization {
        RegistryAuth::Anonymous => return None,
        RegistryAuth::Bearer(token) => format!("Bearer {token}"),
        RegistryAuth::Basic(user, password) => auth::basic(user, password),
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
