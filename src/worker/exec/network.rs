//! The network of a command that asks for none: one of its own that leads outside.
//!
//! Making one takes a few milliseconds, so they are kept for the commands that come after. No two
//! commands share one at the same time, and nothing of a command is left on it when it has ended:
//! its processes are gone, and it could not change interfaces or routes.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;
use std::thread::JoinHandle;

use crate::progress::Sink;
use crate::progress::in_one_line;
use crate::sandbox;
use crate::sandbox::Outbound;
use crate::solver::Cancel;

/// The networks of the commands of one build or run.
#[derive(Debug, Default)]
pub struct Networks {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Outbound>,
    /// One that is being made for whoever asks first.
    ahead: Option<Ahead>,
    is_refused: bool,
    can_be_made: bool,
}

#[derive(Debug)]
struct Ahead {
    thread: JoinHandle<Result<Outbound, sandbox::Error>>,
    cancel: Cancel,
}

impl Networks {
    /// Begins to make a network, for a command that is about to ask for one.
    pub(super) fn expect(&self, cancel: &Cancel) {
        let mut state = self.state();
        if state.ahead.is_some() || state.is_refused || !state.idle.is_empty() {
            return;
        }
        let cancel = cancel.child();
        let wanted = cancel.clone();
        let open = move || Outbound::open(|| !wanted.is_canceled());
        let thread = thread::Builder::new().name("network ahead".to_owned());
        // Where no thread can be made, it is made when it is asked for.
        let thread = thread.spawn(open).ok();
        state.ahead = thread.map(|thread| Ahead { thread, cancel });
    }

    /// Gives a network to use alone; none if this machine cannot make one, which is said once, or
    /// if it is not wanted any more.
    ///
    /// # Errors
    /// If this machine could make one before, or may yet: a command that brings it to its limits does
    /// not gain the machine's own network for the next one.
    pub fn take(
        &self,
        sink: &Sink,
        is_wanted: impl Fn() -> bool + Sync,
    ) -> Result<Option<Outbound>, sandbox::Error> {
        let ahead = {
            let mut state = self.state();
            while let Some(network) = state.idle.pop() {
                if network.is_alive() {
                    return Ok(Some(network));
                }
            }
            if state.is_refused {
                return Ok(None);
            }
            state.ahead.take()
        };
        // Others may make theirs meanwhile.
        let opened = match ahead {
            Some(ahead) => ahead.wait(),
            None => Outbound::open(is_wanted),
        };
        self.state().take(opened, sink)
    }

    /// Has those end that nobody uses, all at once.
    pub(in crate::worker) fn end(&self) {
        let mut state = self.state();
        for network in &mut state.idle {
            network.end();
        }
        if let Some(ahead) = &state.ahead {
            ahead.cancel.cancel();
        }
    }

    /// Takes a network back that nobody uses any more, and that nobody could have changed.
    pub(super) fn give_back(&self, network: Outbound) {
        self.state().idle.push(network);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes what has come of making one.
    fn take(
        &mut self,
        opened: Result<Outbound, sandbox::Error>,
        sink: &Sink,
    ) -> Result<Option<Outbound>, sandbox::Error> {
        match opened {
            Ok(network) => {
                self.can_be_made = true;
                Ok(Some(network))
            }
            Err(sandbox::Error::Unwanted) => Ok(None),
            Err(late @ sandbox::Error::NetworkLate { .. }) => Err(late),
            Err(refusal) if self.can_be_made => Err(refusal),
            Err(refusal) => {
                if !std::mem::replace(&mut self.is_refused, true) {
                    sink.warn(format!(
                        "commands run on the network of this machine, since {}",
                        in_one_line(&refusal)
                    ));
                }
                Ok(None)
            }
        }
    }
}

impl Ahead {
    fn wait(self) -> Result<Outbound, sandbox::Error> {
        let joined = self.thread.join();
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        self.end();
        let ahead = self.state().ahead.take();
        // Nobody has asked for it, and nobody will.
        drop(ahead.map(Ahead::wait));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_machines_own_network_is_given_for_a_refusal_only() {
        let mut state = State::default();
        let late = || sandbox::Error::NetworkLate {
            program: "slirp4netns",
            timeout: Duration::from_secs(1),
        };
        let sink = Sink::silent();
        assert!(state.take(Err(late()), &sink).is_err());
        let refusal = Err(sandbox::Error::NoNetworkProgram);
        assert!(matches!(state.take(refusal, &sink), Ok(None)));
        // What another command waits for meanwhile.
        assert!(state.take(Err(late()), &sink).is_err());
        state.can_be_made = true;
        let refusal = Err(sandbox::Error::NoNetworkProgram);
        assert!(state.take(refusal, &sink).is_err());
    }
}
