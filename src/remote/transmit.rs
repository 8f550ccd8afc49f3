//! A request, sent until it is answered or there is no point in trying again.

use reqwest::RequestBuilder;
use reqwest::Response;
use tokio::time;

use crate::remote::Error;
use crate::remote::Retry;
use crate::remote::about::About;
use crate::remote::retry;

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

/// Sends until the answer says yes, or says no for good.
pub(super) async fn persist(
    http: &reqwest::Client,
    retry: Retry,
    build: impl Fn(&reqwest::Client) -> RequestBuilder,
) -> Result<Response, Error> {
    let mut tries = Tries::new(retry);
    loop {
        if let Some(response) = tries.settle(send(http, &build).await?).await? {
            return Ok(response);
        }
    }
}

/// Sends one request as it is. `304 Not Modified` says yes to whoever asked for it.
async fn send(
    http: &reqwest::Client,
    build: &impl Fn(&reqwest::Client) -> RequestBuilder,
) -> Result<Outcome, Error> {
    let request = build(http).build();
    let request = request.map_err(|source| Error::Setup { source })?;
    let about = About::new(request.method(), request.url());
    Ok(match http.execute(request).await {
        Ok(response) if response.status().is_success() || response.status() == 304 => {
            Outcome::Good(response)
        }
        Ok(response) => Outcome::Refused(about, response),
        Err(source) => {
            let is_transient = retry::is_transient(&source);
            Outcome::Lost(about.lost(source), is_transient)
        }
    })
}
