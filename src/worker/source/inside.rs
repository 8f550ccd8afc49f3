//! Files of a directory that somebody else may have made: no path leads outside.

use std::fs::File;
use std::path::Path;
use std::path::PathBuf;

use crate::sys::Root;
use crate::worker::Error;

/// Opens a file of a directory, if there is one; symbolic links are followed inside.
///
/// # Errors
/// [`Error::System`] if it cannot be opened.
pub fn open_inside(folder: &Path, path: &Path) -> Result<Option<File>, Error> {
    match Root::open(folder)?.open_file(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Gives the path of a directory in a directory, with symbolic links followed inside.
///
/// # Errors
/// [`Error::SourceMissing`] if there is none.
pub fn resolve_inside(folder: &Path, path: &Path) -> Result<PathBuf, Error> {
    let real = Root::open(folder)?.real_path(path)?;
    match real.found {
        Some(stat) if stat.is_dir() => Ok(folder.join(real.path)),
        _ => Err(Error::SourceMissing {
            path: path.to_owned(),
        }),
    }
}
