//! What messages say about a request and the answer to it.

use std::time::Duration;

use oci_distribution::errors::OciEnvelope;
use reqwest::Method;
use reqwest::Response;
use reqwest::Url;
use tokio::time;

use crate::remote::Error;
use crate::remote::transmit::Lost;

/// How much of a refusal's body is read for its message.
const MESSAGE_LIMIT_BYTES: usize = 16 << 10;
/// How long it is waited for.
const MESSAGE_LIMIT: Duration = Duration::from_secs(5);

/// A request as messages name it.
pub(super) struct About {
    method: String,
    url: String,
}

impl About {
    pub(super) fn new(method: &Method, url: &Url) -> Self {
        Self {
            method: method.to_string(),
            url: printable(url),
        }
    }

    pub(super) fn lost(self, lost: Lost) -> Error {
        match lost {
            Lost::Broken(source) => Error::Request {
                method: self.method,
                url: self.url,
                source: source.without_url(),
            },
            Lost::Silent(silence) => Error::Silence {
                method: self.method,
                url: self.url,
                seconds: silence.as_secs(),
            },
        }
    }

    pub(super) async fn refused(self, response: Response) -> Error {
        Error::Status {
            method: self.method,
            url: self.url,
            status: response.status().as_u16(),
            message: message(response).await,
        }
    }

    pub(super) fn violated(self, violation: &str) -> Error {
        Error::Protocol {
            method: self.method,
            url: self.url,
            violation: violation.to_owned(),
        }
    }

    pub(super) async fn unauthorized(self, response: Response, credentials: String) -> Error {
        Error::Unauthorized {
            method: self.method,
            url: self.url,
            credentials,
            message: message(response).await,
        }
    }
}

/// Gives an URL without what may be secret in it.
pub(super) fn printable(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // An URL that can have no user has none to remove.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.to_string()
}

/// Reads what a registry says about its refusal: the errors of the distribution specification, or
/// the beginning of any text.
async fn message(mut response: Response) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MESSAGE_LIMIT_BYTES {
                break;
            }
        }
    };
    // What came until then is the message.
    let _ = time::timeout(MESSAGE_LIMIT, read).await;
    if let Ok(envelope) = serde_json::from_slice::<OciEnvelope>(&bytes) {
        let errors = envelope.errors.iter().map(|error| {
            let code = serde_json::to_value(&error.code).unwrap_or_default();
            let code = code.as_str().unwrap_or_default().to_owned();
            if error.message.is_empty() {
                code
            } else {
                format!("{code}: {}", error.message)
            }
        });
        return errors.collect::<Vec<_>>().join("; ");
    }
    let text = String::from_utf8_lossy(&bytes);
    let line = text.trim().lines().next().unwrap_or_default();
    let is_markup = line.starts_with('<');
    line.chars()
        .filter(|c| !c.is_control() && !is_markup)
        .take(200)
        .collect()
}
