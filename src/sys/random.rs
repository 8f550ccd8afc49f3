//! Bytes nobody can guess.

use rustix::rand::GetRandomFlags;

use crate::sys::Result;
use crate::sys::error::Call;

/// Asks the kernel for 16 random bytes.
pub fn bytes() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    // The kernel gives up to 256 bytes at once, whole.
    rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())
        .call(|| "getrandom(16)".to_owned())?;
    Ok(bytes)
}
