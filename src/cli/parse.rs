//! `rbuild parse`.

use std::io;
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
    /// Gives the path of the Dockerfile as the user means it.
    fn path(&self) -> PathBuf {
        let context = Path::new(&self.context);
        match &self.file {
            Some(file) => PathBuf::from(file),
            None if context.is_dir() => context.join("Dockerfile"),
            None => context.to_owned(),
        }
    }

    /// Reads the Dockerfile that a build would read; gives how messages call it, too.
    fn read(&self) -> Result<(Vec<u8>, String), Error> {
        let path = self.path();
        let mut bytes = Vec::new();
        let (read, path) = if path == Path::new("-") {
            (io::stdin().read_to_end(&mut bytes), path)
        } else {
            match build::open_dockerfile(Path::new(&self.context), &path)? {
                Some((mut file, path)) => (file.read_to_end(&mut bytes), path),
                None => (Err(io::ErrorKind::NotFound.into()), path),
            }
        };
        let name = path.display().to_string();
        read.map_err(|source| Error::ReadDockerfile { path, source })?;
        Ok((bytes, name))
    }
}

/// Prints a Dockerfile as JSON: what is written, nothing expanded.
pub(super) fn run(arguments: &ParseArguments) -> Result<(), Error> {
    let (bytes, file) = arguments.read()?;
    let text = dockerfile::decode(&bytes);
    let parsed = dockerfile::parse(&text).map_err(|source| Error::Dockerfile {
        place: Box::new(Place {
            file,
            text: text.to_string(),
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
    use std::os::unix::fs::symlink;

    use super::ParseArguments;

    #[test]
    fn a_dockerfile_is_found_as_a_build_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let read = |file: Option<&str>, context: &str| {
            let (file, context) = (file.map(at), at(context));
            let read = ParseArguments { file, context }.read();
            read.map(|(_, name)| name)
                .map_err(|error| error.to_string())
        };
        assert!(read(None, "").unwrap_err().contains(&at("Dockerfile")));
        fs::write(at("dockerfile"), "").unwrap();
        assert_eq!(read(None, ""), Ok(at("dockerfile")));
        assert_eq!(read(Some("Dockerfile"), ""), Ok(at("dockerfile")));
        assert_eq!(read(None, "dockerfile"), Ok(at("dockerfile")));
        assert!(read(Some("other"), "").unwrap_err().contains(&at("other")));
    }

    #[test]
    fn a_link_of_the_context_leads_nowhere_outside() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("context")).unwrap();
        fs::write(at("outside"), "secret").unwrap();
        symlink(at("outside"), at("context/Dockerfile")).unwrap();
        for file in [None, Some(at("context/Dockerfile").display().to_string())] {
            let context = at("context").display().to_string();
            let read = ParseArguments { file, context }.read();
            assert!(read.unwrap_err().to_string().contains("leads out"));
        }
    }
}
