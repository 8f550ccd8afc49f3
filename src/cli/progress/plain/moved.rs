//! When a transfer is told of, and what.

use std::time::Duration;

use crate::cli::progress::units;
use crate::progress::Transfer;

/// A transfer is told of anew after this share of it and this pause, or this time.
const SHARE: u64 = 5;
const PAUSE: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(5);

/// What was last told of a transfer.
#[derive(Debug)]
pub(super) struct Moved {
    /// What kind it is.
    pub(super) transfer: Transfer,
    began: Duration,
    told: Duration,
    told_bytes: u64,
    done_bytes: u64,
    ended: bool,
}

impl Moved {
    /// Begins one of which nothing was told.
    pub(super) fn new(transfer: Transfer, at: Duration) -> Self {
        Self {
            transfer,
            began: at,
            told: at,
            told_bytes: 0,
            done_bytes: 0,
            ended: false,
        }
    }

    /// Takes how far it has come; says whether that is worth a line.
    pub(super) fn advance(&mut self, at: Duration, done: u64, total: Option<u64>) -> bool {
        self.done_bytes = done;
        if self.ended {
            return false;
        }
        self.ended = total == Some(done);
        let share = total.map_or(u64::MAX, |total| (total / SHARE).max(1));
        let since = at.saturating_sub(self.told);
        let is_news = self.ended
            || since >= TIME
            || (since >= PAUSE && done.saturating_sub(self.told_bytes) >= share);
        if is_news {
            (self.told, self.told_bytes) = (at, done);
        }
        is_news
    }

    /// Says how far it has come.
    pub(super) fn line(&self, item: &str, total: Option<u64>, at: Duration) -> String {
        let verb = units::verb(self.transfer);
        let done = units::bytes(self.done_bytes);
        let time = units::seconds(at.saturating_sub(self.began));
        match total {
            Some(_) if self.ended => format!("{verb}{item} {done} {time} done"),
            Some(total) => format!("{verb}{item} {done} / {} {time}", units::bytes(total)),
            None => format!("{verb}{item} {done} {time}"),
        }
    }
}
