//! One blob to a registry: not at all if it has it, borrowed if it may, uploaded otherwise.

use std::io;
use std::io::Read;
use std::sync::Arc;
use std::sync::PoisonError;

use bytes::Bytes;
use futures_util::stream;
use reqwest::Body;
use reqwest::Method;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::header::CONTENT_LENGTH;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::LOCATION;
use tokio::sync::mpsc;
use tokio::time;

use crate::oci::Descriptor;
use crate::oci::Reference;
use crate::progress::Step;
use crate::progress::Transfer;
use crate::remote::Destination;
use crate::remote::Error;
use crate::remote::about::About;
use crate::remote::fetch_blob;
use crate::remote::push;
use crate::remote::receive::Meter;
use crate::remote::retry;
use crate::remote::session::Session;
use crate::remote::transmit::Lost;
use crate::store::BlobReader;

const PIECE_BYTES: usize = 256 << 10;
/// How many pieces may wait to be sent.
const WAITING_PIECES: usize = 4;

/// Sees to it that the destination has the blob.
pub(super) async fn send_blob(
    session: &Session,
    blob: &Descriptor,
    destination: &Destination,
    step: &Step,
) -> Result<(), Error> {
    let turn = {
        let sent = session.client.0.sent.lock();
        let mut sent = sent.unwrap_or_else(PoisonError::into_inner);
        let place = (session.repository(), blob.digest);
        Arc::clone(sent.entry(place).or_default())
    };
    let mut is_sent = turn.lock().await;
    if *is_sent {
        return Ok(());
    }
    let permit = session.client.0.uploads.acquire().await;
    let _permit = permit.expect("the semaphore is never closed");
    let source = source_of(session, blob, destination);
    let mut meter = Meter {
        step,
        item: Arc::from(blob.digest.to_string()),
        transfer: Transfer::Upload,
        total_bytes: Some(blob.size),
        reported_bytes: 0,
    };
    match upload(session, blob, source.as_ref(), &mut meter).await {
        Ok(()) => {}
        Err(error @ Error::Pull { .. }) => return Err(error),
        Err(error) => return Err(push::failed(error, &meter.item, &destination.name)),
    }
    *is_sent = true;
    session.remember(vec![blob.digest]).await
}

async fn upload(
    session: &Session,
    blob: &Descriptor,
    source: Option<&Reference>,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    let Some(mut place) = begin(session, blob, source).await? else {
        return Ok(());
    };
    if let Some(source) = source
        && !session.client.store().contains(blob)
    {
        fetch_blob(&session.client, source, blob, meter.step).await?;
    }
    let mut tries = 0;
    loop {
        let error = match put_blob(session, blob, &place, meter).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        tries += 1;
        let delay = session.retry().delay(tries);
        let Some(delay) = delay.filter(|_| is_lost_upload(&error)) else {
            return Err(error);
        };
        time::sleep(delay).await;
        // It may have arrived though the answer was lost.
        match begin(session, blob, None).await? {
            Some(again) => place = again,
            None => return Ok(()),
        }
    }
}

/// Says which repository may have the blob: the one that was named, or the one it was last seen
/// in, best in the same registry.
fn source_of(session: &Session, blob: &Descriptor, destination: &Destination) -> Option<Reference> {
    let host = session.host.name.as_str();
    let named = destination.sources.get(&blob.digest);
    if let Some(named) = named.filter(|named| named.domain() == host) {
        return Some(named.clone());
    }
    let seen = session.client.store().locations(&blob.digest);
    let seen = seen
        .iter()
        .rev()
        .filter_map(|text| text.parse::<Reference>().ok());
    let own = session.repository();
    let mut seen = seen.filter(|place| place.repository() != own);
    let near = seen.clone().find(|place| place.domain() == host);
    near.or_else(|| named.cloned()).or_else(|| seen.next())
}

/// A registry forgets an upload that broke off, or answers in the middle of it.
fn is_lost_upload(error: &Error) -> bool {
    match error {
        Error::Request { source, .. } => retry::is_transient(source),
        Error::Silence { .. } => true,
        Error::Status { status, .. } => matches!(status, 404 | 408 | 416 | 429 | 500..=599),
        _ => false,
    }
}

