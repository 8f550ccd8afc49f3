//! The network of a command that asks for none: one of its own that leads outside.
//!
//! Making one takes a few milliseconds, so they are kept for the commands that come after. No two
//! commands share one at the same time, and nothing of a command is left on it when it has ended:
//! its processes are gone, and it could not change interfaces or routes.

use std::sync::Mutex;
use std::sync::PoisonError;

use crate::progress::Sink;
use crate::progress::in_one_line;
use crate::sandbox;
use crate::sandbox::Outbound;

/// The networks of the commands of one build or run.
#[derive(Debug, Default)]
pub struct Networks {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Outbound>,
    is_refused: bool,
}

impl Networks {
    /// Gives a network to use alone; none if this machine cannot make one, which is said once, or
    /// if it is not wanted any more.
    #[must_use]
    pub fn take(&self, sink: &Sink, is_wanted: impl Fn() -> bool + Sync) -> Option<Outbound> {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(network) = state.idle.pop() {
                if network.is_alive() {
                    return Some(network);
                }
            }
            if state.is_refused {
                return None;
            }
        }
        // Others may make theirs meanwhile.
        let refusal = match Outbound::open(is_wanted) {
            Ok(network) => return Some(network),
            Err(sandbox::Error::Unwanted) => return None,
            Err(refusal) => refusal,
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut state.is_refused, true) {
            sink.warn(format!(
                "commands run on the network of this machine, since {}",
                in_one_line(&refusal)
            ));
        }
        None
    }

    /// Has those end that nobody uses, all at once.
    pub(in crate::worker) fn end(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for network in &state.idle {
            network.end();
        }
    }

    /// Takes a network back that nobody uses any more, and that nobody could have changed.
    pub(super) fn give_back(&self, network: Outbound) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.idle.push(network);
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        self.end();
    }
}
