//! The `rbuild` binary: it only calls the library.

fn main() {}
