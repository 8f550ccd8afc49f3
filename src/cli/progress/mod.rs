//! Progress on standard error: [`Event`]s come in from any thread, lines go out of one.
//!
//! A renderer is pure: it takes events with the time they happened at and writes into a buffer.
//! [`Display`] owns the clock, the thread and the terminal. Start reading at [`Display`].

mod draw;
mod failure;
mod lines;
mod plain;
mod queue;
mod rawjson;
mod renderer;
mod tty;
mod units;

pub(super) use self::queue::Display;
pub(super) use self::units::bytes;

use self::renderer::Renderer;
use super::environment::Environment;
use super::error::Error;

/// How progress is shown.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Progress")]
pub(super) struct ProgressArguments {
    /// How progress is shown: tty rewrites the screen, plain adds lines, rawjson adds a JSON object
    /// a line, auto is tty on a terminal and plain elsewhere [default: $BUILDKIT_PROGRESS, auto].
    #[arg(long, value_enum, value_name = "MODE", hide_possible_values = true)]
    pub progress: Option<Mode>,
    /// Show no progress; print the image's id at the end.
    #[arg(short, long)]
    pub quiet: bool,
}

/// The value of `--progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Mode {
    /// `tty` on a terminal, `plain` elsewhere.
    Auto,
    /// Lines.
    Plain,
    /// A view that is rewritten.
    Tty,
    /// Nothing.
    Quiet,
    /// JSON.
    #[value(name = "rawjson")]
    RawJson,
}

impl ProgressArguments {
    /// Says whether only the result is to be printed.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet || self.progress == Some(Mode::Quiet)
    }

    /// Makes the display that was asked for.
    pub(super) fn display(&self, environment: &Environment) -> Result<Display, Error> {
        let renderer = match self.mode(environment)? {
            Mode::Quiet => Renderer::quiet(),
            Mode::RawJson => Renderer::raw_json(environment.now_ns),
            Mode::Plain => Renderer::plain(),
            Mode::Auto | Mode::Tty => Renderer::tty(environment.get("NO_COLOR").is_none()),
        };
        Ok(Display::new(renderer))
    }

    /// Decides: a flag wins over the environment, and only a terminal that can move its cursor
    /// gets `tty` by `auto`.
    fn mode(&self, environment: &Environment) -> Result<Mode, Error> {
        const VARIABLE: &str = "BUILDKIT_PROGRESS";
        if self.is_quiet() {
            return Ok(Mode::Quiet);
        }
        let from_environment = || match environment.text(VARIABLE) {
            None => Ok(Mode::Auto),
            Some(text) => {
                <Mode as clap::ValueEnum>::from_str(text, true).map_err(|_| Error::Variable {
                    name: VARIABLE,
                    value: text.to_owned(),
                    expected: "one of auto, plain, tty, quiet, rawjson",
                })
            }
        };
        let mode = self.progress.map_or_else(from_environment, Ok)?;
        let is_dumb = environment.text("TERM") == Some("dumb");
        Ok(match mode {
            Mode::Auto if environment.stderr_is_terminal && !is_dumb => Mode::Tty,
            Mode::Auto => Mode::Plain,
            // Without a terminal there is nothing to rewrite.
            Mode::Tty if !environment.stderr_is_terminal => Mode::Plain,
            other => other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Mode;
    use super::ProgressArguments;
    use crate::cli::environment::Environment;

    fn mode(flag: Option<Mode>, variables: &[(&str, &str)], terminal: bool) -> Option<Mode> {
        let environment = Environment {
            stderr_is_terminal: terminal,
            ..Environment::of(variables)
        };
        let arguments = ProgressArguments {
            progress: flag,
            quiet: false,
        };
        arguments.mode(&environment).ok()
    }

    #[test]
    fn the_flag_wins_over_the_environment_and_that_over_the_terminal() {
        let plain = [("BUILDKIT_PROGRESS", "plain")];
        assert_eq!(mode(None, &[], true), Some(Mode::Tty));
        assert_eq!(mode(None, &[], false), Some(Mode::Plain));
        assert_eq!(mode(None, &[("TERM", "dumb")], true), Some(Mode::Plain));
        assert_eq!(mode(None, &plain, true), Some(Mode::Plain));
        assert_eq!(mode(Some(Mode::Tty), &plain, true), Some(Mode::Tty));
        assert_eq!(mode(Some(Mode::Tty), &plain, false), Some(Mode::Plain));
        assert_eq!(mode(None, &[("BUILDKIT_PROGRESS", "fancy")], true), None);
    }
}
