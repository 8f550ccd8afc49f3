//! The user's terminal and that of the process, joined.

use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread::JoinHandle;

use crate::run::Error;
use crate::run::Streams;
use crate::sandbox::RawTerminal;
use crate::sandbox::TerminalSize;
use crate::sandbox::resize_terminal;
use crate::sandbox::terminal_size;

const BUFFER_BYTES: usize = 16 << 10;
/// The size of a terminal that nobody sees.
const UNSEEN: TerminalSize = TerminalSize {
    rows: 24,
    columns: 80,
};

/// Two terminals joined. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Session(Arc<Joined>);

#[derive(Debug)]
struct Joined {
    controller: File,
    /// Put back when the session is over.
    raw: Mutex<Option<RawTerminal>>,
    shown: Mutex<Option<JoinHandle<()>>>,
}

/// The size of the user's terminal.
pub(super) fn size() -> TerminalSize {
    terminal_size(io::stdout())
        .or_else(|_| terminal_size(io::stdin()))
        .ok()
        .filter(|size| size.rows > 0 && size.columns > 0)
        .unwrap_or(UNSEEN)
}

/// Joins the terminals: what the process shows is shown, and what the user types reaches it if it
/// is to read at all. `hang_up` is told when the user's terminal is gone.
pub(super) fn connect(
    controller: File,
    streams: Streams,
    hang_up: impl FnOnce() + Send + 'static,
) -> Result<Session, Error> {
    let copy = || {
        controller
            .try_clone()
            .map_err(|source| Error::Runtime { source })
    };
    let mut raw = None;
    if streams.has_input() {
        // Without a terminal on this side bytes pass as they are.
        raw = RawTerminal::enter(io::stdin()).ok();
        let (typed, is_raw) = (copy()?, raw.is_some());
        thread("typed", move || {
            pass(io::stdin().lock(), typed);
            // Nothing that is typed there ends it.
            if is_raw {
                hang_up();
            }
        })?;
    }
    let output = copy()?;
    let shown = thread("shown", move || pass(output, io::stdout()))?;
    Ok(Session(Arc::new(Joined {
        controller,
        raw: Mutex::new(raw),
        shown: Mutex::new(Some(shown)),
    })))
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|source| Error::Runtime { source })
}

impl Session {
    /// Gives the process's terminal the size of the user's.
    pub(super) fn resize(&self) {
        // A terminal that is gone has no size.
        let _ = resize_terminal(&self.0.controller, size());
    }

    /// Waits until all is shown that the process wrote, and puts the user's terminal back.
    pub(super) fn finish(self) {
        let shown = lock(&self.0.shown).take();
        if let Some(shown) = shown {
            // A panic in it has been reported where it happened.
            let _ = shown.join();
        }
        lock(&self.0.raw).take();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes bytes on as they come, until one side is closed. Reading from a terminal whose programs
/// have all ended fails with `EIO`, which is its end.
fn pass(mut from: impl Read, mut to: impl Write) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                if to.write_all(&buffer[..count]).is_err() || to.flush().is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
