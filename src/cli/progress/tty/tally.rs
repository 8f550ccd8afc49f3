//! How many steps ended, and how.

use std::time::Duration;

use crate::cli::progress::units;

/// The steps that ended.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Those that were carried out.
    pub(super) done: usize,
    /// Those that were found in the cache.
    pub(super) cached: usize,
    /// Those that failed.
    pub(super) failed: usize,
    /// Those that were stopped.
    pub(super) canceled: usize,
}

impl Tally {
    /// Says how many ended well.
    pub(super) fn ended_well(&self) -> usize {
        self.done + self.cached
    }

    /// Says how it all ended, unless there was nothing.
    pub(super) fn line(&self, at: Duration) -> Option<String> {
        let ended = self.ended_well();
        if ended + self.failed + self.canceled == 0 {
            return None;
        }
        let time = units::seconds(at);
        let cached = match self.cached {
            0 => String::new(),
            count => format!(", {count} of them cached"),
        };
        let steps = if ended == 1 { "step" } else { "steps" };
        Some(match (self.failed, self.canceled) {
            (0, 0) => format!("[+] Done in {time}, {ended} {steps}{cached}"),
            (0, _) => format!("[+] Canceled after {time}"),
            _ => format!("[+] Failed after {time}"),
        })
    }
}
