//! A step and what is to be told of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::moved::Moved;
use crate::cli::progress::lines::Lines;
use crate::progress::Event;

/// A step that has begun.
#[derive(Debug)]
pub(super) struct Step {
    /// What its lines begin with.
    pub(super) number: usize,
    /// What it is called.
    pub(super) name: Arc<str>,
    /// When it began.
    pub(super) started: Duration,
    /// Lines that are not shown yet.
    pub(super) pending: String,
    /// Since when it waits for the floor, if it does.
    pub(super) waiting_since: Duration,
    /// Whether nothing more will come.
    pub(super) ended: bool,
    streams: [Lines; 2],
    moved: BTreeMap<Arc<str>, Moved>,
}

impl Step {
    /// Begins one.
    pub(super) fn new(number: usize, name: &Arc<str>, at: Duration) -> Self {
        Self {
            number,
            name: Arc::clone(name),
            started: at,
            pending: String::new(),
            waiting_since: at,
            ended: false,
            streams: Default::default(),
            moved: BTreeMap::new(),
        }
    }

    /// Takes what its process wrote.
    pub(super) fn output(&mut self, stream: usize, at: Duration, bytes: &[u8]) {
        let mut lines = std::mem::take(&mut self.streams[stream]);
        lines.push(at, bytes, |line| self.log(at, line));
        self.streams[stream] = lines;
    }

    /// Ends the lines that are `due`.
    pub(super) fn flush(&mut self, at: Duration, due: impl Fn(&Lines) -> bool) {
        for index in 0..self.streams.len() {
            if due(&self.streams[index]) {
                let mut lines = std::mem::take(&mut self.streams[index]);
                lines.flush(|line| self.log(at, line));
            }
        }
    }

    /// Takes how far a transfer has come; says whether that is news.
    pub(super) fn moved(&mut self, at: Duration, event: &Event) -> bool {
        let Event::Moved {
            item,
            transfer,
            done_bytes,
            total_bytes,
            ..
        } = event
        else {
            return false;
        };
        let fresh = || Moved::new(*transfer, at);
        let moved = self.moved.entry(Arc::clone(item)).or_insert_with(fresh);
        if moved.transfer != *transfer {
            *moved = fresh();
        }
        let is_news = moved.advance(at, *done_bytes, *total_bytes);
        if is_news {
            let line = moved.line(item, *total_bytes, at);
            self.tell(&line);
        }
        is_news
    }

    /// Ends it.
    pub(super) fn end(&mut self, at: Duration, how: &str) {
        self.flush(at, |_| true);
        self.ended = true;
        self.tell(how);
    }

    fn log(&mut self, at: Duration, line: &str) {
        let since = at.saturating_sub(self.started).as_secs_f64();
        self.tell(&format!("{since:.3} {line}"));
    }

    fn tell(&mut self, line: &str) {
        self.pending.push_str(&format!("#{} {line}\n", self.number));
    }
}
