//! Layers into the store.

use std::sync::Arc;
use std::sync::PoisonError;

use futures_util::future;
use reqwest::Method;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;
use reqwest::header::RANGE;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time;

use crate::oci::Descriptor;
use crate::oci::Reference;
use crate::progress::Step;
use crate::progress::Transfer;
use crate::remote::Client;
use crate::remote::Download;
use crate::remote::Error;
use crate::remote::Query;
use crate::remote::Resolved;
use crate::remote::about;
use crate::remote::about::About;
use crate::remote::http;
use crate::remote::receive;
use crate::remote::receive::Meter;
use crate::remote::receive::Receiver;
use crate::remote::registries::Endpoint;
use crate::remote::resolve;
use crate::remote::session::Session;
use crate::remote::tap::Tap;
use crate::remote::transmit::Pieces;

/// A try that brought so many bytes was not in vain, and does not count as a failure.
const WORTHWHILE_BYTES: u64 = 1 << 20;

/// In how many places besides the one named a blob is looked for.
const ELSEWHERE_MAX: usize = 3;

/// Brings a whole image into the store: its documents, then all layers at the same time.
///
/// # Errors
/// As [`resolve`] and [`fetch_blob`].
pub async fn pull(client: &Client, query: &Query, step: &Step) -> Result<Resolved, Error> {
    let resolved = resolve(client, query).await?;
    let layers = resolved.image.manifest.layers.iter();
    let fetches = layers.map(|layer| fetch_blob(client, &query.name, layer, step));
    future::try_join_all(fetches).await?;
    Ok(resolved)
}

/// A blob to be fetched.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// A repository that has it.
    pub repository: &'a Reference,
    /// The blob.
    pub blob: &'a Descriptor,
}

/// Brings one blob of `repository` into the store, unless it is there.
///
/// Mirrors are tried before the registry itself. What breaks off is taken up again where it was.
///
/// # Errors
/// [`Error::Pull`] with what went wrong at the registry or its mirrors, or [`Error::Store`].
pub async fn fetch_blob(
    client: &Client,
    repository: &Reference,
    blob: &Descriptor,
    step: &Step,
) -> Result<(), Error> {
    fetch(client, Wanted { repository, blob }, (step, None)).await
}

/// As [`fetch_blob`], and lets another thread read the blob while it arrives; see [`Tapped`].
///
/// # Errors
/// As [`fetch_blob`].
///
/// [`Tapped`]: crate::remote::Tapped
pub async fn fetch_blob_tapped(
    client: &Client,
    wanted: Wanted<'_>,
    step: &Step,
    tap: Tap,
) -> Result<(), Error> {
    fetch(client, wanted, (step, Some(tap))).await
}

async fn fetch(
    client: &Client,
    wanted: Wanted<'_>,
    (step, mut tap): (&Step, Option<Tap>),
) -> Result<(), Error> {
    let Wanted { repository, blob } = wanted;
    let lock = {
        let blobs = client.0.blobs.lock();
        let mut blobs = blobs.unwrap_or_else(PoisonError::into_inner);
        Arc::<AsyncMutex<()>>::clone(blobs.entry(blob.digest).or_default())
    };
    let _only = lock.lock().await;
    if client.store().contains(blob) {
        return Ok(());
    }
    client.hold_store()?;
    let permit = client.0.downloads.acquire().await;
    let _permit = permit.expect("the semaphore is never closed");
    let mut attempts = Vec::new();
    for endpoint in places(client, wanted) {
        let outcome = match Session::open(client, &endpoint, "pull").await {
            Ok(session) => fetch_from(&session, blob, (step, &mut tap)).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => return Ok(()),
            Err(error) if error.is_local() => return Err(error),
            Err(error) => {
                client.note(&endpoint, &error);
                attempts.push((endpoint.host, error));
            }
        }
    }
    for url in &blob.urls {
        match fetch_foreign(client, blob, (url, step)).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_local() => return Err(error),
            Err(error) => attempts.push((url.clone(), error)),
        }
    }
    Err(Error::Pull {
        digest: blob.digest,
        repository: repository.repository(),
        source: Box::new(Error::everywhere(attempts)),
    })
}

/// Gives where to look for a blob: in the repository named, and where it was seen. An image that
/// was built here has layers of its base that were never fetched; where its own name leads to,
/// nobody may have heard of them.
fn places(client: &Client, wanted: Wanted<'_>) -> Vec<Endpoint> {
    let named = client.pull_endpoints(wanted.repository);
    let mut seen = client.store().locations(&wanted.blob.digest);
    let is_named = |place: &String| {
        let own = |endpoint: &Endpoint| *place == format!("{}/{}", endpoint.host, endpoint.path);
        named.iter().any(own)
    };
    let was_there = seen.iter().any(is_named);
    seen.retain(|place| !is_named(place));
    let seen = seen.iter().rev().take(ELSEWHERE_MAX);
    let seen = seen.filter_map(|place| place.parse::<Reference>().ok());
    let elsewhere = seen.flat_map(|place| client.pull_endpoints(&place));
    match was_there {
        true => named.iter().cloned().chain(elsewhere).collect(),
        false => elsewhere.chain(named.iter().cloned()).collect(),
    }
}

