//! Ctrl-C and `SIGTERM`: the first stops what runs, the second does not wait for it.

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use super::runtime::block_on;
use crate::progress::Sink;
use crate::solver::Cancel;

/// What a shell gives for a program that Ctrl-C ended.
pub(super) const EXIT_CODE: u8 = 130;

/// Lets signals stop the work from now on. Without this they end the process, which the store
/// survives, but not what a step wrote last.
pub(super) fn cancels(cancel: Cancel, sink: Sink) {
    let watch = move || {
        let story = async {
            let Ok(mut interrupt) = signal(SignalKind::interrupt()) else {
                return;
            };
            let Ok(mut terminate) = signal(SignalKind::terminate()) else {
                return;
            };
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
            std::process::exit(EXIT_CODE.into());
        };
        // Where no runtime can be made, signals do what they do by themselves.
        let _ = block_on(story);
    };
    let thread = std::thread::Builder::new().name("signals".to_owned());
    let _ = thread.spawn(watch);
}
