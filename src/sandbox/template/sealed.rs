//! This very binary, to start processes of sandboxes by.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::path::PathBuf;

use crate::sys;
use crate::sys::keeper;
use crate::sys::mount::Attributes;
use crate::sys::mount::Depth;
use crate::sys::mount::Mount;
use crate::sys::namespace::Namespace;
use crate::sys::process::Child;

/// The binary to execute.
pub(super) enum Program {
    View(Mount),
    Path(PathBuf),
}

impl Program {
    /// Makes a read-only view of the binary, so that a process in a sandbox that gets hold of it
    /// through `/proc/self/exe` cannot overwrite it (CVE-2019-5736).
    ///
    /// Who may not make such a view may, as a rule, not write the binary either.
    pub(super) fn sealed(path: &Path) -> Program {
        let read_only = Attributes {
            read_only: true,
            ..Attributes::default()
        };
        let view = Mount::bind(path, Depth::One)
            .and_then(|view| view.restrict(read_only, Depth::One).map(|()| view));
        view.map_or_else(|_| Program::Path(path.to_path_buf()), Program::View)
    }

    /// Starts it with files from [`keeper::FIRST_FILE`] on, in namespaces of its own.
    pub(super) fn launch(
        &self,
        namespaces: &[Namespace],
        args: &[CString],
        files: &[BorrowedFd<'_>],
    ) -> sys::Result<Child> {
        match self {
            Program::View(mount) => {
                let view = format!("/proc/self/fd/{}", keeper::FIRST_FILE + files.len());
                let mut files = files.to_vec();
                files.push(mount.as_fd());
                keeper::launch_in(namespaces, Path::new(&view), args, &files)
            }
            Program::Path(path) => keeper::launch_in(namespaces, path, args, files),
        }
    }
}
