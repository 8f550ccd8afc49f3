//! Terminals.

use std::os::fd::AsFd;
use std::os::fd::OwnedFd;

use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use rustix::termios::Termios;
use rustix::termios::Winsize;

use crate::sys::Dir;
use crate::sys::Result;
use crate::sys::error::Call;
use crate::sys::error::path_of;

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// A terminal made here: the end that a user's terminal is connected to, and the end that a
/// program takes for its terminal.
#[derive(Debug)]
pub struct Pair {
    /// The user's end.
    pub controller: OwnedFd,
    /// The program's end.
    pub terminal: OwnedFd,
}

/// A terminal's settings, to be put back.
#[derive(Debug, Clone)]
pub struct Settings(Termios);

/// Makes a terminal in a mounted `devpts`.
pub fn open(devpts: &Dir) -> Result<Pair> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let controller = rustix::fs::openat(devpts, "ptmx", flags, Mode::empty())
        .call(|| format!("openat({:?})", path_of(devpts).join("ptmx")))?;
    rustix::pty::unlockpt(&controller).call(|| "ioctl(TIOCSPTLCK)".to_owned())?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = rustix::pty::ioctl_tiocgptpeer(&controller, flags)
        .call(|| "ioctl(TIOCGPTPEER)".to_owned())?;
    Ok(Pair {
        controller,
        terminal,
    })
}

/// Makes a terminal this process's own: signals typed on it reach its session.
pub fn control(terminal: impl AsFd) -> Result<()> {
    rustix::process::ioctl_tiocsctty(terminal.as_fd())
        .call(|| format!("ioctl({:?}, TIOCSCTTY)", path_of(terminal.as_fd())))
}

/// Tells whether a descriptor is a terminal.
pub fn is_terminal(fd: impl AsFd) -> bool {
    rustix::termios::isatty(fd)
}

/// A terminal's size.
pub fn size(fd: impl AsFd) -> Result<Size> {
    let size = rustix::termios::tcgetwinsize(fd.as_fd())
        .call(|| format!("ioctl({:?}, TIOCGWINSZ)", path_of(fd.as_fd())))?;
    Ok(Size {
        rows: size.ws_row,
        columns: size.ws_col,
    })
}

/// Sets a terminal's size; the programs on it get `SIGWINCH`.
pub fn set_size(fd: impl AsFd, size: Size) -> Result<()> {
    let raw = Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(fd.as_fd(), raw)
        .call(|| format!("ioctl({:?}, TIOCSWINSZ, {size:?})", path_of(fd.as_fd())))
}

/// Passes every byte through, unchanged and at once; gives the settings to [`restore`].
pub fn set_raw(fd: impl AsFd) -> Result<Settings> {
    let before = rustix::termios::tcgetattr(fd.as_fd())
        .call(|| format!("ioctl({:?}, TCGETS)", path_of(fd.as_fd())))?;
    let mut raw = before.clone();
    raw.make_raw();
    rustix::termios::tcsetattr(fd.as_fd(), OptionalActions::Now, &raw)
        .call(|| format!("ioctl({:?}, TCSETS)", path_of(fd.as_fd())))?;
    Ok(Settings(before))
}

/// Puts a terminal's settings back.
pub fn restore(fd: impl AsFd, settings: &Settings) -> Result<()> {
    rustix::termios::tcsetattr(fd.as_fd(), OptionalActions::Flush, &settings.0)
        .call(|| format!("ioctl({:?}, TCSETSF)", path_of(fd.as_fd())))
}
