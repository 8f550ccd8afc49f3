//! The values of the OCI specifications, and assembling an image from them; pure.
//!
//! What is hashed is serialised by types of this room (sorted maps, the field order of BuildKit),
//! because a digest must be a function of the content alone. Nothing here reads a file, asks the
//! network or knows how a layer is made. Start reading at [`Image::assemble`].

mod config;
mod digest;
mod error;
mod image;
mod image_set;
mod manifest;
mod platform;
mod reference;
mod signal;

pub use config::ContainerConfig;
pub use config::Healthcheck;
pub use config::History;
pub use config::ImageConfig;
pub use config::RootFs;
pub use digest::ChainId;
pub use digest::DiffId;
pub use digest::Digest;
pub use digest::Digester;
pub use error::Error;
pub use image::Image;
pub use image::Layer;
pub use image_set::ImageSet;
pub use manifest::Descriptor;
pub use manifest::Index;
pub use manifest::Manifest;
pub use manifest::media_type;
pub use platform::Platform;
pub use reference::Reference;
pub use signal::signal_number;
