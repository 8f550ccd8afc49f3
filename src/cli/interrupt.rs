//! Ctrl-C and `SIGTERM`: the first stops what runs, the second does not wait for it.

use std::sync::mpsc;

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use super::error::Error;
use super::report;
use super::runtime::block_on;
use crate::build;
use crate::progress::Sink;
use crate::solver::Cancel;

/// What a shell gives for a program that Ctrl-C ended.
pub(super) const EXIT_CODE: u8 = 130;

/// Lets signals stop the work from now on. Without this they end the process, which the store
/// survives, but not what a step wrote last.
pub(super) fn cancels(cancel: Cancel, sink: Sink) {
    let (ready, caught) = mpsc::channel();
    let watch = move || {
        // Where no runtime can be made, signals do what they do by themselves.
        let _ = block_on(watch(cancel, sink, ready));
    };
    let thread = std::thread::Builder::new().name("signals".to_owned());
    if thread.spawn(watch).is_ok() {
        // It fails where signals cannot be caught.
        let _ = caught.recv();
    }
}

/// Tells when signals are caught, and heeds them.
async fn watch(cancel: Cancel, sink: Sink, ready: mpsc::Sender<()>) {
    let caught = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = caught else {
        return;
    };
    // Nobody needs to know any more if this fails.
    let _ = ready.send(());
    for is_first in [true, false] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if is_first {
            sink.warn("stopping; once more to stop at once");
            cancel.cancel();
        }
    }
    // The build has no time left to say it.
    report::error(&Error::from(build::Error::Canceled));
    std::process::exit(EXIT_CODE.into());
}
