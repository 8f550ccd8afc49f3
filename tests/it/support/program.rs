//! Programs that a test puts somewhere to have them executed. Another process writes them: if this one
//! did, what another test is just starting would have the file open for writing, too, until it becomes
//! its program, and what is open for writing is not executed.

use std::path::Path;
use std::process::Command;

use super::home::succeed;

/// Copies a program.
pub(crate) fn copy(from: &Path, to: &Path) {
    succeed(Command::new("cp").arg(from).arg(to));
}

/// Writes a script, or what is none.
pub(crate) fn write(path: &Path, content: &str) {
    let script = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
    succeed(
        Command::new("sh")
            .args(["-c", script])
            .arg(path)
            .arg(content),
    );
}