/// Fetches a layer that its maker does not allow registries to have, from where he offers it.
async fn fetch_foreign(
    client: &Client,
    blob: &Descriptor,
    (url, step): (&str, &Step),
) -> Result<(), Error> {
    let file = Download {
        url: url.to_owned(),
        authorization: None,
        known: None,
        checksum: Some(blob.digest),
        limit_bytes: Some(blob.size),
    };
    http::download(client, &file, step).await.map(drop)
}

/// Fetches a blob from one place. The tap is used up as soon as anything came: what was read of it
/// cannot be taken back.
async fn fetch_from(
    session: &Session,
    blob: &Descriptor,
    (step, tap): (&Step, &mut Option<Tap>),
) -> Result<(), Error> {
    let mut receiver = Receiver::begin(session.client.store(), tap.take());
    let mut meter = Meter {
        step,
        item: Arc::from(blob.digest.to_string()),
        transfer: Transfer::Download,
        total_bytes: Some(blob.size),
        reported_bytes: 0,
    };
    if let Err(error) = receive_all(session, blob, &mut receiver, &mut meter).await {
        *tap = receiver.abandon().await;
        return Err(error);
    }
    let url = about::printable(&session.url(&format!("blobs/{}", blob.digest)));
    let finished = receiver.finish(&blob.media_type, Some(blob)).await;
    finished.map_err(|error| receive::blame(error, &url))?;
    session.remember(vec![blob.digest]).await
}

/// Takes the whole blob, in as many tries as that takes.
async fn receive_all(
    session: &Session,
    blob: &Descriptor,
    receiver: &mut Receiver,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    let mut failed = 0;
    loop {
        let before = receiver.received_bytes();
        match receive(session, blob, receiver, meter).await {
            Ok(()) => return Ok(()),
            Err(Stop::Finally(error)) => return Err(error),
            Err(Stop::ForNow(error)) => {
                if receiver.received_bytes() - before >= WORTHWHILE_BYTES {
                    failed = 0;
                }
                failed += 1;
                let delay = session.retry().delay(failed);
                time::sleep(delay.ok_or(error)?).await;
            }
        }
    }
}

/// Why a try ended.
enum Stop {
    Finally(Error),
    ForNow(Error),
}

/// Asks for what is still missing and takes as much of it as comes.
async fn receive(
    session: &Session,
    blob: &Descriptor,
    receiver: &mut Receiver,
    meter: &mut Meter<'_>,
) -> Result<(), Stop> {
    let url = session.url(&format!("blobs/{}", blob.digest));
    let have = receiver.received_bytes();
    let sent = session.send(|http| {
        let request = http.get(url.clone());
        match have {
            0 => request,
            have => request.header(RANGE, format!("bytes={have}-")),
        }
    });
    let response = sent.await.map_err(Stop::Finally)?;
    let mut skip = already_had(&response, have)
        .map_err(|violation| Stop::Finally(About::new(&Method::GET, &url).violated(violation)))?;
    let mut pieces = Pieces::new(response, session.retry().silence);
    let wrong_size = |actual| Error::Size {
        url: about::printable(&url),
        expected: blob.size,
        actual,
    };
    loop {
        let mut bytes = match pieces.next().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => break,
            Err(lost) => {
                let is_transient = lost.is_transient();
                let error = About::new(&Method::GET, &url).lost(lost);
                return Err(if is_transient {
                    Stop::ForNow(error)
                } else {
                    Stop::Finally(error)
                });
            }
        };
        let old = usize::try_from(skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
        skip -= old as u64;
        let bytes = bytes.split_off(old);
        let total = receiver.received_bytes() + bytes.len() as u64;
        if total > blob.size {
            return Err(Stop::Finally(wrong_size(total)));
        }
        if !receiver.take(bytes).await {
            // The writer has failed; finishing it tells why.
            return Ok(());
        }
        meter.moved(total);
    }
    match receiver.received_bytes() {
        size if size == blob.size => Ok(()),
        size => Err(Stop::ForNow(wrong_size(size))),
    }
}

/// Says how many bytes at the beginning of the answer were received before: none if the registry
/// sends only what was asked for, all if it starts over.
fn already_had(response: &Response, have: u64) -> Result<u64, &'static str> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Ok(have);
    }
    let header = response.headers().get(CONTENT_RANGE);
    let text = header
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let start = text
        .strip_prefix("bytes ")
        .and_then(|range| range.split('-').next());
    match start.and_then(|start| start.parse::<u64>().ok()) {
        Some(start) if start <= have => Ok(have - start),
        _ => Err("the answer is not the range that was asked for"),
    }
}
