//! A step that runs, and the lines about it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::screen::Screen;
use crate::cli::progress::draw;
use crate::cli::progress::units;
use crate::progress::Transfer;

/// A running step.
#[derive(Debug)]
pub(super) struct Step {
    /// What it is called.
    pub(super) name: Arc<str>,
    /// When it began.
    pub(super) started: Duration,
    /// What its process writes.
    pub(super) screen: Screen,
    moved: BTreeMap<(u8, Arc<str>), Moved>,
}

/// How far a transfer has come.
#[derive(Debug)]
pub(super) struct Moved {
    /// What kind it is.
    pub(super) transfer: Transfer,
    /// What has arrived.
    pub(super) done_bytes: u64,
    /// What is to come in all, if that is known.
    pub(super) total_bytes: Option<u64>,
}

impl Step {
    /// Begins one.
    pub(super) fn new(name: &Arc<str>, at: Duration, columns: usize) -> Self {
        Self {
            name: Arc::clone(name),
            started: at,
            screen: Screen::new(columns),
            moved: BTreeMap::new(),
        }
    }

    /// Takes how far the transfer of an item has come.
    pub(super) fn moves(&mut self, item: &Arc<str>, moved: Moved) {
        let key = (moved.transfer as u8, Arc::clone(item));
        self.moved.insert(key, moved);
    }

    /// Gives the line that names it.
    pub(super) fn head(&self, at: Duration, columns: usize) -> String {
        let time = units::seconds(at.saturating_sub(self.started));
        draw::spread(&format!(" => {}", self.name), &time, columns)
    }

    /// Gives at most `limit` lines: what moves, then what the process wrote last.
    pub(super) fn details(&self, limit: usize, columns: usize) -> Vec<String> {
        let is_moving = |moved: &&Moved| moved.total_bytes != Some(moved.done_bytes);
        let mut lines: Vec<String> = self
            .moved
            .iter()
            .filter(|(_, moved)| is_moving(moved))
            .map(|((_, item), moved)| moved.line(item, columns))
            .take(limit)
            .collect();
        lines.extend(self.screen.tail(limit - lines.len(), columns));
        lines
    }
}

impl Moved {
    fn line(&self, item: &str, columns: usize) -> String {
        let verb = units::verb(self.transfer);
        let text = format!(" => => {verb}{}", draw::short_digest(item));
        let amount = match self.total_bytes {
            Some(total) => format!(
                "{}{:>8} / {:>8}",
                draw::bar(self.done_bytes, total, columns),
                units::bytes(self.done_bytes),
                units::bytes(total)
            ),
            None => units::bytes(self.done_bytes),
        };
        draw::spread(&text, &amount, columns)
    }
}
