//! Putting selected files into a root filesystem, as `COPY` does.
//!
//! The rules are those of BuildKit's file operations: a directory's contents are copied, never the
//! directory; the destination's symbolic links are followed inside the root, those below it are
//! replaced; what is copied over a directory that exists merges with it.

mod copy;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;

use crate::sys::Made;
use crate::sys::MakeDirs;
use crate::sys::Root;
use crate::worker::Error;
use crate::worker::files::Manner;
use crate::worker::files::Selected;

use self::copy::Copy;

/// Copies `selected` from `source` to `destination` in `target`.
pub(in crate::worker) fn place(
    selected: &Selected,
    source: &Root,
    target: &Root,
    destination: &str,
    manner: &Manner,
) -> Result<(), Error> {
    let (parent, name) = prepare(selected, target, destination, manner)?;
    let from = match selected.path.parent() {
        Some(above) => source.open_dir(above)?,
        None => source.dir().try_clone()?,
    };
    let from_name = selected.path.file_name().unwrap_or(OsStr::new("."));
    let into = target.open_dir(&parent)?;
    let path = parent.join(&name);
    Copy::new(target, manner).top(&selected.node, (&from, from_name), (&into, &name, &path))
}

/// Makes a directory and those above it; what stands in the way is the Dockerfile's concern.
pub(in crate::worker) fn make_dirs(
    root: &Root,
    path: &Path,
    options: &MakeDirs,
) -> Result<Made, Error> {
    root.make_dirs(path, options)
        .map_err(|source| match source.kind() {
            ErrorKind::NotADirectory => Error::DirectoryBlocked {
                path: path.to_owned(),
                source,
            },
            _ => source.into(),
        })
}

/// Makes the directories that the destination needs and decides what the copy is called: gives the
/// real path of the directory it goes to, and its name there (`.` for the root itself).
fn prepare(
    selected: &Selected,
    target: &Root,
    destination: &str,
    manner: &Manner,
) -> Result<(PathBuf, OsString), Error> {
    let is_dir = selected.node.stat.is_dir();
    let above = match destination.rsplit_once('/') {
        Some((above, name)) if !name.is_empty() && name != "." => above,
        _ => destination,
    };
    make_dirs(target, Path::new(above), &manner.parents())?;
    let mut real = target.real_path(Path::new(destination))?;
    let exists_as_dir = real.found.is_some_and(|stat| stat.is_dir());
    if !is_dir && exists_as_dir {
        real.path.push(&selected.base_name);
    }
    let needed = if is_dir && real.found.is_none() {
        real.path.as_path()
    } else {
        real.path.parent().unwrap_or(Path::new(""))
    };
    make_dirs(target, needed, &manner.parents())?;
    let name = real.path.file_name().unwrap_or(OsStr::new(".")).to_owned();
    let parent = real.path.parent().unwrap_or(Path::new("")).to_owned();
    Ok((parent, name))
}
