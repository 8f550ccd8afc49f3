//! `rbuild parse`.

use std::io::Read;

use clap::ValueHint;

use super::error::Error;
use super::print;
use crate::build::Place;
use crate::dockerfile;

/// What `rbuild parse` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rbuild parse                         what ./Dockerfile says, as JSON
  rbuild parse Dockerfile | jq -r '.stages[].base'
  rbuild parse - < Dockerfile")]
pub(super) struct ParseArguments {
    /// The Dockerfile; - for standard input.
    #[arg(default_value = "Dockerfile", value_hint = ValueHint::FilePath)]
    pub file: String,
}

/// Prints a Dockerfile as JSON: what is written, nothing expanded.
pub(super) fn run(arguments: &ParseArguments) -> Result<(), Error> {
    let bytes = if arguments.file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(&arguments.file)
    };
    let bytes = bytes.map_err(|source| Error::ReadDockerfile {
        path: arguments.file.clone().into(),
        source,
    })?;
    let text = dockerfile::decode(&bytes);
    let parsed = dockerfile::parse(&text).map_err(|source| Error::Dockerfile {
        place: Box::new(Place {
            file: arguments.file.clone(),
            text: text.clone().into_owned(),
            bytes: source.span.start..source.span.end,
        }),
        source,
    })?;
    let json = dockerfile::to_json(&parsed);
    print::line(&serde_json::to_string_pretty(&json).expect("JSON values have string keys"))
}
