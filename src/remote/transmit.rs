//! A request, sent until it is answered or there is no point in trying again.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Request;
use reqwest::RequestBuilder;
use reqwest::Response;
use tokio::time;
use tokio::time::Instant;

use crate::remote::Error;
use crate::remote::Retry;
use crate::remote::about::About;
use crate::remote::retry;

/// What is slower than this over as long as a registry may be silent is as good as silence.
const SLOWEST_BYTES_PER_SECOND: u128 = 1024;

/// How one try went.
pub(super) enum Outcome {
    /// An answer that says yes.
    Good(Response),
    /// An answer that says no.
    Refused(About, Response),
    /// No answer, and whether the next try may get one.
    Lost(Error, bool),
}

/// How often a request was tried.
#[derive(Debug)]
pub(super) struct Tries {
    retry: Retry,
    failed: u32,
}

impl Tries {
    pub(super) fn new(retry: Retry) -> Self {
        Self { retry, failed: 0 }
    }

    /// Gives the answer of a try that says yes. After one that failed in passing it waits and
    /// gives none: it is time for the next.
    pub(super) async fn settle(&mut self, outcome: Outcome) -> Result<Option<Response>, Error> {
        let retry = self.retry;
        self.failed += 1;
        let (delay, error) = match outcome {
            Outcome::Good(response) => return Ok(Some(response)),
            Outcome::Refused(about, response) => {
                let is_transient = retry::is_transient_status(response.status());
                let delay = retry.delay_after(self.failed, response.headers());
                (
                    delay.filter(|_| is_transient),
                    about.refused(response).await,
                )
            }
            Outcome::Lost(error, is_transient) => {
                (retry.delay(self.failed).filter(|_| is_transient), error)
            }
        };
        time::sleep(delay.ok_or(error)?).await;
        Ok(None)
    }
}

/// Why no answer came, or no more of it.
#[derive(Debug)]
pub(super) enum Lost {
    /// The connection was not made, or broke off.
    Broken(reqwest::Error),
    /// Nothing came for so long.
    Silent(Duration),
}

impl Lost {
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Broken(error) => retry::is_transient(error),
            Self::Silent(_) => true,
        }
    }

    pub(super) fn outcome(self, about: About) -> Outcome {
        let is_transient = self.is_transient();
        Outcome::Lost(about.lost(self), is_transient)
    }
}

/// Sends one request and waits so long for the head of the answer.
pub(super) async fn execute(
    http: &reqwest::Client,
    request: Request,
    silence: Duration,
) -> Result<Response, Lost> {
    match time::timeout(silence, http.execute(request)).await {
        Ok(answer) => answer.map_err(Lost::Broken),
        Err(_) => Err(Lost::Silent(silence)),
    }
}

/// The body of an answer, piece by piece.
#[derive(Debug)]
pub(super) struct Pieces {
    response: Response,
    silence: Duration,
    /// When the current stretch of time began, and how many bytes came in it.
    since: Instant,
    bytes: u64,
}

impl Pieces {
    /// Lets no piece take longer than `silence`, nor all of them come so slowly that they might
    /// as well not: a registry shall not hold up a build by sending a byte now and then.
    pub(super) fn new(response: Response, silence: Duration) -> Self {
        Self {
            response,
            silence,
            since: Instant::now(),
            bytes: 0,
        }
    }

    /// Waits for the next piece; none is the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Lost> {
        let chunk = match time::timeout(self.silence, self.response.chunk()).await {
            Ok(chunk) => chunk.map_err(Lost::Broken)?,
            Err(_) => return Err(Lost::Silent(self.silence)),
        };
        self.bytes += chunk.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let elapsed = self.since.elapsed();
        if elapsed > self.silence {
            if u128::from(self.bytes) * 1000 < elapsed.as_millis() * SLOWEST_BYTES_PER_SECOND {
                return Err(Lost::Silent(self.silence));
            }
            self.since = Instant::now();
            self.bytes = 0;
        }
        Ok(chunk)
    }
}

/// Reads a whole answer of at most `limit_bytes`; none if it is longer.
pub(super) async fn read_document(
    response: Response,
    limit_bytes: u64,
    silence: Duration,
) -> Result<Option<Vec<u8>>, Lost> {
    let mut pieces = Pieces::new(response, silence);
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > limit_bytes {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

/// Sends until the answer says yes, or says no for good.
pub(super) async fn persist(
    http: &reqwest::Client,
    retry: Retry,
    build: impl Fn(&reqwest::Client) -> RequestBuilder,
) -> Result<Response, Error> {
    let mut tries = Tries::new(retry);
    loop {
        let outcome = send(http, retry.silence, &build).await?;
        if let Some(response) = tries.settle(outcome).await? {
            return Ok(response);
        }
    }
}

/// Sends one request as it is. `304 Not Modified` says yes to whoever asked for it.
async fn send(
    http: &reqwest::Client,
    silence: Duration,
    build: &impl Fn(&reqwest::Client) -> RequestBuilder,
) -> Result<Outcome, Error> {
    let request = build(http).build();
    let request = request.map_err(|source| Error::Setup { source })?;
    let about = About::new(request.method(), request.url());
    Ok(match execute(http, request, silence).await {
        Ok(response) if response.status().is_success() || response.status() == 304 => {
            Outcome::Good(response)
        }
        Ok(response) => Outcome::Refused(about, response),
        Err(lost) => lost.outcome(about),
    })
}
