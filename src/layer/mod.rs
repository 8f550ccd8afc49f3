//! Changed files to a layer blob, and back.
//!
//! A *change set* is what one instruction did to a root file system. As a directory it has the form
//! of an overlay's upper directory, as a blob that of a layer: a tar, mostly compressed. [`pack`]
//! makes the blob of the directory and [`unpack`] the directory of the blob, each in one pass; the
//! latter also extracts the archives that `ADD` is given.
//!
//! It does not know where blobs and directories are kept, or which change set lies on which.
//!
//! Start reading at [`changes`], which says what a directory changes, then [`pack`].

mod ahead;
mod archive;
mod attribute;
mod change;
mod compress;
mod cut;
mod decompress;
mod earlier;
mod entries;
mod entry;
mod error;
mod extract;
mod finish;
mod gzip;
mod header;
mod item;
mod literals;
mod make;
mod members;
mod pack;
mod pax;
mod pipeline;
mod same;
mod sparse;
mod unpack;
pub mod whiteout;

pub use self::archive::Archived;
pub use self::archive::list_archive;
pub use self::attribute::Attributes;
pub use self::attribute::read as attributes;
pub use self::change::Below;
pub use self::change::Change;
pub use self::change::ChangeKind;
pub use self::change::Extent;
pub use self::change::changes;
pub use self::compress::Compression;
pub use self::decompress::decompress;
pub use self::decompress::is_archive;
pub use self::earlier::Earlier;
pub use self::earlier::Piece;
pub use self::error::Error;
pub use self::error::Result;
pub use self::item::Source;
pub use self::pack::NewFile;
pub use self::pack::PackOptions;
pub use self::pack::Packed;
pub use self::pack::Placed;
pub use self::pack::pack;
pub use self::pack::pack_files;
pub use self::pack::pack_trees;
pub use self::unpack::Bounds;
pub use self::unpack::Content;
pub use self::unpack::UnpackOptions;
pub use self::unpack::Unpacked;
pub use self::unpack::unpack;
