//! The ways to show progress, behind one face.

use std::borrow::Cow;
use std::time::Duration;

use super::failure::Failures;
use super::plain::Plain;
use super::rawjson::RawJson;
use super::tty::Tty;
use crate::cli::outcome::Manner;
use crate::cli::printable::printable;
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
        if let Face::RawJson(json) = &mut self.face {
            return json.event(at, event, out);
        }
        let event = &*printable_event(event);
        self.failures.event(at, event);
        match &mut self.face {
            Face::Quiet | Face::RawJson(_) => {}
            Face::Plain(plain) => plain.event(at, event, out),
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

/// Gives an event whose names and messages may be written to a terminal. What a process writes stays
/// as it is: it may be in colours.
fn printable_event(event: &Event) -> Cow<'_, Event> {
    let mut event = Cow::Borrowed(event);
    match &*event {
        Event::Output { .. } | Event::Done { .. } | Event::Canceled { .. } => return event,
        _ => {}
    }
    match event.to_mut() {
        Event::Started { name, .. } | Event::Cached { name, .. } => *name = printable(name).into(),
        Event::Moved { item, .. } => *item = printable(item).into(),
        Event::Failed { message, .. } | Event::Warning { message } => *message = printable(message),
        Event::Output { .. } | Event::Done { .. } | Event::Canceled { .. } => {}
    }
    event
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Renderer;
    use super::Size;
    use crate::progress::Event;
    use crate::progress::StepId;
    use crate::progress::Stream;

    /// Shows a step whose name, output and message each have a control character.
    fn shown(mut renderer: Renderer) -> String {
        let step = StepId(0);
        let events = [
            Event::Started {
                step,
                name: "RUN \u{1b}]0;x\u{7}".into(),
            },
            Event::Output {
                step,
                stream: Stream::Stdout,
                bytes: b"\x1b[32mgreen\x1b[0m\n".to_vec(),
            },
            Event::Failed {
                step,
                message: "no \u{1b}c".to_owned(),
            },
            Event::Warning {
                message: "mind \u{9b}2J".to_owned(),
            },
        ];
        let (at, mut out) = (Duration::ZERO, String::new());
        for event in &events {
            renderer.event(at, event, &mut out);
        }
        let size = Size {
            rows: 24,
            columns: 80,
        };
        renderer.finish(at, size, &mut out);
        out
    }

    #[test]
    fn no_name_or_message_steers_the_terminal() {
        for renderer in [Renderer::plain(), Renderer::tty(false), Renderer::quiet()] {
            let out = shown(renderer);
            assert!(out.contains("RUN \u{fffd}]0;x\u{fffd}"), "{out:?}");
            assert!(!out.contains("\u{1b}]"), "{out:?}");
            assert!(!out.contains("\u{1b}c"), "{out:?}");
            assert!(!out.contains('\u{9b}'), "{out:?}");
        }
    }

    #[test]
    fn what_a_process_writes_keeps_its_colours() {
        assert!(shown(Renderer::plain()).contains("\u{1b}[32mgreen\u{1b}[0m\n"));
    }
}