/// Asks for a place to put a blob; none is needed if the registry has it, or takes it over from
/// another of its repositories.
async fn begin(
    session: &Session,
    blob: &Descriptor,
    source: Option<&Reference>,
) -> Result<Option<Url>, Error> {
    let url = session.url(&format!("blobs/{}", blob.digest));
    match session.send(|http| http.head(url.clone())).await {
        Ok(_) => return Ok(None),
        // Some registries answer 403 or 405 to HEAD though they take the blob.
        Err(Error::Status { .. }) => {}
        Err(error) => return Err(error),
    }
    let url = session.url("blobs/uploads/");
    let lender = source
        .filter(|source| source.domain() == session.host.name && source.path() != session.path);
    if let Some(lender) = lender {
        let session = session.also_pull(lender.path());
        let mut url = url.clone();
        url.query_pairs_mut()
            .append_pair("mount", &blob.digest.to_string())
            .append_pair("from", lender.path());
        match session
            .send(|http| http.post(url.clone()).header(CONTENT_LENGTH, 0))
            .await
        {
            Ok(response) if response.status() == StatusCode::CREATED => return Ok(None),
            // The registry does not lend it, but has made room for it.
            Ok(response) => return location(&session, &url, &response).map(Some),
            // Who may not pull from the lender may still push here.
            Err(Error::Status { .. } | Error::Unauthorized { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let response = session
        .send(|http| http.post(url.clone()).header(CONTENT_LENGTH, 0))
        .await?;
    location(session, &url, &response).map(Some)
}

/// Reads where an upload goes on. A registry behind a proxy may think that it speaks plain HTTP.
fn location(session: &Session, url: &Url, response: &Response) -> Result<Url, Error> {
    let value = response.headers().get(LOCATION);
    let text = value.and_then(|value| value.to_str().ok());
    let joined = text.and_then(|text| url.join(text).ok());
    let violation = "the answer has no location to upload to";
    let mut place = joined.ok_or_else(|| About::new(&Method::POST, url).violated(violation))?;
    let base = &session.host.base;
    if base.scheme() == "https" && place.scheme() == "http" && place.host() == base.host() {
        // Both schemes are special ones with a host, so that the one can become the other.
        let _ = place
            .set_scheme("https")
            .and_then(|()| place.set_port(base.port()));
    }
    Ok(place)
}

/// Sends a whole blob in one request.
async fn put_blob(
    session: &Session,
    blob: &Descriptor,
    upload: &Url,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    let mut url = upload.clone();
    url.query_pairs_mut()
        .append_pair("digest", &blob.digest.to_string());
    let store = session.client.store();
    // The registry's refusal hides that the blob is not there to be sent.
    store.open_blob(blob).map_err(Error::Store)?;
    let (report, mut reports) = mpsc::unbounded_channel();
    let request = session.send_once(|http| {
        let body = match store.open_blob(blob) {
            Ok(reader) => stream_body(reader, report.clone()),
            Err(_) => Body::default(),
        };
        http.put(url.clone())
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, blob.size)
            .body(body)
    });
    tokio::pin!(request);
    let silence = session.retry().silence;
    loop {
        tokio::select! {
            Some(sent) = reports.recv() => meter.moved(sent),
            response = &mut request => return response.map(drop),
            () = time::sleep(silence) => {
                return Err(About::new(&Method::PUT, &url).lost(Lost::Silent(silence)));
            }
        }
    }
}

/// Reads a blob on a thread of its own as fast as the network takes it. A blob that turns out to
/// be damaged ends the request.
fn stream_body(mut reader: BlobReader, report: mpsc::UnboundedSender<u64>) -> Body {
    let (pieces, waiting) = mpsc::channel::<io::Result<Bytes>>(WAITING_PIECES);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = reader.read(&mut piece);
            let piece = match read {
                Ok(0) => return,
                Ok(count) => {
                    piece.truncate(count);
                    Ok(Bytes::from(piece))
                }
                Err(error) => Err(error),
            };
            let is_last = piece.is_err();
            if pieces.blocking_send(piece).is_err() || is_last {
                return;
            }
        }
    });
    let pieces = stream::unfold(
        (waiting, report, 0),
        |(mut waiting, report, sent)| async move {
            let piece = waiting.recv().await?;
            let sent = sent + piece.as_ref().map_or(0, |bytes| bytes.len() as u64);
            // Nobody listens any more once the answer is there.
            let _ = report.send(sent);
            Some((piece, (waiting, report, sent)))
        },
    );
    Body::wrap_stream(pieces)
}
