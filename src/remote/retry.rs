//! What is worth another try, and when.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::hash::Hasher;
use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::DATE;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderName;
use reqwest::header::RETRY_AFTER;

/// A registry that wants more patience than this is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often and how soon something that failed in passing is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How many tries there are in all.
    pub attempts: u32,
    /// How long to wait before the second; each further wait is twice as long.
    pub first_delay: Duration,
    /// How long a registry may be silent; one that stores a large blob is, before it answers.
    pub silence: Duration,
}

/// How much of a registry or web server is borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How large a manifest, an index or a config may be.
    pub manifest_bytes: u64,
    /// How long it may be silent, or slower than a trickle.
    pub silence: Duration,
}

impl Default for Patience {
    /// What no honest registry needs more of; others allow no larger manifests either.
    fn default() -> Self {
        Self {
            manifest_bytes: 4 << 20,
            silence: Retry::usual().silence,
        }
    }
}

impl Retry {
    /// What serves a registry somewhere on the internet: five tries within about eight seconds.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            attempts: 5,
            first_delay: Duration::from_millis(500),
            silence: Duration::from_secs(120),
        }
    }

    /// The same with other patience.
    #[must_use]
    pub fn within(self, patience: Patience) -> Self {
        Self {
            silence: patience.silence,
            ..self
        }
    }

    /// Says how long to wait after `failed` tries; none if there were enough.
    pub(super) fn delay(&self, failed: u32) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let delay = self.first_delay * 2u32.saturating_pow(failed.saturating_sub(1)).min(16);
        // Many that failed together shall not come back together.
        let random = RandomState::new().build_hasher().finish() % 256;
        let quarter = delay / 4;
        Some(delay - quarter + quarter * 2 * u32::try_from(random).unwrap_or(0) / 256)
    }

    /// As [`Retry::delay`], but at least what the registry asks for.
    pub(super) fn delay_after(&self, failed: u32, headers: &HeaderMap) -> Option<Duration> {
        let delay = self.delay(failed)?;
        let wanted = retry_after(headers).unwrap_or_default();
        (wanted <= LONGEST_WAIT).then_some(delay.max(wanted))
    }
}

/// Says whether an answer is one that the next try may not get.
pub(super) fn is_transient_status(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        408 | 429 | 499 | 500 | 502 | 503 | 504 | 520..=524
    )
}

/// Says whether a try without answer may be followed by one with. A registry that refuses
/// connections, does not take them, has no address or cannot prove who it is will not change in a
/// few seconds.
pub(super) fn is_transient(error: &reqwest::Error) -> bool {
    if error.is_builder() || error.is_redirect() || error.is_connect() && error.is_timeout() {
        return false;
    }
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            match error.kind() {
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::TimedOut => return true,
                io::ErrorKind::ConnectionRefused => return false,
                _ => {}
            }
        }
        next = cause.source();
    }
    error.is_timeout() || !error.is_connect()
}

/// Reads `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date, which is compared with the
/// date of the answer itself so that clocks need not agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let value = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = date(value)?;
    let now = date(text(DATE)?)?;
    u64::try_from(then - now).ok().map(Duration::from_secs)
}

/// Reads a date of a header, in seconds since 1970.
pub(super) fn date(text: &str) -> Option<i64> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::HeaderMap;

    use super::Retry;
    use super::retry_after;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.insert(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn waits_longer_each_time_and_not_for_ever() {
        let retry = Retry {
            attempts: 3,
            first_delay: Duration::from_millis(400),
            ..Retry::usual()
        };
        let first = retry.delay(1).unwrap();
        let second = retry.delay(2).unwrap();
        assert!((300..=500).contains(&first.as_millis()), "{first:?}");
        assert!((600..=1000).contains(&second.as_millis()), "{second:?}");
        assert_eq!(retry.delay(3), None);
    }

    #[test]
    fn does_what_the_registry_asks_within_reason() {
        let retry = Retry::usual();
        let wait = |value| retry.delay_after(1, &headers(&[("retry-after", value)]));
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("3600"), None);
        assert!(wait("0").unwrap() < Duration::from_secs(1));
        assert!(wait("soon").unwrap() < Duration::from_secs(1));
        let dated = headers(&[
            ("date", "Wed, 21 Oct 2026 07:28:00 GMT"),
            ("retry-after", "Wed, 21 Oct 2026 07:28:09 GMT"),
        ]);
        assert_eq!(retry_after(&dated), Some(Duration::from_secs(9)));
    }
}
