//! `--progress=plain`: lines that are only added to, in BuildKit's form.
//!
//! One step has the floor. The lines of others wait until it is done, or for a moment at most; a
//! step that ended is told of at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::lines::Lines;
use super::units;
use crate::progress::Event;
use crate::progress::StepId;
use crate::progress::Transfer;

/// How long a step waits for the floor.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a line may be without its end before it is shown.
const UNFINISHED: Duration = Duration::from_secs(1);
/// A transfer is told of anew after this share of it and this pause, or this time.
const TRANSFER_SHARE: u64 = 5;
const TRANSFER_PAUSE: Duration = Duration::from_secs(1);
const TRANSFER_TIME: Duration = Duration::from_secs(5);

/// The state of the lines.
#[derive(Debug, Default)]
pub(super) struct Plain {
    steps: BTreeMap<StepId, Step>,
    last_number: usize,
    floor: Option<StepId>,
    /// In the order they began to wait.
    waiting: Vec<StepId>,
    wrote: bool,
}

#[derive(Debug)]
struct Step {
    number: usize,
    name: Arc<str>,
    started: Duration,
    streams: [Lines; 2],
    moved: BTreeMap<Arc<str>, Moved>,
    pending: String,
    waiting_since: Duration,
    ended: bool,
}

/// What was last told of a transfer.
#[derive(Debug)]
struct Moved {
    transfer: Transfer,
    began: Duration,
    told: Duration,
    told_bytes: u64,
    done_bytes: u64,
    ended: bool,
}

impl Plain {
    /// Takes an event.
    pub(super) fn event(&mut self, at: Duration, event: &Event, out: &mut String) {
        let id = match event {
            Event::Started { step, name } => self.begin(*step, name, at),
            Event::Cached { step, name } => {
                self.begin(*step, name, at);
                self.end(*step, at, "CACHED")
            }
            Event::Output {
                step,
                stream,
                bytes,
            } => self.output(*step, *stream as usize, at, bytes),
            Event::Moved { step, .. } => self.moved(*step, at, event),
            Event::Done { step } => {
                let since = self.steps.get(step).map_or(at, |step| step.started);
                let time = units::seconds(at.saturating_sub(since));
                self.end(*step, at, &format!("DONE {time}"))
            }
            Event::Failed { step, message } => self.end(*step, at, &format!("ERROR: {message}")),
            Event::Canceled { step } => self.end(*step, at, "CANCELED"),
            Event::Warning { message } => return self.warn(message, out),
        };
        if let Some(id) = id {
            self.settle(id, at, out);
        }
    }

    /// Gives the floor to a step that has waited long enough, and shows unfinished lines.
    pub(super) fn refresh(&mut self, at: Duration, out: &mut String) {
        let ids: Vec<StepId> = self.steps.keys().copied().collect();
        for id in ids {
            self.flush_streams(id, at, |stream| stream.is_waiting(at, UNFINISHED));
            if self
                .steps
                .get(&id)
                .is_some_and(|step| !step.pending.is_empty())
            {
                self.settle(id, at, out);
            }
        }
        let patient = |id: &StepId| {
            let since = self.steps.get(id).map_or(at, |step| step.waiting_since);
            since + PATIENCE <= at
        };
        if let Some(next) = self.waiting.iter().copied().find(patient) {
            self.show(next, out);
        }
    }

    /// Shows what still waits.
    pub(super) fn finish(&mut self, at: Duration, out: &mut String) {
        let ids: Vec<StepId> = self.steps.keys().copied().collect();
        for id in ids {
            self.flush_streams(id, at, |_| true);
            if self
                .steps
                .get(&id)
                .is_some_and(|step| !step.pending.is_empty())
            {
                self.show(id, out);
            }
        }
        if self.wrote {
            out.push('\n');
        }
    }

    fn begin(&mut self, id: StepId, name: &Arc<str>, at: Duration) -> Option<StepId> {
        self.last_number += 1;
        let step = Step {
            number: self.last_number,
            name: Arc::clone(name),
            started: at,
            streams: Default::default(),
            moved: BTreeMap::new(),
            pending: String::new(),
            waiting_since: at,
            ended: false,
        };
        self.steps.insert(id, step);
        Some(id)
    }

    fn output(&mut self, id: StepId, stream: usize, at: Duration, bytes: &[u8]) -> Option<StepId> {
        let step = self.steps.get_mut(&id)?;
        let mut lines = std::mem::take(&mut step.streams[stream]);
        lines.push(at, bytes, |line| step.log(at, line));
        step.streams[stream] = lines;
        Some(id)
    }

    fn flush_streams(&mut self, id: StepId, at: Duration, due: impl Fn(&Lines) -> bool) {
        let Some(step) = self.steps.get_mut(&id) else {
            return;
        };
        for index in 0..step.streams.len() {
            if due(&step.streams[index]) {
                let mut lines = std::mem::take(&mut step.streams[index]);
                lines.flush(|line| step.log(at, line));
            }
        }
    }

