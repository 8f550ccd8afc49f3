//! An image to the outside: layouts, archives, registries.

mod target;

pub use target::ArchiveFormat;
pub use target::Destination;
pub use target::Target;
