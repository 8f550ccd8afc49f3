//! `rbuild completion`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::arguments::Arguments;
use super::error::Error;
use super::print;

/// What `rbuild completion` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rbuild completion bash > /usr/share/bash-completion/completions/rbuild
  rbuild completion zsh > \"${fpath[1]}/_rbuild\"
  rbuild completion fish > ~/.config/fish/completions/rbuild.fish")]
pub(super) struct CompletionArguments {
    /// The shell.
    pub shell: Shell,
}

/// Prints a completion script.
pub(super) fn run(arguments: &CompletionArguments) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "rbuild",
        &mut script,
    );
    print::bytes(&script)
}