    fn moved(&mut self, id: StepId, at: Duration, event: &Event) -> Option<StepId> {
        let Event::Moved {
            item,
            transfer,
            done_bytes,
            total_bytes,
            ..
        } = event
        else {
            return None;
        };
        let step = self.steps.get_mut(&id)?;
        let fresh = Moved {
            transfer: *transfer,
            began: at,
            told: at,
            told_bytes: 0,
            done_bytes: 0,
            ended: false,
        };
        let known = step
            .moved
            .get(item)
            .is_some_and(|moved| moved.transfer == *transfer);
        if !known {
            step.moved.insert(Arc::clone(item), fresh);
        }
        let moved = step.moved.get_mut(item)?;
        moved.done_bytes = *done_bytes;
        if moved.ended {
            return None;
        }
        moved.ended = *total_bytes == Some(*done_bytes);
        let share = total_bytes.map_or(u64::MAX, |total| (total / TRANSFER_SHARE).max(1));
        let is_news = moved.ended
            || at.saturating_sub(moved.told) >= TRANSFER_TIME
            || (at.saturating_sub(moved.told) >= TRANSFER_PAUSE
                && done_bytes.saturating_sub(moved.told_bytes) >= share);
        if !is_news {
            return None;
        }
        (moved.told, moved.told_bytes) = (at, *done_bytes);
        let line = moved.line(item, *total_bytes, at);
        step.pending.push_str(&format!("#{} {line}\n", step.number));
        Some(id)
    }

    fn end(&mut self, id: StepId, at: Duration, how: &str) -> Option<StepId> {
        self.flush_streams(id, at, |_| true);
        let step = self.steps.get_mut(&id)?;
        step.ended = true;
        step.pending.push_str(&format!("#{} {how}\n", step.number));
        Some(id)
    }

    /// Shows a step's lines if it has the floor, may take it, or has ended; else lets it wait.
    fn settle(&mut self, id: StepId, at: Duration, out: &mut String) {
        let ended = self.steps.get(&id).is_some_and(|step| step.ended);
        if ended || self.floor.is_none_or(|floor| floor == id) {
            self.show(id, out);
        } else if !self.waiting.contains(&id) {
            self.waiting.push(id);
            if let Some(step) = self.steps.get_mut(&id) {
                step.waiting_since = at;
            }
        }
        // The floor is free: whoever has waited longest takes it.
        while self.floor.is_none() && !self.waiting.is_empty() {
            self.show(self.waiting[0], out);
        }
    }

    fn show(&mut self, id: StepId, out: &mut String) {
        self.waiting.retain(|waiting| *waiting != id);
        if self.floor != Some(id) {
            let interrupted = self.floor.and_then(|floor| self.steps.get(&floor));
            if let Some(step) = interrupted {
                out.push_str(&format!("#{} ...\n", step.number));
            }
            // The interrupted step goes on when it has something to say.
            self.floor = None;
        }
        let Some(step) = self.steps.get_mut(&id) else {
            return;
        };
        if self.floor.is_none() {
            if self.wrote {
                out.push('\n');
            }
            out.push_str(&format!("#{} {}\n", step.number, step.name));
        }
        self.wrote = true;
        out.push_str(&std::mem::take(&mut step.pending));
        self.floor = Some(id);
        if step.ended {
            self.floor = None;
            self.steps.remove(&id);
        }
    }

    fn warn(&mut self, message: &str, out: &mut String) {
        if self.wrote {
            out.push('\n');
        }
        out.push_str("warning: ");
        out.push_str(message);
        out.push('\n');
        self.wrote = true;
        self.floor = None;
    }
}

impl Step {
    fn log(&mut self, at: Duration, line: &str) {
        let since = at.saturating_sub(self.started).as_secs_f64();
        self.pending
            .push_str(&format!("#{} {since:.3} {line}\n", self.number));
    }
}

