//! Names of runs: a file a name, locked as long as the run lasts.

use std::fs::File;
use std::fs::TryLockError;

use crate::run::Error;
use crate::run::Request;
use crate::sys::file::make_private_dir;

/// Keeps a name from others until it is dropped. The kernel gives the lock of a killed process
/// back, so no name is ever taken by nobody.
#[derive(Debug)]
pub(super) struct Claim {
    _file: File,
}

/// Claims the name that is asked for, if one is.
pub(super) fn claim(request: &Request) -> Result<Option<Claim>, Error> {
    let Some(name) = &request.name else {
        return Ok(None);
    };
    let folder = request.root.join("names");
    let path = folder.join(name);
    let failed = |source| Error::Name {
        path: path.clone(),
        source,
    };
    make_private_dir(&folder).map_err(failed)?;
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Claim { _file: file })),
        Err(TryLockError::WouldBlock) => Err(Error::NameInUse { name: name.clone() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
