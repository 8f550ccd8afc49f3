//! Carries out one operation, given the results of its inputs.

mod cache_mount;
mod error;
mod mode;
mod owner;
mod place;
mod select;

pub use error::Error;
