//! What a sandboxed process reads from and writes to.

use std::fs::File;
use std::io;
use std::io::PipeReader;
use std::io::PipeWriter;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;

use crate::sandbox::Error;
use crate::sandbox::spawn::SpawnOptions;
use crate::sandbox::spec::Spec;
use crate::sys;

/// Where a sandboxed process reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nothing: `/dev/null`.
    Null,
    /// What this process reads from.
    Inherit,
    /// A pipe, [`Running::stdin`].
    Pipe,
}

/// Where a sandboxed process writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Where this process writes to.
    Inherit,
    /// Two pipes, [`Running::stdout`] and [`Running::stderr`].
    Pipe,
    /// One pipe, [`Running::stdout`]: all comes in the order in which it was written.
    Together,
}

/// The files of the process, and our ends of them.
pub(super) struct Files {
    /// Standard input, output and error.
    pub(super) inner: [OwnedFd; 3],
    pub(super) stdin: Option<PipeWriter>,
    pub(super) stdout: Option<PipeReader>,
    pub(super) stderr: Option<PipeReader>,
}

impl Files {
    pub(super) fn new(spec: &Spec, options: &SpawnOptions) -> Result<Files, Error> {
        // A terminal is opened inside; until then there is nothing to read or write.
        let made = match spec.terminal {
            Some(_) => Files::nothing(),
            None => Files::open(options),
        };
        made.map_err(|error| Error::Start(sys::Error::new("open(standard files)", error)))
    }

    fn nothing() -> io::Result<Files> {
        let inner = [null()?, null()?, null()?];
        Ok(Files {
            inner,
            stdin: None,
            stdout: None,
            stderr: None,
        })
    }

    fn open(options: &SpawnOptions) -> io::Result<Files> {
        let (input, stdin) = match options.input {
            Input::Null => (null()?, None),
            Input::Inherit => (io::stdin().as_fd().try_clone_to_owned()?, None),
            Input::Pipe => {
                let (reader, writer) = io::pipe()?;
                (reader.into(), Some(writer))
            }
        };
        if options.output == Output::Inherit {
            let output = io::stdout().as_fd().try_clone_to_owned()?;
            let errors = io::stderr().as_fd().try_clone_to_owned()?;
            return Ok(Files {
                inner: [input, output, errors],
                stdin,
                stdout: None,
                stderr: None,
            });
        }
        let (stdout, output) = io::pipe()?;
        let (stderr, errors) = match options.output {
            Output::Together => (None, output.try_clone()?),
            _ => io::pipe().map(|(stderr, errors)| (Some(stderr), errors))?,
        };
        Ok(Files {
            inner: [input, output.into(), errors.into()],
            stdin,
            stdout: Some(stdout),
            stderr,
        })
    }
}

fn null() -> io::Result<OwnedFd> {
    let file = File::options().read(true).write(true).open("/dev/null")?;
    Ok(OwnedFd::from(file))
}
