//! Getting the right to a repository: the token flow of the distribution specification, and OAuth 2
//! for identity tokens.
//!
//! A token is asked for once however many requests wait for it, is kept until shortly before it
//! expires, and is asked for anew when the registry no longer takes it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oci_distribution::secrets::RegistryAuth;
use reqwest::Method;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::remote::Error;
use crate::remote::about;
use crate::remote::about::About;
use crate::remote::challenge::Challenge;
use crate::remote::credentials;
use crate::remote::credentials::Credential;
use crate::remote::credentials::Found;
use crate::remote::registries;
use crate::remote::session::Session;
use crate::remote::transmit;

const CLIENT_ID: &str = "rbuild";
/// How long a token lives that does not say so (distribution-spec, token authentication).
const USUAL_LIFE: Duration = Duration::from_secs(60);

/// The tokens of one registry, by what they allow.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<String, Arc<AsyncMutex<Option<Token>>>>>);

#[derive(Clone)]
struct Token {
    authorization: RegistryAuth,
    fresh_until: Instant,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Token(…)")
    }
}

/// Gives what a request of `session` is sent with; `refused` is what the registry just refused.
pub(super) async fn authorize(
    session: &Session,
    refused: Option<&RegistryAuth>,
) -> Result<RegistryAuth, Error> {
    let challenge = {
        let known = session.host.challenge.lock();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    };
    let Some(challenge) = challenge else {
        return Ok(RegistryAuth::Anonymous);
    };
    let cell = {
        let tokens = session.host.tokens.0.lock();
        let mut tokens = tokens.unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tokens.entry(session.scopes.join(" ")).or_default())
    };
    // Whoever comes while it is held finds the token that was fetched meanwhile.
    let mut cell = cell.lock().await;
    if let Some(token) = cell.as_ref()
        && refused != Some(&token.authorization)
        && Instant::now() < token.fresh_until
    {
        return Ok(token.authorization.clone());
    }
    let token = obtain(session, &challenge).await?;
    *cell = Some(token.clone());
    Ok(token.authorization)
}

async fn obtain(session: &Session, challenge: &Challenge) -> Result<Token, Error> {
    let found = look_up(session).await?;
    let (realm, service) = match challenge {
        Challenge::Basic => return Ok(lasting(basic_authorization(found))),
        Challenge::Bearer { realm, service, .. } => (realm, service.as_deref()),
    };
    let ask = Ask {
        session,
        realm: check_realm(session, realm)?,
        service,
    };
    let Some(Found { credential, place }) = found else {
        return ask.get(None).await;
    };
    let outcome = match &credential {
        Credential::Bearer { token } => {
            return Ok(lasting(RegistryAuth::Bearer(token.clone())));
        }
        Credential::Login { user, password } => ask.get(Some((user, password))).await,
        Credential::Identity { token } => match ask.post(token).await {
            // Not every token server knows OAuth 2; some take the token as a password.
            Err(error) if matches!(error.status(), Some(404 | 405)) => {
                ask.get(Some(("<token>", token))).await
            }
            outcome => outcome,
        },
    };
    let refusal = match outcome {
        Err(error) if matches!(error.status(), Some(401 | 403)) => Error::Login {
            host: session.host.name.clone(),
            place,
            source: Box::new(error),
        },
        outcome => return outcome,
    };
    // What is public is so also for those whose password is out of date.
    if session.only_pulls()
        && let Ok(token) = ask.get(None).await
    {
        session
            .client
            .warn_once(format!("{refusal}; going on without"));
        return Ok(token);
    }
    Err(refusal)
}

async fn look_up(session: &Session) -> Result<Option<Found>, Error> {
    let warn = |program| {
        let client = &session.client;
        client.warn_once(format!("{program} is not installed; going on without it"));
    };
    look_up_with(session, &warn).await
}

async fn look_up_with(
    session: &Session,
    missing: credentials::Warn<'_>,
) -> Result<Option<Found>, Error> {
    let files = &session.client.options().credential_files;
    let repository = (session.host.name.as_str(), session.path.as_str());
    credentials::find(files, repository, missing).await
}

fn basic_authorization(found: Option<Found>) -> RegistryAuth {
    match found.map(|found| found.credential) {
        Some(Credential::Login { user, password }) => RegistryAuth::Basic(user, password),
        Some(Credential::Identity { token }) => RegistryAuth::Basic("<token>".to_owned(), token),
        Some(Credential::Bearer { token }) => RegistryAuth::Bearer(token),
        None => RegistryAuth::Anonymous,
    }
}

