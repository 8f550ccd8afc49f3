//! `rbuild parse`.

use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use clap::ValueHint;

use super::error::Error;
use super::print;
use crate::build;
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
        let folder = Path::new(&self.context);
        let named = match &self.file {
            Some(file) => PathBuf::from(file),
            None if folder.is_dir() => folder.join("Dockerfile"),
            None => folder.to_owned(),
        };
        let found = build::spellings(&named).find(|path| path.exists());
        found.unwrap_or(named).display().to_string()
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::ParseArguments;

    #[test]
    fn a_dockerfile_is_found_as_a_build_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let path = |file: Option<&str>, context: &str| {
            let (file, context) = (file.map(at), at(context));
            ParseArguments { file, context }.path()
        };
        assert_eq!(path(None, ""), at("Dockerfile"));
        fs::write(at("dockerfile"), "").unwrap();
        assert_eq!(path(None, ""), at("dockerfile"));
        assert_eq!(path(Some("Dockerfile"), ""), at("dockerfile"));
        assert_eq!(path(None, "dockerfile"), at("dockerfile"));
        assert_eq!(path(Some("other"), ""), at("other"));
    }
}
