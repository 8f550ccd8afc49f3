//! Standard output: what a program behind a pipe reads.

use std::io;
use std::io::Write;
use std::process::ExitCode;

use super::error::Error;

/// Writes one line.
pub(super) fn line(text: &str) -> Result<(), Error> {
    bytes(format!("{text}\n").as_bytes())
}

/// Writes text that ends its own lines.
pub(super) fn text(text: &str) -> Result<(), Error> {
    bytes(text.as_bytes())
}

/// Writes bytes as they are. A reader that went away has what it wanted: that is no failure.
pub(super) fn bytes(bytes: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::WriteStdout { source: error })
        }
        _ => Ok(()),
    }
}

/// Writes text with colours, which a terminal gets and a file does not.
pub(super) fn styled(text: &str) -> Result<ExitCode, Error> {
    let is_colored = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    if is_colored {
        bytes(text.as_bytes())?;
    } else {
        bytes(anstream::adapter::strip_str(text).to_string().as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}