fn lasting(authorization: RegistryAuth) -> Token {
    // A helper's secret may live for minutes only; it is asked again before they are over.
    let life = Duration::from_secs(4 * 60);
    Token {
        authorization,
        fresh_until: Instant::now() + life,
    }
}

/// Gives the value of a header with name and password.
pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Says for a message which credentials there were, or where none were found.
pub(super) async fn describe(session: &Session) -> String {
    let files = &session.client.options().credential_files;
    let missing = Mutex::new(Vec::new());
    let note = |program: String| lock(&missing).push(format!("; {program} is not installed"));
    match look_up_with(session, &note).await {
        Ok(Some(found)) => format!("the credentials of {} were refused", found.place),
        Err(error) => format!("no credentials ({error})"),
        Ok(None) if files.is_empty() => "no credentials were sent".to_owned(),
        Ok(None) => {
            let looked: Vec<String> = files
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            let host = &session.host.name;
            let missing = lock(&missing).concat();
            format!(
                "no credentials for {host} in {}{missing}",
                looked.join(", ")
            )
        }
    }
}

fn lock<T>(list: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A realm gets the user's password, so it must be encrypted or as near as the registry.
fn check_realm(session: &Session, realm: &str) -> Result<Url, Error> {
    let refuse = || Error::Realm {
        host: session.host.name.clone(),
        realm: realm.to_owned(),
    };
    let base = &session.host.base;
    let url = base.join(realm).map_err(|_| refuse())?;
    let host = url.host_str().ok_or_else(refuse)?;
    let is_near =
        base.scheme() == "http" && (base.host_str() == Some(host) || registries::is_loopback(host));
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_near => Ok(url),
        _ => Err(refuse()),
    }
}

/// A question to a token server.
struct Ask<'a> {
    session: &'a Session,
    realm: Url,
    service: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Ask<'_> {
    async fn get(&self, login: Option<(&str, &str)>) -> Result<Token, Error> {
        let mut url = self.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(self.service.map(|service| ("service", service)));
            query.extend_pairs(self.session.scopes.iter().map(|scope| ("scope", scope)));
            if let Some((user, _)) = login {
                query.append_pair("account", user);
            }
        }
        self.send(|http| {
            let request = http.get(url.clone());
            match login {
                Some((user, password)) => request.header(AUTHORIZATION, basic(user, password)),
                None => request,
            }
        })
        .await
    }

    async fn post(&self, identity_token: &str) -> Result<Token, Error> {
        let scope = self.session.scopes.join(" ");
        let mut form = Url::parse("form:").expect("a constant URL");
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", identity_token)
            .append_pair("client_id", CLIENT_ID)
            .append_pair("service", self.service.unwrap_or_default())
            .append_pair("scope", &scope);
        let form = form.query().unwrap_or_default().to_owned();
        self.send(|http| {
            http.post(self.realm.clone())
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.clone())
        })
        .await
    }

    async fn send(
        &self,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Token, Error> {
        let client = &self.session.client;
        // A realm on the registry's own host has its certificate; another is any web server.
        let http = if self.realm.origin() == self.session.host.base.origin() {
            self.session.host.http.clone()
        } else {
            client
                .clients()
                .web(self.realm.host_str().unwrap_or_default())?
        };
        let response = transmit::persist(&http, client.options().retry, build).await?;
        let about = About::new(&Method::GET, &self.realm);
        self.read(about, response).await
    }

    async fn read(&self, about: About, response: Response) -> Result<Token, Error> {
        let options = self.session.client.options();
        let (limit_bytes, silence) = (options.manifest_bytes, options.retry.silence);
        let bytes = match transmit::read_document(response, limit_bytes, silence).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(about.violated("the answer is no token but has no end")),
            Err(lost) => return Err(about.lost(lost)),
        };
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|source| Error::Token {
            realm: about::printable(&self.realm),
            source,
        })?;
        let value = [answer.token, answer.access_token]
            .into_iter()
            .find(|value| !value.is_empty())
            .ok_or_else(|| about.violated("the answer has no token"))?;
        let life = answer.expires_in.map_or(USUAL_LIFE, Duration::from_secs);
        let life = life.clamp(USUAL_LIFE, Duration::from_secs(24 * 3600));
        Ok(Token {
            authorization: RegistryAuth::Bearer(value),
            fresh_until: Instant::now() + life * 9 / 10,
        })
    }
}
