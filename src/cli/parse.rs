//! `rbuild parse`.

use std::io::Read;
use std::path::Path;

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
  rbuild parse -f docker/Dockerfile.ci | jq -r '.stages[].base'
  rbuild parse - < Dockerfile")]
pub(super) struct ParseArguments {
    /// The Dockerfile; - for standard input [default: CONTEXT/Dockerfile].
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<String>,
    /// The directory that has the Dockerfile, or the file itself.
    #[arg(default_value = ".", value_hint = ValueHint::AnyPath)]
    pub context: String,
}

impl ParseArguments {
    /// Finds the Dockerfile as a build does: `Dockerfile`, or else `dockerfile`.
    fn path(&self) -> String {
        if let Some(file) = &self.file {
            return file.clone();
        }
        let folder = Path::new(&self.context);
        if !folder.is_dir() {
            return self.context.clone();
        }
        let names = ["Dockerfile", "dockerfile"].map(|name| folder.join(name));
        let found = names.iter().find(|path| path.exists()).unwrap_or(&names[0]);
        found.display().to_string()
    }
}

/// Prints a Dockerfile as JSON: what is written, nothing expanded.
pub(super) fn run(arguments: &ParseArguments) -> Result<(), Error> {
    let file = arguments.path();
    let bytes = if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(&file)
    };
    let bytes = bytes.map_err(|source| Error::ReadDockerfile {
        path: file.clone().into(),
        source,
    })?;
    let text = dockerfile::decode(&bytes);
    let parsed = dockerfile::parse(&text).map_err(|source| Error::Dockerfile {
        place: Box::new(Place {
            file: file.clone(),
            text: text.clone().into_owned(),
            bytes: source.span.start..source.span.end,
        }),
        source,
    })?;
    let json = dockerfile::to_json(&parsed);
    print::line(&serde_json::to_string_pretty(&json).expect("JSON values have string keys"))
}
