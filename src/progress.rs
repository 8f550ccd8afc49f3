//! What is going on, as values: [`Event`]s and the [`Sink`] they go to.
//!
//! Every room that takes time says so through a [`Step`]. Nothing here prints, and nothing here
//! reads a clock: whoever receives the events does.

use std::error::Error;
use std::fmt;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Tells steps apart; given in the order the steps were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub u64);

/// Which of a process's outputs a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What is being moved or made, byte by byte, within a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// From a registry or a web server.
    Download,
    /// A layer's tar to a directory.
    Unpack,
    /// A directory to a layer's tar.
    Pack,
    /// To a registry.
    Upload,
    /// From the build context.
    Context,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A step began. A step that was found in the cache says [`Event::Cached`] instead.
    Started {
        /// Which.
        step: StepId,
        /// What it is called: `[build 2/4] RUN make`.
        name: Arc<str>,
    },
    /// A step need not run: its result was found in the cache.
    Cached {
        /// Which.
        step: StepId,
        /// What it is called.
        name: Arc<str>,
    },
    /// A step's process wrote something; not necessarily whole lines or UTF-8.
    Output {
        /// Which.
        step: StepId,
        /// Where it was written.
        stream: Stream,
        /// What was written.
        bytes: Vec<u8>,
    },
    /// Bytes moved.
    Moved {
        /// Which step.
        step: StepId,
        /// What moves: a digest or a file's name; unique within the step.
        item: Arc<str>,
        /// In which way.
        transfer: Transfer,
        /// So far.
        done_bytes: u64,
        /// In all, if that is known.
        total_bytes: Option<u64>,
    },
    /// A step ended well.
    Done {
        /// Which.
        step: StepId,
    },
    /// A step failed.
    Failed {
        /// Which.
        step: StepId,
        /// Why, in one line.
        message: String,
    },
    /// A step was stopped because another failed or the user wished it.
    Canceled {
        /// Which.
        step: StepId,
    },
    /// Something the user should know that is no failure.
    Warning {
        /// What.
        message: String,
    },
}

/// Where events go. Cheap to clone; may be called from any thread.
#[derive(Clone)]
pub struct Sink {
    receive: Arc<dyn Fn(Event) + Send + Sync>,
    next: Arc<AtomicU64>,
}

impl Sink {
    /// Makes a sink that hands each event to `receive`, which must not block for long.
    pub fn new(receive: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self {
            receive: Arc::new(receive),
            next: Arc::default(),
        }
    }

    /// Makes a sink that forgets everything.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| ())
    }

    /// Names a step. Nothing is said until it starts or turns out to be cached.
    #[must_use]
    pub fn step(&self, name: &str) -> Step {
        let id = StepId(self.next.fetch_add(1, Ordering::Relaxed));
        Step {
            id,
            name: Arc::from(name),
            sink: self.clone(),
        }
    }

    /// Says something the user should know that is no failure.
    pub fn warn(&self, message: impl Into<String>) {
        self.send(Event::Warning {
            message: message.into(),
        });
    }

    /// Passes on what another sink was told.
    pub fn send(&self, event: Event) {
        (self.receive)(event);
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sink")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// One piece of work that the user is shown.
#[derive(Clone, Debug)]
pub struct Step {
    id: StepId,
    name: Arc<str>,
    sink: Sink,
}

impl Step {
    /// Gives the step's id.
    #[must_use]
    pub fn id(&self) -> StepId {
        self.id
    }

    /// Gives what the step is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the sink the step reports to.
    #[must_use]
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// Says that the work began.
    pub fn started(&self) {
        self.sink.send(Event::Started {
            step: self.id,
            name: Arc::clone(&self.name),
        });
    }

    /// Says that the result was found in the cache.
    pub fn cached(&self) {
        self.sink.send(Event::Cached {
            step: self.id,
            name: Arc::clone(&self.name),
        });
    }

    /// Passes on what the step's process wrote.
    pub fn output(&self, stream: Stream, bytes: &[u8]) {
        self.sink.send(Event::Output {
            step: self.id,
            stream,
            bytes: bytes.to_vec(),
        });
    }

    /// Says how much of `item` has moved.
    pub fn moved(&self, item: &Arc<str>, transfer: Transfer, done: u64, total: Option<u64>) {
        self.sink.send(Event::Moved {
            step: self.id,
            item: Arc::clone(item),
            transfer,
            done_bytes: done,
            total_bytes: total,
        });
    }

    /// Says that the work ended well.
    pub fn done(&self) {
        self.sink.send(Event::Done { step: self.id });
    }

    /// Says that the work failed.
    pub fn failed(&self, message: impl Into<String>) {
        self.sink.send(Event::Failed {
            step: self.id,
            message: message.into(),
        });
    }

    /// Says that the work was stopped because of something else.
    pub fn canceled(&self) {
        self.sink.send(Event::Canceled { step: self.id });
    }
}

/// Writes an error with its causes in one line, for a warning or a cell of a table.
#[must_use]
pub fn in_one_line(error: &dyn Error) -> String {
    let causes = iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;

    use super::Event;
    use super::Sink;

    #[test]
    fn steps_are_told_apart() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let copy = Arc::clone(&seen);
        let sink = Sink::new(move |event| copy.lock().expect("no panic").push(event));
        let first = sink.step("a");
        let second = sink.step("b");
        second.cached();
        first.started();
        assert_ne!(first.id(), second.id());
        let expected = [
            Event::Cached {
                step: second.id(),
                name: Arc::from("b"),
            },
            Event::Started {
                step: first.id(),
                name: Arc::from("a"),
            },
        ];
        assert_eq!(*seen.lock().expect("no panic"), expected);
    }
}
