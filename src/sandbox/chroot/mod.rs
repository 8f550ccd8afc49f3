//! Sandboxes where nothing can be mounted and no namespace made: what stands in for mounts
//! (`furnish.rs`, `system.rs`), the process that watches over a command and takes back what it was lent
//! (`supervise.rs`), and the eye on that process from outside (`overseer.rs`).

pub(in crate::sandbox) mod furnish;
pub(in crate::sandbox) mod overseer;
pub(in crate::sandbox) mod supervise;
mod system;
