//! Which of the processes that a sandbox needs this one was started to be: they are all this binary,
//! under other names.

use crate::sandbox::Error;
use crate::sandbox::rootless;
use crate::sandbox::template::anchor;
use crate::sandbox::template::serve;

/// Becomes the template of sandboxes, their anchor, or root of a user namespace, and does not return,
/// if this process was started for that.
///
/// To be called before anything else in `main`: the process must have one thread.
///
/// # Errors
/// [`Error::UserNamespace`] if it cannot become root of one.
#[expect(
    clippy::disallowed_methods,
    reason = "this process is no `rbuild` that a user started: it has no `cli`"
)]
pub fn init_if_requested() -> Result<(), Error> {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    if name == anchor::NAME {
        std::process::exit(anchor::hold());
    }
    if name == serve::NAME {
        std::process::exit(serve::serve(args));
    }
    if name == rootless::MAPPER {
        std::process::exit(rootless::map(args));
    }
    if name == rootless::NAME {
        return Err(rootless::become_root(args));
    }
    Ok(())
}
