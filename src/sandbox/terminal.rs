//! The user's terminal, while a sandbox has one of its own.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;

use crate::sandbox::Error;
use crate::sandbox::TerminalSize;
use crate::sys;
use crate::sys::tty;

/// A terminal that passes every byte through; dropped, it is as it was before.
#[derive(Debug)]
pub struct RawTerminal {
    terminal: OwnedFd,
    before: tty::Settings,
}

impl RawTerminal {
    /// Makes a terminal pass every byte through.
    pub fn enter(terminal: impl AsFd) -> Result<RawTerminal, Error> {
        let terminal = terminal.as_fd().try_clone_to_owned();
        let terminal =
            terminal.map_err(|source| Error::Terminal(sys::Error::new("dup()", source)))?;
        let before = tty::set_raw(&terminal).map_err(Error::Terminal)?;
        Ok(RawTerminal { terminal, before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // The terminal may be gone, and then there is nothing to put back.
        let _ = tty::restore(&self.terminal, &self.before);
    }
}

/// A terminal's size; fails for what is no terminal.
pub fn terminal_size(terminal: impl AsFd) -> Result<TerminalSize, Error> {
    let size = tty::size(terminal).map_err(Error::Terminal)?;
    Ok(TerminalSize {
        rows: size.rows,
        columns: size.columns,
    })
}

/// Gives a sandbox's terminal a new size.
pub fn resize_terminal(terminal: &File, size: TerminalSize) -> Result<(), Error> {
    let size = tty::Size {
        rows: size.rows,
        columns: size.columns,
    };
    tty::set_size(terminal, size).map_err(Error::Terminal)
}
