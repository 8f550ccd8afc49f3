//! `--progress=tty`: what ended scrolls away in single lines, what runs is drawn below them, again
//! and again.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use anstyle::Style;

use super::draw;
use super::draw::Paint;
use super::renderer::Size;
use super::units;
use crate::progress::Event;
use crate::progress::StepId;
use crate::progress::Transfer;

/// How many of its last lines are shown of a running step.
const TAIL_ROWS: usize = 6;
const TAIL_INDENT: &str = " => => # ";
/// Lines are written over the old ones and cleared one by one: clearing all at once from the top of
/// the screen, tmux would keep the old view in its history.
const END_OF_LINE: &str = "\x1b[K\n";
const CLEAR_BELOW: &str = "\x1b[J";
const BEGIN_SYNCHRONIZED: &str = "\x1b[?2026h";
const END_SYNCHRONIZED: &str = "\x1b[?2026l";

/// The state of the view.
#[derive(Debug)]
pub(super) struct Tty {
    paint: Paint,
    columns: usize,
    running: BTreeMap<StepId, Step>,
    /// Lines that will not change again, not yet written.
    settled: Vec<Settled>,
    /// How wide the lines are that were drawn last.
    drawn: Vec<usize>,
    done: usize,
    cached: usize,
    failed: usize,
    canceled: usize,
}

/// A line that will not change again; its form depends on the window.
#[derive(Debug)]
struct Settled {
    text: String,
    time: Option<Duration>,
    style: Style,
}

struct Step {
    name: Arc<str>,
    started: Duration,
    screen: vt100::Parser,
    moved: BTreeMap<(u8, Arc<str>), Moved>,
}

struct Moved {
    transfer: Transfer,
    done_bytes: u64,
    total_bytes: Option<u64>,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Step")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Tty {
    /// Begins with nothing on the screen.
    pub(super) fn new(colored: bool) -> Self {
        Self {
            paint: Paint { colored },
            columns: 80,
            running: BTreeMap::new(),
            settled: Vec::new(),
            drawn: Vec::new(),
            done: 0,
            cached: 0,
            failed: 0,
            canceled: 0,
        }
    }

