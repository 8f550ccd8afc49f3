//! Where asynchronous stories run.

use super::error::Error;

/// Runs a story to its end. One thread moves the bytes; what needs processors makes its own.
pub(super) fn block_on<T>(story: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })?;
    Ok(runtime.block_on(story))
}
