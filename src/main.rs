//! The `rbuild` binary: it only calls the library.

fn main() {
    rbuild::sandbox::init_if_requested();
}
