//! What no sandbox outlives: the first process of a namespace of process numbers that the template
//! is in, and with it all copies of it and all that these start.
//!
//! The kernel kills it when this process ends, however it ends, and when it is gone, all others in
//! the namespace. A sandbox's own first process could be told to die with this process as well, but
//! a command may take that back, and the kernel does when a set-user-id program is executed. The
//! anchor is in sight of no sandbox.

use std::ffi::CString;

use crate::sandbox::Error;
use crate::sandbox::sealed::Program;
use crate::sys;
use crate::sys::namespace;
use crate::sys::namespace::Namespace;
use crate::sys::process;
use crate::sys::process::Child;

/// What the process is called, which does nothing.
pub(super) const NAME: &str = "rbuild: anchor";

/// The process.
pub(super) struct Anchor(Child);

impl Anchor {
    /// Starts it, and has all that this thread starts from now on end with it.
    pub(super) fn start(program: &Program) -> sys::Result<Anchor> {
        // A script that stands for the binary does not learn what it is called.
        let args = [NAME, "anchor"].map(|text| CString::new(text).expect("it has no NUL"));
        let anchor = Anchor(program.launch(&[Namespace::Pid], &args, &[])?);
        namespace::start_beside(&anchor.0)?;
        Ok(anchor)
    }

    /// Has it end; all others in its namespace have ended.
    pub(super) fn end(self) -> Result<(), Error> {
        process::signal(&self.0, process::KILL).map_err(Error::Signal)?;
        self.0.wait().map(|_| ()).map_err(Error::Wait)
    }
}
