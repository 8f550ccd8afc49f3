//! The ways to show progress, behind one face.

use std::time::Duration;

use super::failure::Failures;
use super::plain::Plain;
use super::rawjson::RawJson;
use super::tty::Tty;
use crate::cli::outcome::Manner;
use crate::progress::Event;

/// How many lines of a failing step are quoted where its log was not to be seen before.
const WHOLE_LOG: usize = usize::MAX;
/// How many lines of a failing step are quoted where the log is further up.
const TAIL_OF_LOG: usize = 50;

/// The size of the terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Lines.
    pub rows: usize,
    /// Characters in a line.
    pub columns: usize,
}

/// Turns events into what is written to standard error.
#[derive(Debug)]
pub(super) struct Renderer {
    face: Face,
    failures: Failures,
}

#[derive(Debug)]
enum Face {
    Quiet,
    Plain(Plain),
    RawJson(RawJson),
    Tty(Box<Tty>),
}

impl Renderer {
    fn new(face: Face) -> Self {
        Self {
            face,
            failures: Failures::default(),
        }
    }

    /// Shows nothing until something fails.
    pub(super) fn quiet() -> Self {
        Self::new(Face::Quiet)
    }

    /// Shows lines.
    pub(super) fn plain() -> Self {
        Self::new(Face::Plain(Plain::default()))
    }

    /// Shows JSON; `epoch_ns` is the time of the display's beginning.
    pub(super) fn raw_json(epoch_ns: i128) -> Self {
        Self::new(Face::RawJson(RawJson::new(epoch_ns)))
    }

    /// Shows a view that is rewritten.
    pub(super) fn tty(colored: bool) -> Self {
        Self::new(Face::Tty(Box::new(Tty::new(colored))))
    }

    /// Says how a result is told after it.
    pub(super) fn manner(&self) -> Manner {
        match self.face {
            Face::Quiet => Manner::Id,
            Face::Plain(_) | Face::Tty(_) => Manner::Summary,
            Face::RawJson(_) => Manner::Nothing,
        }
    }

    /// Says how often something may change by time alone.
    pub(super) fn interval(&self) -> Option<Duration> {
        match self.face {
            Face::Quiet | Face::RawJson(_) => None,
            Face::Plain(_) => Some(Duration::from_millis(500)),
            Face::Tty(_) => Some(Duration::from_millis(100)),
        }
    }

    /// Says whether it matters how large the terminal is, and how often is too often to draw.
    pub(super) fn is_drawing(&self) -> bool {
        matches!(self.face, Face::Tty(_))
    }

    /// Takes an event that happened `at`.
    pub(super) fn event(&mut self, at: Duration, event: &Event, out: &mut String) {
        self.failures.event(at, event);
        match &mut self.face {
            Face::Quiet => {}
            Face::Plain(plain) => plain.event(at, event, out),
            Face::RawJson(json) => json.event(at, event, out),
            Face::Tty(tty) => tty.event(at, event),
        }
    }

    /// Brings what is seen up to date.
    pub(super) fn refresh(&mut self, at: Duration, size: Size, out: &mut String) {
        match &mut self.face {
            Face::Quiet | Face::RawJson(_) => {}
            Face::Plain(plain) => plain.refresh(at, out),
            Face::Tty(tty) => tty.refresh(at, size, out),
        }
    }

    /// Writes what is left to say when nothing more will happen.
    pub(super) fn finish(&mut self, at: Duration, size: Size, out: &mut String) {
        match &mut self.face {
            Face::Quiet => self.failures.write(WHOLE_LOG, out),
            Face::RawJson(_) => {}
            Face::Plain(plain) => {
                plain.finish(at, out);
                self.failures.write(TAIL_OF_LOG, out);
            }
            Face::Tty(tty) => {
                tty.finish(at, size, out);
                self.failures.write(WHOLE_LOG, out);
            }
        }
    }
}
