//! An image to the outside: layouts and archives that other tools read.
//!
//! The image is in the store already; what is written here is a function of it and of its names
//! alone. Pushing is [`crate::remote`]'s; a root filesystem without its image is made by
//! [`crate::worker`], which has it mounted. Start reading at `layout.rs`.

mod archive;
mod error;
mod layout;
mod target;

pub use archive::write_archive;
pub use error::Error;
pub use layout::write_layout;
pub use target::ArchiveFormat;
pub use target::Destination;
pub use target::Folders;
pub use target::Target;
