//! The `rbuild` binary: it only calls the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rbuild::cli::main(rbuild::sandbox::init_if_requested())
}
