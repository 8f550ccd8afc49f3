//! From many threads to one: the queue of events, the clock and the thread that draws.

use std::fmt;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use super::renderer::Renderer;
use super::renderer::Size;
use crate::cli::outcome::Manner;
use crate::progress::Event;
use crate::progress::Sink;

/// How many events may wait for a slow terminal before those who send them wait too.
const QUEUE_LIMIT: usize = 4096;
/// The time between two drawings of a view: 10 a second are smooth and cost nothing.
const FRAME: Duration = Duration::from_millis(100);
const FALLBACK_SIZE: Size = Size {
    rows: 24,
    columns: 80,
};

/// Shows events until it is dropped; then everything has been written.
///
/// As long as steps are only found in the cache there is no thread: what they say is written in one
/// go at the end, because starting a thread would cost more than the build.
#[derive(Debug)]
pub(in crate::cli) struct Display {
    shared: Arc<Shared>,
    sink: Sink,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    state: Mutex<State>,
    /// Something came into the queue, or the end was announced.
    filled: Condvar,
    /// The queue was emptied.
    drained: Condvar,
}

#[derive(Debug)]
struct State {
    queue: Vec<(Duration, Event)>,
    /// With the thread, once there is one.
    renderer: Option<Renderer>,
    thread: Option<JoinHandle<()>>,
    on_work: Vec<Hook>,
    closed: bool,
}

/// What is done when the first step begins to run.
struct Hook(Box<dyn FnOnce() + Send>);

impl fmt::Debug for Hook {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Hook")
    }
}

impl Display {
    /// Makes a display that shows nothing yet.
    pub(super) fn new(renderer: Renderer) -> Self {
        let state = State {
            queue: Vec::new(),
            renderer: Some(renderer),
            thread: None,
            on_work: Vec::new(),
            closed: false,
        };
        let shared = Arc::new(Shared {
            began: Instant::now(),
            state: Mutex::new(state),
            filled: Condvar::new(),
            drained: Condvar::new(),
        });
        let copy = Arc::clone(&shared);
        let sink = Sink::new(move |event| receive(&copy, event));
        Self { shared, sink }
    }

    /// Gives the sink whose events are shown.
    pub(in crate::cli) fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// Says how a result is told after such progress.
    pub(in crate::cli) fn manner(&self) -> Manner {
        let state = self.shared.lock();
        state
            .renderer
            .as_ref()
            .map_or(Manner::Nothing, Renderer::manner)
    }

    /// Does something as soon as a step begins to run, and not if all is found in the cache.
    pub(in crate::cli) fn on_work(&self, hook: impl FnOnce() + Send + 'static) {
        self.shared.lock().on_work.push(Hook(Box::new(hook)));
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let thread = {
            let mut state = self.shared.lock();
            state.closed = true;
            state.thread.take()
        };
        self.shared.filled.notify_one();
        self.shared.drained.notify_all();
        if let Some(thread) = thread {
            // A panic in it has been reported where it happened.
            let _ = thread.join();
        }
        let mut state = self.shared.lock();
        if let Some(mut renderer) = state.renderer.take() {
            let queue = std::mem::take(&mut state.queue);
            write(&finished(&mut renderer, self.shared.began, &queue));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked in here left a queue that can still be shown.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says whether an event shows that something runs that may take its time. A build of which all is
/// cached reads its Dockerfile and writes its manifest, and needs no thread for that.
fn is_work(event: &Event) -> bool {
    match event {
        Event::Cached { .. } | Event::Warning { .. } | Event::Done { .. } => false,
        Event::Started { name, .. } => {
            !name.starts_with("[internal] load build definition") && !name.starts_with("exporting")
        }
        _ => true,
    }
}

/// Takes an event from any thread, and starts the thread that draws once something runs.
fn receive(shared: &Arc<Shared>, event: Event) {
    let at = shared.began.elapsed();
    let mut state = shared.lock();
    while state.queue.len() >= QUEUE_LIMIT && state.thread.is_some() && !state.closed {
        state = shared
            .drained
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
    }
    if state.closed {
        return;
    }
    let runs = is_work(&event);
    state.queue.push((at, event));
    if state.thread.is_some() {
        shared.filled.notify_one();
    } else if runs && let Some(renderer) = state.renderer.take() {
        let copy = Arc::clone(shared);
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || draw(&copy, renderer));
        // Without a thread nothing is shown, but the build goes on.
        state.closed = thread.is_err();
        state.thread = thread.ok();
        let hooks = std::mem::take(&mut state.on_work);
        drop(state);
        hooks.into_iter().for_each(|hook| hook.0());
    }
}

/// Draws until the end is announced.
fn draw(shared: &Shared, mut renderer: Renderer) {
    loop {
        let (queue, closed) = next(shared, &renderer);
        if closed {
            write(&finished(&mut renderer, shared.began, &queue));
            return;
        }
        let mut out = String::new();
        for (at, event) in &queue {
            renderer.event(*at, event, &mut out);
        }
        renderer.refresh(shared.began.elapsed(), size(&renderer), &mut out);
        write(&out);
        if renderer.is_drawing() {
            pause(shared);
        }
    }
}

/// Waits for events, the end, or the time to look again.
fn next(shared: &Shared, renderer: &Renderer) -> (Vec<(Duration, Event)>, bool) {
    let mut state = shared.lock();
    let idle = |state: &mut State| state.queue.is_empty() && !state.closed;
    state = match renderer.interval() {
        None => shared
            .filled
            .wait_while(state, idle)
            .unwrap_or_else(PoisonError::into_inner),
        Some(interval) => {
            shared
                .filled
                .wait_timeout_while(state, interval, idle)
                .unwrap_or_else(PoisonError::into_inner)
                .0
        }
    };
    let queue = std::mem::take(&mut state.queue);
    shared.drained.notify_all();
    (queue, state.closed)
}

/// Lets events gather until it is time for the next frame or the end.
fn pause(shared: &Shared) {
    let state = shared.lock();
    let full = |state: &mut State| state.queue.len() < QUEUE_LIMIT && !state.closed;
    drop(
        shared
            .filled
            .wait_timeout_while(state, FRAME, full)
            .unwrap_or_else(PoisonError::into_inner),
    );
}

fn finished(renderer: &mut Renderer, began: Instant, queue: &[(Duration, Event)]) -> String {
    let mut out = String::new();
    for (at, event) in queue {
        renderer.event(*at, event, &mut out);
    }
    let size = size(renderer);
    renderer.finish(began.elapsed(), size, &mut out);
    out
}

/// Asks anew each time: windows are resized.
fn size(renderer: &Renderer) -> Size {
    if !renderer.is_drawing() {
        return FALLBACK_SIZE;
    }
    match crate::sys::tty::size(io::stderr()) {
        Ok(found) if found.rows > 0 && found.columns > 0 => Size {
            rows: found.rows.into(),
            columns: found.columns.into(),
        },
        _ => FALLBACK_SIZE,
    }
}

fn write(text: &str) {
    if !text.is_empty() {
        // There is nobody to tell that nobody listens.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}
