//! Images to a registry: what it has not yet, and the manifest last.

use std::collections::BTreeMap;
use std::io;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future;
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
use crate::oci::Digest;
use crate::oci::Index;
use crate::oci::Manifest;
use crate::oci::Reference;
use crate::oci::media_type;
use crate::progress::Step;
use crate::progress::Transfer;
use crate::remote::Client;
use crate::remote::Error;
use crate::remote::about;
use crate::remote::about::About;
use crate::remote::document;
use crate::remote::fetch_blob;
use crate::remote::receive::Meter;
use crate::remote::registries;
use crate::remote::retry;
use crate::remote::session::Session;
use crate::remote::transmit::Lost;
use crate::store::BlobReader;

const PIECE_BYTES: usize = 256 << 10;
/// How many pieces may wait to be sent.
const WAITING_PIECES: usize = 4;

/// Where an image goes, and where parts of it came from.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The name to push under. With a digest it is pushed without a tag.
    pub name: Reference,
    /// Repositories that have a blob: one in the same registry lends it, and a blob that is not
    /// in the store is fetched from there.
    pub sources: BTreeMap<Digest, Reference>,
}

/// Pushes the image or index that `root` describes, and gives its digest.
///
/// The layers go first, at the same time, then the config, then the manifest: whoever pulls the
/// name meanwhile gets the old image or the new one, never half of one.
///
/// # Errors
/// [`Error::Push`] naming the part that could not be pushed, or [`Error::Store`].
pub async fn push(
    client: &Client,
    root: &Descriptor,
    destination: &Destination,
    step: &Step,
) -> Result<Digest, Error> {
    let name = &destination.name;
    let session = open(client, name).await?;
    let tag = name.tag().filter(|_| name.digest().is_none());
    let identifier = tag.map_or_else(|| root.digest.to_string(), str::to_owned);
    if media_type::is_index(&root.media_type) {
        let index = read(&session, root, Index::parse)?;
        for manifest in &index.manifests {
            push_image(&session, manifest, destination, step).await?;
            put_manifest(&session, manifest, &manifest.digest.to_string())
                .await
                .map_err(|error| failed(error, "a manifest", name))?;
        }
    } else {
        push_image(&session, root, destination, step).await?;
    }
    put_manifest(&session, root, &identifier)
        .await
        .map_err(|error| failed(error, "the manifest", name))?;
    Ok(root.digest)
}

/// Pushes one layer, so that a build can send it while later ones are made.
///
/// # Errors
/// [`Error::Push`] or [`Error::Store`].
pub async fn push_blob(
    client: &Client,
    blob: &Descriptor,
    destination: &Destination,
    step: &Step,
) -> Result<(), Error> {
    let session = open(client, &destination.name).await?;
    send_blob(&session, blob, destination, step).await
}

async fn open(client: &Client, name: &Reference) -> Result<Session, Error> {
    // A mirror is a copy; what is new goes to the registry itself.
    Session::open(client, &registries::origin(name), "pull,push").await
}

/// Pushes what a manifest names.
async fn push_image(
    session: &Session,
    manifest: &Descriptor,
    destination: &Destination,
    step: &Step,
) -> Result<(), Error> {
    let manifest = read(session, manifest, Manifest::parse)?;
    let own = |layer: &&Descriptor| !media_type::is_foreign_layer(&layer.media_type);
    let mut layers: Vec<&Descriptor> = manifest.layers.iter().filter(own).collect();
    // An empty layer may stand in a manifest many times.
    layers.sort_unstable_by_key(|layer| layer.digest);
    layers.dedup_by_key(|layer| layer.digest);
    let pushes = layers
        .into_iter()
        .map(|layer| send_blob(session, layer, destination, step));
    future::try_join_all(pushes).await?;
    send_blob(session, &manifest.config, destination, step).await
}

fn read<T>(
    session: &Session,
    descriptor: &Descriptor,
    parse: impl FnOnce(&[u8]) -> Result<T, crate::oci::Error>,
) -> Result<T, Error> {
    let store = session.client.store();
    let bytes = store.read(&descriptor.digest).map_err(Error::Store)?;
    parse(&bytes).map_err(|source| Error::Document {
        url: store.blob_path(&descriptor.digest).display().to_string(),
        source,
    })
}

async fn send_blob(
    session: &Session,
    blob: &Descriptor,
    destination: &Destination,
    step: &Step,
) -> Result<(), Error> {
    let permit = session.client.0.uploads.acquire().await;
    let _permit = permit.expect("the semaphore is never closed");
    let source = destination.sources.get(&blob.digest);
    let mut meter = Meter {
        step,
        item: Arc::from(blob.digest.to_string()),
        transfer: Transfer::Upload,
        total_bytes: Some(blob.size),
        reported_bytes: 0,
    };
    let what = blob.digest.to_string();
    let wrap = |error| failed(error, &what, &destination.name);
    let Some(mut upload) = begin(session, blob, source).await.map_err(wrap)? else {
        return Ok(());
    };
    if let Some(source) = source
        && !session.client.store().contains(blob)
    {
        fetch_blob(&session.client, source, blob, step).await?;
    }
    let mut tries = 0;
    loop {
        let error = match put_blob(session, blob, &upload, &mut meter).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        tries += 1;
        let delay = session.retry().delay(tries);
        let Some(delay) = delay.filter(|_| is_lost_upload(&error)) else {
            return Err(wrap(error));
        };
        time::sleep(delay).await;
        // It may have arrived though the answer was lost.
        match begin(session, blob, None).await.map_err(wrap)? {
            Some(again) => upload = again,
            None => return Ok(()),
        }
    }
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

/// Puts a manifest under a tag or its digest, unless it is there.
async fn put_manifest(
    session: &Session,
    manifest: &Descriptor,
    identifier: &str,
) -> Result<(), Error> {
    let is_there = || async {
        let digest = document::head_manifest(session, identifier).await;
        digest.is_ok_and(|digest| digest == Some(manifest.digest))
    };
    if is_there().await {
        return Ok(());
    }
    let bytes = session
        .client
        .store()
        .read(&manifest.digest)
        .map_err(Error::Store)?;
    let bytes = Bytes::from(bytes);
    let url = session.url(&format!("manifests/{identifier}"));
    let sent = session.send(|http| {
        http.put(url.clone())
            .header(CONTENT_TYPE, &manifest.media_type)
            .body(bytes.clone())
    });
    match sent.await {
        Ok(response) => match document::promised(response.headers()) {
            Some(actual) if actual != manifest.digest => Err(Error::Digest {
                url: about::printable(&url),
                expected: manifest.digest,
                actual,
            }),
            _ => Ok(()),
        },
        // Where tags are immutable, somebody may have been faster with the same image.
        Err(Error::Status {
            status: 400 | 409 | 412,
            ..
        }) if is_there().await => Ok(()),
        Err(error) => Err(error),
    }
}

fn failed(error: Error, what: &str, name: &Reference) -> Error {
    if error.is_local() {
        return error;
    }
    Error::Push {
        what: what.to_owned(),
        reference: name.to_string(),
        source: Box::new(error),
    }
}
