//! `--progress=plain`: lines that are only added to, in BuildKit's form.
//!
//! One step has the floor. The lines of others wait until it is done, or for a moment at most; a
//! step that ended is told of at once.

mod moved;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use self::step::Step;
use super::lines::Lines;
use super::units;
use crate::progress::Event;
use crate::progress::StepId;

/// How long a step waits for the floor.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a line may be without its end before it is shown.
const UNFINISHED: Duration = Duration::from_secs(1);

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
        for id in self.ids() {
            if self.flush(id, at, |stream| stream.is_waiting(at, UNFINISHED)) {
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
        for id in self.ids() {
            if self.flush(id, at, |_| true) {
                self.show(id, out);
            }
        }
        if self.wrote {
            out.push('\n');
        }
    }

    fn begin(&mut self, id: StepId, name: &Arc<str>, at: Duration) -> Option<StepId> {
        self.last_number += 1;
        let step = Step::new(self.last_number, name, at);
        self.steps.insert(id, step);
        Some(id)
    }

    fn output(&mut self, id: StepId, stream: usize, at: Duration, bytes: &[u8]) -> Option<StepId> {
        self.steps.get_mut(&id)?.output(stream, at, bytes);
        Some(id)
    }

    fn moved(&mut self, id: StepId, at: Duration, event: &Event) -> Option<StepId> {
        self.steps.get_mut(&id)?.moved(at, event).then_some(id)
    }

    fn end(&mut self, id: StepId, at: Duration, how: &str) -> Option<StepId> {
        self.steps.get_mut(&id)?.end(at, how);
        Some(id)
    }

    fn ids(&self) -> Vec<StepId> {
        self.steps.keys().copied().collect()
    }

    /// Ends the lines of a step that are `due`; says whether it has anything to show then.
    fn flush(&mut self, id: StepId, at: Duration, due: impl Fn(&Lines) -> bool) -> bool {
        self.steps.get_mut(&id).is_some_and(|step| {
            step.flush(at, due);
            !step.pending.is_empty()
        })
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
