//! Manifests, indexes and configs: small, held in memory, verified.

use reqwest::Method;
use reqwest::header::ACCEPT;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::HeaderMap;
use tokio::time;

use crate::oci::Descriptor;
use crate::oci::Digest;
use crate::oci::media_type;
use crate::remote::Error;
use crate::remote::about;
use crate::remote::about::About;
use crate::remote::session::Session;
use crate::remote::transmit;
use crate::store;

const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+";
const CONTENT_DIGEST: &str = "docker-content-digest";

/// A document as it came.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Vec<u8>,
    /// Where it came from, for messages.
    pub(super) url: String,
}

/// Asks which digest a tag stands for; none if the registry does not say without sending all.
/// Why it refuses is only told to who asks for all.
pub(super) async fn head_manifest(session: &Session, tag: &str) -> Result<Option<Digest>, Error> {
    let url = session.url(&format!("manifests/{tag}"));
    let asked = session.send(|http| http.head(url.clone()).header(ACCEPT, accepted()));
    match asked.await {
        Ok(response) => Ok(promised(response.headers())),
        Err(Error::Status { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Fetches the manifest or index that `identifier`, a tag or a digest, stands for.
pub(super) async fn get_manifest(session: &Session, identifier: &str) -> Result<Document, Error> {
    let path = format!("manifests/{identifier}");
    let (headers, bytes, url) = get(session, &path, &accepted()).await?;
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let given = given
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim();
    if given.starts_with(SCHEMA1) {
        return Err(Error::Schema1 { url });
    }
    let media_type = manifest_type(given, &bytes).ok_or_else(|| Error::MediaType {
        url: url.clone(),
        media_type: given.to_owned(),
    })?;
    let descriptor = Descriptor::of(&media_type, &bytes);
    let asked = identifier.parse().ok();
    if let Some(expected) = asked.or_else(|| promised(&headers))
        && expected != descriptor.digest
    {
        return Err(Error::Digest {
            url,
            expected,
            actual: descriptor.digest,
        });
    }
    Ok(Document {
        descriptor,
        bytes,
        url,
    })
}

/// Fetches a small blob, such as an image config.
pub(super) async fn get_blob(session: &Session, wanted: &Descriptor) -> Result<Document, Error> {
    let (_, bytes, url) = get(session, &format!("blobs/{}", wanted.digest), "*/*").await?;
    let descriptor = Descriptor::of(&wanted.media_type, &bytes);
    if descriptor.digest != wanted.digest {
        return Err(Error::Digest {
            url,
            expected: wanted.digest,
            actual: descriptor.digest,
        });
    }
    if descriptor.size != wanted.size {
        return Err(Error::Size {
            url,
            expected: wanted.size,
            actual: descriptor.size,
        });
    }
    Ok(Document {
        descriptor,
        bytes,
        url,
    })
}

/// Gives what a manifest is: what the registry says, or what it says itself if that says nothing.
fn manifest_type(given: &str, bytes: &[u8]) -> Option<String> {
    let is_known = |text: &str| media_type::is_manifest(text) || media_type::is_index(text);
    if is_known(given) {
        return Some(given.to_owned());
    }
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let own = value.get("mediaType").and_then(serde_json::Value::as_str);
    match own {
        Some(own) => is_known(own).then(|| own.to_owned()),
        None if value.get("manifests").is_some() => Some(media_type::INDEX.to_owned()),
        None if value.get("config").is_some() => Some(media_type::MANIFEST.to_owned()),
        None => None,
    }
}

fn accepted() -> String {
    [
        media_type::INDEX,
        media_type::MANIFEST,
        media_type::DOCKER_INDEX,
        media_type::DOCKER_MANIFEST,
    ]
    .join(", ")
}

/// Reads which digest a registry says a manifest has.
pub(super) fn promised(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}

/// Fetches what is no larger than a manifest may be, again if the connection breaks off.
async fn get(
    session: &Session,
    path: &str,
    accept: &str,
) -> Result<(HeaderMap, Vec<u8>, String), Error> {
    let url = session.url(path);
    let retry = session.retry();
    let limit_bytes = session.client.options().manifest_bytes;
    let mut failed = 0;
    loop {
        let response = session
            .send(|http| http.get(url.clone()).header(ACCEPT, accept))
            .await?;
        let headers = response.headers().clone();
        let lost = match transmit::read_document(response, limit_bytes, retry.silence).await {
            Ok(Some(bytes)) => {
                return Ok((headers, bytes, about::printable(&url)));
            }
            Ok(None) => {
                return Err(Error::Limit {
                    url: about::printable(&url),
                    limit_bytes,
                });
            }
            Err(lost) => lost,
        };
        failed += 1;
        match retry.delay(failed).filter(|_| lost.is_transient()) {
            Some(delay) => time::sleep(delay).await,
            None => return Err(About::new(&Method::GET, &url).lost(lost)),
        }
    }
}

impl Document {
    /// Puts the document into the store, on a thread that may wait for the disk.
    pub(super) async fn keep(self, session: &Session) -> Result<Descriptor, Error> {
        let store = session.client.store().clone();
        let put = move || store.put(&self.descriptor.media_type, &self.bytes);
        blocking(put).await.map_err(Error::Store)
    }
}

/// Runs what may wait for the disk where that holds nobody up.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, store::Error> + Send + 'static,
) -> Result<T, store::Error> {
    let task = tokio::task::spawn_blocking(work);
    match task.await {
        Ok(done) => done,
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and whoever waits here ends with it.
            Err(_) => std::future::pending().await,
        },
    }
}
