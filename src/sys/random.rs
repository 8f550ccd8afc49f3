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

/// Gives a name that begins so and that nobody else makes, nor a process that was killed has left.
pub fn name(beginning: &str) -> Result<String> {
    let number = u128::from_ne_bytes(bytes()?);
    Ok(format!("{beginning}{number:032x}"))
}
