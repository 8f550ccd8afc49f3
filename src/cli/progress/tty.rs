//! `--progress=tty`: what ended scrolls away in single lines, what runs is drawn below them, again
//! and again.
//!
//! Start reading at [`Tty`].

mod canvas;
mod screen;
mod step;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use anstyle::Style;

use self::canvas::Canvas;
use self::step::Moved;
use self::step::Step;
use self::tally::Tally;
use super::draw;
use super::draw::Paint;
use super::renderer::Size;
use super::units;
use crate::progress::Event;
use crate::progress::StepId;

/// The state of the view.
#[derive(Debug)]
pub(super) struct Tty {
    paint: Paint,
    columns: usize,
    running: BTreeMap<StepId, Step>,
    /// Lines that will not change again, not yet written.
    settled: Vec<Settled>,
    canvas: Canvas,
    tally: Tally,
}

/// A line that will not change again; its form depends on the window.
#[derive(Debug)]
struct Settled {
    text: String,
    time: Option<Duration>,
    style: Style,
}

impl Tty {
    /// Begins with nothing on the screen.
    pub(super) fn new(colored: bool) -> Self {
        Self {
            paint: Paint { colored },
            columns: 80,
            running: BTreeMap::new(),
            settled: Vec::new(),
            canvas: Canvas::default(),
            tally: Tally::default(),
        }
    }

    /// Takes an event.
    pub(super) fn event(&mut self, at: Duration, event: &Event) {
        match event {
            Event::Started { step, name } => {
                self.running
                    .insert(*step, Step::new(name, at, self.columns));
            }
            Event::Cached { name, .. } => {
                self.tally.cached += 1;
                let text = format!(" => CACHED {name}");
                self.settle(text, Some(Duration::ZERO), draw::FINISHED);
            }
            Event::Output { step, bytes, .. } => {
                if let Some(step) = self.running.get_mut(step) {
                    step.screen.write(bytes);
                }
            }
            Event::Moved {
                step,
                item,
                transfer,
                done_bytes,
                total_bytes,
            } => {
                let moved = Moved {
                    transfer: *transfer,
                    done_bytes: *done_bytes,
                    total_bytes: *total_bytes,
                };
                if let Some(step) = self.running.get_mut(step) {
                    step.moves(item, moved);
                }
            }
            Event::Done { step } => {
                self.tally.done += 1;
                self.end(*step, at, "", draw::FINISHED);
            }
            Event::Failed { step, .. } => {
                self.tally.failed += 1;
                self.end(*step, at, "ERROR ", draw::FAILED);
            }
            Event::Canceled { step } => {
                self.tally.canceled += 1;
                self.end(*step, at, "CANCELED ", draw::WARNED);
            }
            Event::Warning { message } => {
                self.settle(format!("warning: {message}"), None, draw::WARNED);
            }
        }
    }

    fn end(&mut self, id: StepId, at: Duration, how: &str, style: Style) {
        if let Some(step) = self.running.remove(&id) {
            let time = at.saturating_sub(step.started);
            self.settle(format!(" => {how}{}", step.name), Some(time), style);
        }
    }

    fn settle(&mut self, text: String, time: Option<Duration>, style: Style) {
        self.settled.push(Settled { text, time, style });
    }

    /// Draws the view anew, in one go.
    pub(super) fn refresh(&mut self, at: Duration, size: Size, out: &mut String) {
        self.resize(size);
        let live = self.live(at, size);
        self.replace(&live, size, out);
    }

    /// Leaves the screen with a line that says how it ended.
    pub(super) fn finish(&mut self, at: Duration, size: Size, out: &mut String) {
        self.resize(size);
        if let Some(line) = self.tally.line(at) {
            self.settle(line, None, Style::new());
        }
        self.running.clear();
        self.replace(&[], size, out);
    }

    fn resize(&mut self, size: Size) {
        if self.columns != size.columns {
            self.columns = size.columns;
            for step in self.running.values_mut() {
                step.screen.resize(size.columns);
            }
        }
    }

    fn replace(&mut self, live: &[String], size: Size, out: &mut String) {
        let settled = self.settled.drain(..);
        let settled: Vec<String> = settled
            .map(|line| line.draw(self.paint, size.columns))
            .collect();
        self.canvas.replace(&settled, live, size, out);
    }

    /// Gives the lines about what runs; they fit the window.
    fn live(&self, at: Duration, size: Size) -> Vec<String> {
        if self.running.is_empty() {
            return Vec::new();
        }
        let ended = self.tally.ended_well();
        let head = format!(
            "[+] Building {} ({ended}/{})",
            units::seconds(at),
            ended + self.running.len()
        );
        let mut lines = vec![draw::cut(&head, size.columns)];
        // One row is the cursor's, one the heading's.
        let budget = size.rows.saturating_sub(2).max(1);
        let (shown, hidden) = match self.running.len() {
            count if count <= budget => (count, 0),
            count => (budget - 1, count - (budget - 1)),
        };
        let details = match shown {
            0 => 0,
            _ => ((budget - shown) / shown).min(screen::TAIL_ROWS),
        };
        for step in self.running.values().take(shown) {
            lines.push(step.head(at, size.columns));
            let about = step.details(details, size.columns);
            lines.extend(about.iter().map(|line| self.paint.put(draw::FAINT, line)));
        }
        if hidden > 0 {
            lines.push(draw::cut(&format!(" => … and {hidden} more"), size.columns));
        }
        lines
    }
}

impl Settled {
    fn draw(self, paint: Paint, columns: usize) -> String {
        let line = match self.time {
            Some(time) => draw::spread(&self.text, &units::seconds(time), columns),
            None => self.text,
        };
        paint.put(self.style, &line)
    }
}
