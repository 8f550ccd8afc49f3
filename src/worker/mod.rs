//! Carries out one operation, given the results of its inputs.

mod error;
mod mode;
mod owner;
mod place;
mod select;

pub use error::Error;