impl Moved {
    fn line(&self, item: &str, total_bytes: Option<u64>, at: Duration) -> String {
        let verb = units::verb(self.transfer);
        let done = units::bytes(self.done_bytes);
        let time = units::seconds(at.saturating_sub(self.began));
        match total_bytes {
            Some(_) if self.ended => format!("{verb}{item} {done} {time} done"),
            Some(total) => format!("{verb}{item} {done} / {} {time}", units::bytes(total)),
            None => format!("{verb}{item} {done} {time}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Plain;
    use crate::progress::Event;
    use crate::progress::StepId;
    use crate::progress::Stream;
    use crate::progress::Transfer;

    fn started(step: u64, name: &str) -> Event {
        let (step, name) = (StepId(step), Arc::from(name));
        Event::Started { step, name }
    }

    fn cached(step: u64, name: &str) -> Event {
        let (step, name) = (StepId(step), Arc::from(name));
        Event::Cached { step, name }
    }

    fn output(step: u64, text: &str) -> Event {
        Event::Output {
            step: StepId(step),
            stream: Stream::Stdout,
            bytes: text.as_bytes().to_vec(),
        }
    }

    fn done(step: u64) -> Event {
        Event::Done { step: StepId(step) }
    }

    fn moved(done_bytes: u64, total_bytes: Option<u64>) -> Event {
        Event::Moved {
            step: StepId(0),
            item: Arc::from("sha256:abc"),
            transfer: Transfer::Download,
            done_bytes,
            total_bytes,
        }
    }

    /// Plays events at the given milliseconds, looking at the clock after each.
    fn check(events: &[(u64, Event)], expected: &str) {
        let mut plain = Plain::default();
        let mut out = String::new();
        for (at_ms, event) in events {
            plain.event(Duration::from_millis(*at_ms), event, &mut out);
            plain.refresh(Duration::from_millis(*at_ms), &mut out);
        }
        plain.finish(Duration::from_secs(100), &mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn a_step_looks_like_buildkits() {
        check(
            &[
                (0, cached(0, "[1/2] FROM debian")),
                (1000, started(1, "[2/2] RUN make")),
                (1123, output(1, "cc a.c\ncc ")),
                (1200, output(1, "b.c\n")),
                (2200, done(1)),
            ],
            "#1 [1/2] FROM debian\n#1 CACHED\n\n#2 [2/2] RUN make\n#2 0.123 cc a.c\n\
             #2 0.200 cc b.c\n#2 DONE 1.2s\n\n",
        );
    }

    #[test]
    fn nothing_happened_nothing_said() {
        check(&[], "");
    }

    #[test]
    fn a_step_waits_for_the_floor_and_not_forever() {
        check(
            &[
                (0, started(0, "a")),
                (0, started(1, "b")),
                (100, output(1, "from b\n")),
                (200, output(0, "from a\n")),
                (2000, output(0, "more\n")),
                (2500, done(1)),
                (3000, done(0)),
            ],
            "#1 a\n#1 0.200 from a\n#1 2.000 more\n#1 ...\n\n#2 b\n#2 0.100 from b\n\
             #2 DONE 2.5s\n\n#1 a\n#1 DONE 3.0s\n\n",
        );
    }

    #[test]
    fn an_ended_step_is_told_of_at_once() {
        check(
            &[
                (0, started(0, "a")),
                (10, started(1, "b")),
                (20, done(1)),
                (30, output(0, "on\n")),
            ],
            "#1 a\n#1 ...\n\n#2 b\n#2 DONE 0.0s\n\n#1 a\n#1 0.030 on\n\n",
        );
    }

    #[test]
    fn a_question_without_line_end_is_shown_after_a_while() {
        let mut plain = Plain::default();
        let mut out = String::new();
        plain.event(Duration::ZERO, &started(0, "a"), &mut out);
        plain.event(Duration::ZERO, &output(0, "sure? "), &mut out);
        plain.refresh(Duration::from_millis(500), &mut out);
        assert_eq!(out, "#1 a\n");
        plain.refresh(Duration::from_millis(1500), &mut out);
        assert_eq!(out, "#1 a\n#1 1.500 sure? \n");
    }

    #[test]
    fn what_was_written_last_comes_before_the_end() {
        check(
            &[
                (0, started(0, "a")),
                (10, output(0, "no newline")),
                (
                    20,
                    Event::Failed {
                        step: StepId(0),
                        message: "exit code: 1".to_owned(),
                    },
                ),
            ],
            "#1 a\n#1 0.020 no newline\n#1 ERROR: exit code: 1\n\n",
        );
    }

    #[test]
    fn transfers_are_told_of_now_and_then() {
        let total = Some(1_000_000);
        check(
            &[
                (0, started(0, "FROM x")),
                (0, moved(0, total)),
                (100, moved(300_000, total)),
                (1100, moved(300_000, total)),
                (2100, moved(310_000, total)),
                (2900, moved(1_000_000, total)),
                (2901, moved(1_000_000, total)),
            ],
            "#1 FROM x\n#1 sha256:abc 300.00kB / 1.00MB 1.1s\n\
             #1 sha256:abc 1.00MB 2.9s done\n\n",
        );
        check(
            &[
                (0, started(0, "FROM x")),
                (0, moved(10, None)),
                (6000, moved(20, None)),
            ],
            "#1 FROM x\n#1 sha256:abc 20B 6.0s\n\n",
        );
    }

    #[test]
    fn a_warning_stands_alone() {
        let message = "mind the gap".to_owned();
        check(
            &[
                (0, started(0, "a")),
                (1, Event::Warning { message }),
                (2, done(0)),
            ],
            "#1 a\n\nwarning: mind the gap\n\n#1 a\n#1 DONE 0.0s\n\n",
        );
    }
}
