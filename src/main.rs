//! The `rbuild` binary: it only calls the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rbuild::sandbox::init_if_requested();
    rbuild::cli::main()
}