    /// Takes an event.
    pub(super) fn event(&mut self, at: Duration, event: &Event) {
        match event {
            Event::Started { step, name } => {
                let started = Step {
                    name: Arc::clone(name),
                    started: at,
                    screen: screen(self.columns),
                    moved: BTreeMap::new(),
                };
                self.running.insert(*step, started);
            }
            Event::Cached { name, .. } => {
                self.cached += 1;
                let text = format!(" => CACHED {name}");
                self.settle(text, Some(Duration::ZERO), draw::FINISHED);
            }
            Event::Output { step, bytes, .. } => {
                if let Some(step) = self.running.get_mut(step) {
                    feed(&mut step.screen, bytes);
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
                    let key = (*transfer as u8, Arc::clone(item));
                    step.moved.insert(key, moved);
                }
            }
            Event::Done { step } => {
                self.done += 1;
                self.end(*step, at, "", draw::FINISHED);
            }
            Event::Failed { step, .. } => {
                self.failed += 1;
                self.end(*step, at, "ERROR ", draw::FAILED);
            }
            Event::Canceled { step } => {
                self.canceled += 1;
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
        let time = units::seconds(at);
        if self.done + self.cached + self.failed + self.canceled > 0 {
            let cached = match self.cached {
                0 => String::new(),
                count => format!(", {count} of them cached"),
            };
            let ended = self.done + self.cached;
            let steps = if ended == 1 { "step" } else { "steps" };
            let line = match (self.failed, self.canceled) {
                (0, 0) => format!("[+] Done in {time}, {ended} {steps}{cached}"),
                (0, _) => format!("[+] Canceled after {time}"),
                _ => format!("[+] Failed after {time}"),
            };
            self.settle(line, None, Style::new());
        }
        self.running.clear();
        self.replace(&[], size, out);
    }

    fn resize(&mut self, size: Size) {
        if self.columns != size.columns {
            self.columns = size.columns;
            let (rows, columns) = screen_size(size.columns);
            for step in self.running.values_mut() {
                step.screen.set_size(rows, columns);
            }
        }
    }

    /// Puts settled lines and `live` where the last view was.
    fn replace(&mut self, live: &[String], size: Size, out: &mut String) {
        let is_unchanged = live.is_empty() && self.settled.is_empty() && self.drawn.is_empty();
        if is_unchanged {
            return;
        }
        out.push_str(BEGIN_SYNCHRONIZED);
        // A window that was made narrower has broken the lines of the last view.
        let rows: usize = self
            .drawn
            .iter()
            .map(|width| width.div_ceil(size.columns).max(1))
            .sum();
        // What has scrolled off the top cannot be reached.
        let rows = rows.min(size.rows.saturating_sub(1));
        if rows > 0 {
            let _ = write!(out, "\x1b[{rows}A");
        }
        out.push('\r');
        for settled in self.settled.drain(..) {
            let line = match settled.time {
                Some(time) => draw::spread(&settled.text, &units::seconds(time), size.columns),
                None => settled.text,
            };
            out.push_str(&self.paint.put(settled.style, &line));
            out.push_str(END_OF_LINE);
        }
        for line in live {
            out.push_str(line);
            out.push_str(END_OF_LINE);
        }
        out.push_str(CLEAR_BELOW);
        out.push_str(END_SYNCHRONIZED);
        self.drawn = live.iter().map(|line| draw::width(line)).collect();
    }

    /// Gives the lines about what runs; they fit the window.
    fn live(&self, at: Duration, size: Size) -> Vec<String> {
        if self.running.is_empty() {
            return Vec::new();
        }
        let ended = self.done + self.cached;
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
            _ => ((budget - shown) / shown).min(TAIL_ROWS),
        };
        for step in self.running.values().take(shown) {
            let time = units::seconds(at.saturating_sub(step.started));
            lines.push(draw::spread(
                &format!(" => {}", step.name),
                &time,
                size.columns,
            ));
            let about = step.details(details, size.columns);
            lines.extend(about.iter().map(|line| self.paint.put(draw::FAINT, line)));
        }
        if hidden > 0 {
            lines.push(draw::cut(&format!(" => … and {hidden} more"), size.columns));
        }
        lines
    }
}

impl Step {
    /// Gives at most `limit` lines: what moves, then what the process wrote last.
    fn details(&self, limit: usize, columns: usize) -> Vec<String> {
        let is_moving = |moved: &&Moved| moved.total_bytes != Some(moved.done_bytes);
        let moving: Vec<String> = self
            .moved
            .iter()
            .filter(|(_, moved)| is_moving(moved))
            .map(|((_, item), moved)| moved.line(item, columns))
            .collect();
        let wide = u16::try_from(columns).unwrap_or(u16::MAX);
        let written: Vec<String> = self.screen.screen().rows(0, wide).collect();
        let used = written.iter().rposition(|row| !row.trim().is_empty());
        let written = &written[..used.map_or(0, |last| last + 1)];
        let mut lines: Vec<String> = moving.into_iter().take(limit).collect();
        let left = (limit - lines.len()).min(written.len());
        let tail = written[written.len() - left..].iter();
        lines.extend(tail.map(|row| draw::cut(&format!("{TAIL_INDENT}{row}"), columns)));
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

fn screen_size(columns: usize) -> (NonZeroU16, NonZeroU16) {
    let columns = columns.saturating_sub(TAIL_INDENT.len() + 1).max(1);
    let columns = u16::try_from(columns).unwrap_or(u16::MAX);
    // One row more than is shown: the cursor stands in the last one, which is mostly empty.
    let rows = u16::try_from(TAIL_ROWS + 1).unwrap_or(1);
    (
        NonZeroU16::new(rows).unwrap_or(NonZeroU16::MIN),
        NonZeroU16::new(columns).unwrap_or(NonZeroU16::MIN),
    )
}

fn screen(columns: usize) -> vt100::Parser {
    let (rows, columns) = screen_size(columns);
    vt100::Parser::new(rows, columns, 0)
}

/// Writes on a screen what a process wrote into a pipe, where lines end without a carriage return.
fn feed(screen: &mut vt100::Parser, bytes: &[u8]) {
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        match piece.strip_suffix(b"\n") {
            Some(line) => {
                screen.process(line);
                screen.process(b"\r\n");
            }
            None => screen.process(piece),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Size;
    use super::Tty;
    use crate::progress::Event;
    use crate::progress::StepId;
    use crate::progress::Stream;
    use crate::progress::Transfer;

    /// A view with its terminal.
    struct Bench {
        tty: Tty,
        terminal: vt100::Parser,
        size: Size,
    }

    impl Bench {
        fn new(rows: usize, columns: usize) -> Self {
            let narrow = |size: usize| u16::try_from(size).unwrap().try_into().unwrap();
            Self {
                tty: Tty::new(false),
                terminal: vt100::Parser::new(narrow(rows), narrow(columns), 1000),
                size: Size { rows, columns },
            }
        }

        fn play(&mut self, at_ms: u64, events: &[Event]) -> String {
            for event in events {
                self.tty.event(Duration::from_millis(at_ms), event);
            }
            self.refresh(at_ms)
        }

        fn refresh(&mut self, at_ms: u64) -> String {
            let mut out = String::new();
            let at = Duration::from_millis(at_ms);
            self.tty.refresh(at, self.size, &mut out);
            self.seen(&out)
        }

        fn finish(&mut self, at_ms: u64) -> String {
            let mut out = String::new();
            let at = Duration::from_millis(at_ms);
            self.tty.finish(at, self.size, &mut out);
            self.seen(&out)
        }

        fn seen(&mut self, out: &str) -> String {
            self.terminal.process(out.replace('\n', "\r\n").as_bytes());
            self.terminal.screen().contents()
        }
    }

    fn started(step: u64, name: &str) -> Event {
        let (step, name) = (StepId(step), Arc::from(name));
        Event::Started { step, name }
    }

    fn output(step: u64, text: &str) -> Event {
        Event::Output {
            step: StepId(step),
            stream: Stream::Stdout,
            bytes: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn running_steps_are_drawn_over_and_ended_ones_stay() {
        let mut bench = Bench::new(12, 40);
        let (step, name) = (StepId(0), Arc::from("[1/2] FROM debian"));
        let seen = bench.play(
            0,
            &[Event::Cached { step, name }, started(1, "[2/2] RUN make")],
        );
        assert_eq!(
            seen,
            " => CACHED [1/2] FROM debian       0.0s\n\
             [+] Building 0.0s (1/2)\n\
             \x20=> [2/2] RUN make                 0.0s"
        );
        let seen = bench.play(1500, &[output(1, "one\ntwo\n")]);
        assert_eq!(
            seen,
            " => CACHED [1/2] FROM debian       0.0s\n\
             [+] Building 1.5s (1/2)\n\
             \x20=> [2/2] RUN make                 1.5s\n\
             \x20=> => # one\n\
             \x20=> => # two"
        );
        let step = StepId(1);
        bench.play(2000, &[Event::Done { step }]);
        let seen = bench.finish(2100);
        assert_eq!(
            seen,
            " => CACHED [1/2] FROM debian       0.0s\n\
             \x20=> [2/2] RUN make                 2.0s\n\
             [+] Done in 2.1s, 2 steps, 1 of them cached"
        );
    }

    #[test]
    fn only_the_last_lines_are_shown() {
        let mut bench = Bench::new(24, 40);
        let text: String = (0..100).map(|line| format!("line {line}\n")).collect();
        let seen = bench.play(0, &[started(0, "RUN seq"), output(0, &text)]);
        assert!(
            seen.contains("# line 94\n") && seen.contains("# line 99"),
            "{seen}"
        );
        assert!(!seen.contains("# line 93"), "{seen}");
    }

    #[test]
    fn a_bar_shows_what_moves() {
        let mut bench = Bench::new(24, 80);
        let moved = |done_bytes| Event::Moved {
            step: StepId(0),
            item: Arc::from(format!("sha256:{}", "ab".repeat(32))),
            transfer: Transfer::Download,
            done_bytes,
            total_bytes: Some(2_000_000),
        };
        let seen = bench.play(0, &[started(0, "FROM x"), moved(1_000_000)]);
        assert!(seen.contains("sha256:abababababab  "), "{seen}");
        assert!(
            seen.contains("[=========>          ]   1.00MB /   2.00MB"),
            "{seen}"
        );
        let seen = bench.play(10, &[moved(2_000_000)]);
        assert!(!seen.contains("2.00MB"), "{seen}");
    }

    #[test]
    fn more_steps_than_rows_are_counted() {
        let mut bench = Bench::new(6, 40);
        let steps: Vec<Event> = (0..10)
            .map(|id| started(id, &format!("step {id}")))
            .collect();
        let seen = bench.play(0, &steps);
        assert!(
            seen.contains("step 2") && !seen.contains("step 3"),
            "{seen}"
        );
        assert!(seen.contains("and 7 more"), "{seen}");
        let again = bench.refresh(100);
        assert_eq!(again.lines().count(), seen.lines().count());
    }

    #[test]
    fn windows_of_any_size_are_drawn_in() {
        for rows in 1..5 {
            for columns in 1..30 {
                let mut bench = Bench::new(rows, columns);
                bench.play(0, &[started(0, "a 字字字字字字字字"), output(0, "字字\n")]);
                bench.size.columns = 31 - columns;
                bench.refresh(100);
                bench.finish(200);
            }
        }
    }
}
