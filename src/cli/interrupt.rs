//! Ctrl-C, `SIGTERM` and the end of the terminal: the first stops what runs, the second does not
//! wait for it.

use std::future;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use super::error::Error;
use super::report;
use super::runtime::block_on;
use crate::build;
use crate::progress::Sink;
use crate::solver::Cancel;
use crate::sys::process;

/// What a shell gives for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
/// What it gives for one that its terminal's end ended.
const HUNG_UP: u8 = 129;

/// Whether the terminal's end was why the work was canceled.
static IS_HUNG_UP: AtomicBool = AtomicBool::new(false);

/// Gives the exit code of what was canceled.
pub(super) fn exit_code() -> u8 {
    match IS_HUNG_UP.load(Ordering::Relaxed) {
        true => HUNG_UP,
        false => INTERRUPTED,
    }
}

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
        hang_up(),
    );
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hang_up)) = caught else {
        return;
    };
    // Nobody needs to know any more if this fails.
    let _ = ready.send(());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = received(&mut hang_up) => IS_HUNG_UP.store(true, Ordering::Relaxed),
    }
    sink.warn("stopping; once more to stop at once");
    cancel.cancel();
    // That the terminal is gone may be told by the shell and by the kernel: it is no wish to hurry.
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    // The build has no time left to say it.
    report::error(&Error::from(build::Error::Canceled));
    std::process::exit(exit_code().into());
}

/// Catches the terminal's end, unless it is to be ignored, as with `nohup`.
fn hang_up() -> io::Result<Option<Signal>> {
    let kind = SignalKind::hangup();
    match process::is_ignored(kind.as_raw_value()) {
        true => Ok(None),
        false => signal(kind).map(Some),
    }
}

/// Waits for a signal if it is caught, else without end.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => future::pending().await,
    }
}
