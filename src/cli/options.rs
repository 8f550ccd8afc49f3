//! Where the options of a subcommand end.

use std::ffi::OsString;

use clap::Arg;
use clap::Command;

/// Gives the index of the first argument that is neither an option nor an option's value; none if
/// there is none, or if `--` says it already.
pub(super) fn end(command: &Command, arguments: &[OsString]) -> Option<usize> {
    let mut index = 0;
    while let Some(argument) = arguments.get(index) {
        let text = argument.to_string_lossy();
        let takes_next = match text.as_ref() {
            "--" => return None,
            "-" => return Some(index),
            long if long.starts_with("--") => {
                let name = &long[2..];
                !name.contains('=') && find(command, |arg| arg.get_long() == Some(name))
            }
            cluster if cluster.starts_with('-') => ends_open(command, &cluster[1..]),
            _ => return Some(index),
        };
        index += if takes_next { 2 } else { 1 };
    }
    None
}

/// Says whether a cluster of short options, `-ite`, ends with one whose value is the next argument.
fn ends_open(command: &Command, cluster: &str) -> bool {
    for (at, letter) in cluster.char_indices() {
        if find(command, |arg| arg.get_short() == Some(letter)) {
            return at + letter.len_utf8() == cluster.len();
        }
    }
    false
}

/// Says whether the option that is looked for takes a value, and not only behind `=`.
fn find(command: &Command, is_it: impl Fn(&Arg) -> bool) -> bool {
    let found = command.get_arguments().find(|arg| is_it(arg));
    found.is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
}
