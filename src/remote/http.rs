//! Files from web servers, for `ADD`.

use std::sync::Arc;

use reqwest::Method;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use reqwest::header::ETAG;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;
use reqwest::header::IF_MODIFIED_SINCE;
use reqwest::header::IF_NONE_MATCH;
use reqwest::header::LAST_MODIFIED;
use tokio::time;

use crate::oci::Descriptor;
use crate::oci::Digest;
use crate::progress::Step;
use crate::progress::Transfer;
use crate::remote::Client;
use crate::remote::Error;
use crate::remote::about;
use crate::remote::about::About;
use crate::remote::receive::Meter;
use crate::remote::receive::Receiver;
use crate::remote::retry;
use crate::remote::transmit;
use crate::remote::transmit::Lost;
use crate::remote::transmit::Pieces;

/// What a stored download is called in the store.
const MEDIA_TYPE: &str = "application/octet-stream";

/// A file to fetch.
#[derive(Clone, Debug)]
pub struct Download {
    /// Where it is: an URL of http or https.
    pub url: String,
    /// The value of the `Authorization` header, which goes to no other host.
    pub authorization: Option<String>,
    /// What is known of a file fetched before, which need not come again if it is the same.
    pub known: Option<Validators>,
    /// The digest it must have.
    pub checksum: Option<Digest>,
    /// How many bytes it may have.
    pub limit_bytes: Option<u64>,
}

/// What tells one state of a file from another (RFC 9110, section 8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// The server's name for the state.
    pub etag: Option<String>,
    /// When it was changed, as the server says it.
    pub last_modified: Option<String>,
}

impl Validators {
    /// Gives when the file was changed, in seconds since 1970.
    #[must_use]
    pub fn modified_seconds(&self) -> Option<i64> {
        retry::date(self.last_modified.as_deref()?)
    }
}

/// A file that was fetched into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// Its bytes.
    pub blob: Descriptor,
    /// What to know it by the next time.
    pub validators: Validators,
}

/// Fetches a file into the store; none if it is the one known already.
///
/// # Errors
/// [`Error::Url`], or [`Error::Download`] with what went wrong.
pub async fn download(
    client: &Client,
    wanted: &Download,
    step: &Step,
) -> Result<Option<Downloaded>, Error> {
    let parsed = Url::parse(&wanted.url).ok();
    let url = parsed.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| Error::Url {
        url: wanted.url.clone(),
    })?;
    let http = client.clients().web(url.host_str().unwrap_or_default())?;
    let attempt = Attempt {
        client,
        http,
        wanted,
        step,
        url: &url,
    };
    attempt.persist().await.map_err(|error| Error::Download {
        url: about::printable(&url),
        source: Box::new(error),
    })
}

/// What all tries to fetch one file have in common.
struct Attempt<'a> {
    client: &'a Client,
    http: reqwest::Client,
    wanted: &'a Download,
    step: &'a Step,
    url: &'a Url,
}

impl Attempt<'_> {
    /// Fetches from the beginning until it comes to the end: without knowing whether the file
    /// changed meanwhile, half of it is worth nothing.
    async fn persist(&self) -> Result<Option<Downloaded>, Error> {
        let retry = self.client.options().retry;
        let mut failed = 0;
        loop {
            let sent = transmit::persist(&self.http, retry, |http| self.request(http));
            let response = sent.await?;
            if response.status() == StatusCode::NOT_MODIFIED {
                return Ok(None);
            }
            let validators = Validators {
                etag: text(&response, ETAG),
                last_modified: text(&response, LAST_MODIFIED),
            };
            let (error, is_transient) = match self.receive(response).await? {
                Ok(blob) => return Ok(Some(Downloaded { blob, validators })),
                Err(lost) => {
                    let is_transient = lost.is_transient();
                    (About::new(&Method::GET, self.url).lost(lost), is_transient)
                }
            };
            failed += 1;
            match retry.delay(failed).filter(|_| is_transient) {
                Some(delay) => time::sleep(delay).await,
                None => return Err(error),
            }
        }
    }

    fn request(&self, http: &reqwest::Client) -> reqwest::RequestBuilder {
        let mut request = http.get(self.url.clone());
        if let Some(value) = &self.wanted.authorization
            && let Ok(mut value) = HeaderValue::from_str(value)
        {
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let known = self.wanted.known.as_ref();
        match known.and_then(|known| known.etag.as_deref()) {
            Some(etag) => request = request.header(IF_NONE_MATCH, etag),
            None => {
                if let Some(date) = known.and_then(|known| known.last_modified.as_deref()) {
                    request = request.header(IF_MODIFIED_SINCE, date);
                }
            }
        }
        request
    }

    /// Takes one answer to its end; the inner error says that it broke off.
    async fn receive(&self, response: Response) -> Result<Result<Descriptor, Lost>, Error> {
        let mut receiver = Receiver::begin(self.client.store(), None);
        let total_bytes = response.content_length();
        let name = self
            .url
            .path_segments()
            .and_then(|mut parts| parts.next_back());
        let mut meter = Meter {
            step: self.step,
            item: Arc::from(name.filter(|name| !name.is_empty()).unwrap_or("download")),
            transfer: Transfer::Download,
            total_bytes,
            reported_bytes: 0,
        };
        let silence = self.client.options().retry.silence;
        let mut pieces = Pieces::new(response, silence);
        let limit_bytes = self.wanted.limit_bytes.unwrap_or(u64::MAX);
        loop {
            if receiver.received_bytes() > limit_bytes || total_bytes > Some(limit_bytes) {
                return Err(Error::Limit {
                    url: about::printable(self.url),
                    limit_bytes,
                });
            }
            match pieces.next().await {
                Ok(Some(bytes)) => {
                    if !receiver.take(bytes).await {
                        break;
                    }
                    meter.moved(receiver.received_bytes());
                }
                Ok(None) => break,
                Err(lost) => return Ok(Err(lost)),
            }
        }
        let blob = receiver.finish(MEDIA_TYPE, None).await?;
        match self.wanted.checksum {
            Some(expected) if expected != blob.digest => Err(Error::Digest {
                url: about::printable(self.url),
                expected,
                actual: blob.digest,
            }),
            _ => Ok(Ok(blob)),
        }
    }
}

fn text(response: &Response, name: HeaderName) -> Option<String> {
    let value = response.headers().get(name)?;
    value.to_str().ok().map(str::to_owned)
}
