//! Going on as root of a user namespace, for users who are not root.
//!
//! What costs nothing comes first: a build of which everything is known needs no namespace. What
//! it says is held back until that is clear, since rbuild else begins anew and says it again.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use super::arguments::Home;
use super::environment::Environment;
use super::error::Error;
use crate::build::ContextSource;
use crate::build::DockerfileSource;
use crate::build::Request;
use crate::export::Target;
use crate::progress::Event;
use crate::progress::Sink;
use crate::sandbox;
use crate::sandbox::Entry;
use crate::sandbox::IsolationWish;

/// Tells whether this user may have to become root of a user namespace.
pub(super) fn may_be_needed(home: &Home, environment: &Environment) -> Result<bool, Error> {
    let wishes = home.wishes(environment)?;
    Ok(!environment.is_root && wishes.isolation != IsolationWish::Chroot)
}

/// Tells whether a build is to begin as root of a user namespace at once: what it reads can be read
/// only once, or what it writes has owners.
pub(super) fn is_needed_at_once(request: &Request) -> bool {
    !matches!(request.context, ContextSource::Directory(_))
        || matches!(
            request.dockerfile,
            DockerfileSource::Stdin | DockerfileSource::Url(_)
        )
        || request.outputs.iter().any(Target::has_files)
}

/// Begins rbuild anew as root of a user namespace; returns only if that failed.
pub(super) fn enter(home: &Home, environment: &Environment) -> Error {
    Error::Rootless(try_to_enter(home, environment))
}

/// The same, for those who go on if that failed.
pub(super) fn try_to_enter(home: &Home, environment: &Environment) -> sandbox::Error {
    let mut variables = environment.variables.clone();
    let root = home.root(environment).into_os_string();
    variables.insert(OsString::from("RBUILD_ROOT"), root);
    let entry = Entry {
        program: environment.binary.clone(),
        args: environment.arguments.clone(),
        env: variables.into_iter().collect(),
    };
    sandbox::enter(&entry)
}

/// What was said and not shown yet.
#[derive(Clone, Default)]
pub(super) struct Held {
    events: Arc<Mutex<Vec<Event>>>,
}

impl Held {
    /// Gives a sink that holds back.
    pub(super) fn sink(&self) -> Sink {
        let events = Arc::clone(&self.events);
        Sink::new(move |event| {
            let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
            events.push(event);
        })
    }

    /// Passes on all that was held back.
    pub(super) fn release(&self, sink: &Sink) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events.drain(..) {
            sink.send(event);
        }
    }
}
