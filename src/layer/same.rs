//! Telling whether a file of a change set is as below.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;

use crate::layer::Error;
use crate::layer::Result;
use crate::layer::attribute;
use crate::layer::change::cannot_read;
use crate::sys::Dir;
use crate::sys::FileKind;
use crate::sys::Stat;

/// Tells whether two files of one name differ in nothing that a layer keeps.
///
/// The rules are those of containerd's `sameFile`: a directory's time does not count, since it
/// changes with what is in it; content is only read where both times are whole seconds, as after
/// unpacking a tar, because then they may be equal by truncation.
pub(super) fn is_same(
    (upper_dir, upper): (&Dir, &Stat),
    (lower_dir, lower): (&Dir, &Stat),
    name: &OsStr,
    path: &Path,
) -> Result<bool> {
    if upper.identity == lower.identity {
        return Ok(true);
    }
    let metadata = |stat: &Stat| (stat.kind, stat.mode, stat.owner, stat.device);
    if metadata(upper) != metadata(lower) {
        return Ok(false);
    }
    let attributes = |dir: &Dir| attribute::read_packed(dir, name).map_err(cannot_read(path));
    if attributes(upper_dir)? != attributes(lower_dir)? {
        return Ok(false);
    }
    if upper.is_dir() {
        return Ok(true);
    }
    if upper.size != lower.size || upper.modified != lower.modified {
        return Ok(false);
    }
    if upper.modified.nanoseconds != 0 {
        return Ok(true);
    }
    match upper.kind {
        FileKind::Symlink => {
            let target = |dir: &Dir| dir.read_link(name).map_err(cannot_read(path));
            Ok(target(upper_dir)? == target(lower_dir)?)
        }
        FileKind::File => same_content(upper_dir, lower_dir, name, path),
        _ => Ok(true),
    }
}

fn same_content(upper: &Dir, lower: &Dir, name: &OsStr, path: &Path) -> Result<bool> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let mut upper = upper.open_file(name).map_err(cannot_read(path))?;
    let mut lower = lower.open_file(name).map_err(cannot_read(path))?;
    let (mut ours, mut theirs) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let length = upper.read(&mut ours).map_err(failed)?;
        if length == 0 {
            return Ok(lower.read(&mut theirs[..1]).map_err(failed)? == 0);
        }
        match lower.read_exact(&mut theirs[..length]) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(failed(error)),
        }
        if ours[..length] != theirs[..length] {
            return Ok(false);
        }
    }
}
