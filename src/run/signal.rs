//! Signals to rbuild are signals to the process; `SIGTERM` becomes the one its image asks for. A
//! process whose terminal is gone ends: nobody could reach it any more.

use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::task::JoinSet;

use crate::oci::signal_number;
use crate::run::Error;
use crate::run::terminal::Session;
use crate::sandbox::Killer;
use crate::sys::process;

/// After so many wishes to end that the process did not heed, it is killed, as with docker.
const WISHES: usize = 3;

/// How long a process may take to end when its terminal is gone, as when it is stopped.
const GRACE: Duration = Duration::from_secs(10);

/// The last signal that Linux has.
const LAST: i32 = 64;

/// Signals that are caught, from before there is a process on.
#[derive(Debug)]
pub(super) struct Signals {
    received: mpsc::Receiver<SignalKind>,
    send: mpsc::Sender<SignalKind>,
    listening: JoinSet<()>,
}

fn ending() -> [SignalKind; 4] {
    [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::quit(),
        SignalKind::hangup(),
    ]
}

/// Catches signals: from here on they do not end rbuild. With `nohup`, a terminal's end is none.
pub(super) fn catch() -> Result<Signals, Error> {
    let others = [SignalKind::user_defined1(), SignalKind::user_defined2()];
    let (send, received) = mpsc::channel(16);
    let mut listening = JoinSet::new();
    let is_ignored =
        |kind: SignalKind| kind == SignalKind::hangup() && process::is_ignored(kind.as_raw_value());
    let kinds = ending().into_iter().chain(others);
    for kind in kinds.filter(|kind| !is_ignored(*kind)) {
        let caught = signal(kind).map_err(|source| Error::Runtime { source })?;
        listening.spawn(listen(caught, kind, send.clone()));
    }
    Ok(Signals {
        received,
        send,
        listening,
    })
}

impl Signals {
    /// What tells that the user's terminal is gone, as `SIGHUP` does where it is this session's.
    pub(super) fn hang_up(&self) -> impl FnOnce() + Send + 'static {
        let send = self.send.clone();
        move || {
            // Nobody listens any more when all is over.
            let _ = send.blocking_send(SignalKind::hangup());
        }
    }
}

/// Gives as many wishes to end as a process may leave out of account, the usual one first. Others
/// than these could be taken for one when they come at once.
pub(super) fn wishes() -> [i32; WISHES] {
    let kinds = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::quit(),
    ];
    kinds.map(|kind| kind.as_raw_value())
}

/// Gives the signal by which the process is asked to end: what `STOPSIGNAL` says, else `SIGTERM`.
pub(super) fn that_ends(stop_signal: &str) -> i32 {
    let number = stop_signal.parse();
    number
        .ok()
        .filter(|number| (1..=LAST).contains(number))
        .or_else(|| signal_number(stop_signal))
        .unwrap_or(SignalKind::terminate().as_raw_value())
}

/// Passes signals on, `SIGTERM` as the one that `ends` the process; aborted, it stops.
pub(super) fn forward(
    signals: Signals,
    ends: i32,
    killer: Killer,
    session: Option<&Session>,
) -> Result<AbortHandle, Error> {
    let Signals {
        mut received,
        mut listening,
        ..
    } = signals;
    let has_terminal = session.is_some();
    if let Some(session) = session.cloned() {
        let resized = signal(SignalKind::window_change());
        let mut resized = resized.map_err(|source| Error::Runtime { source })?;
        listening.spawn(async move {
            while resized.recv().await.is_some() {
                session.resize();
            }
        });
    }
    let task = tokio::spawn(async move {
        let mut wishes = 0;
        while let Some(kind) = received.recv().await {
            wishes += usize::from(ending().contains(&kind));
            if has_terminal && kind == SignalKind::hangup() {
                listening.spawn(kill_after(GRACE, killer.clone()));
            }
            // A process that has ended meanwhile needs no signal.
            let _ = match passed_on(kind, ends, wishes) {
                Some(number) => killer.signal(number),
                None => killer.kill(),
            };
        }
    });
    Ok(task.abort_handle())
}

async fn kill_after(time: Duration, killer: Killer) {
    tokio::time::sleep(time).await;
    // It has ended already if it cannot be killed.
    let _ended = killer.kill();
}

/// Gives what a signal is to the process, of whose wishes to end it is the last; nothing if it is to
/// be killed with all that belongs to it.
///
/// Of the two signals that nobody can catch neither is sent: one would end the process that watches
/// over the others before these, and one only stop it.
fn passed_on(kind: SignalKind, ends: i32, wishes: usize) -> Option<i32> {
    const KILL_AND_STOP: [i32; 2] = [9, 19];
    let number = match kind == SignalKind::terminate() {
        true => ends,
        false => kind.as_raw_value(),
    };
    (wishes < WISHES && !KILL_AND_STOP.contains(&number)).then_some(number)
}

async fn listen(mut signal: Signal, kind: SignalKind, send: mpsc::Sender<SignalKind>) {
    while signal.recv().await.is_some() {
        if send.send(kind).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SignalKind;
    use super::WISHES;
    use super::passed_on;
    use super::that_ends;

    #[test]
    fn a_signal_that_nobody_catches_kills_all() {
        let terminate = SignalKind::terminate();
        for (kind, ends, wishes, expected) in [
            (terminate, 15, 1, Some(15)),
            (terminate, 10, 2, Some(10)),
            (terminate, 10, WISHES, None),
            (terminate, that_ends("SIGKILL"), 1, None),
            (terminate, that_ends("SIGSTOP"), 1, None),
            (SignalKind::interrupt(), 9, 1, Some(2)),
            (SignalKind::user_defined1(), 9, 0, Some(10)),
        ] {
            assert_eq!(passed_on(kind, ends, wishes), expected, "{kind:?} {ends}");
        }
    }

    #[test]
    fn an_image_may_name_the_signal_that_ends_it() {
        for (text, number) in [
            ("", 15),
            ("SIGUSR1", 10),
            ("12", 12),
            ("-1", 15),
            ("65", 15),
        ] {
            assert_eq!(that_ends(text), number, "{text:?}");
        }
    }
}
