//! Finding the build context and the Dockerfile, as docker and BuildKit do.

use std::fs;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use crate::build::ContextSource;
use crate::build::DockerfileSource;
use crate::build::Error;
use crate::dockerfile;

/// A Dockerfile larger than this is a mistake.
const DOCKERFILE_MAX_BYTES: u64 = 64 << 20;

/// The Dockerfile, before it is parsed.
#[derive(Debug)]
pub(super) struct Text {
    /// What it holds.
    pub(super) text: String,
    /// How messages call it.
    pub(super) name: String,
    /// The ignore file's lines, cleaned, in order.
    pub(super) ignore: Vec<String>,
}

/// Finds the Dockerfile of the context in `folder`, and the ignore file that goes with it.
pub(super) fn read(source: &DockerfileSource, folder: &Path) -> Result<Text, Error> {
    match source {
        DockerfileSource::Default => {
            let path = find_default(folder)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            read_file(&path, name, folder)
        }
        DockerfileSource::Path(given) => {
            let inside = folder.join(given);
            let path = if given.exists() { given } else { &inside };
            read_file(path, given.display().to_string(), folder)
        }
        DockerfileSource::Stdin => {
            let bytes = read_all(io::stdin().lock(), "standard input")?;
            let text = dockerfile::decode(&bytes).into_owned();
            let ignore = read_ignore(&folder.join(".dockerignore"))?.unwrap_or_default();
            Ok(Text { text, name: "Dockerfile".to_owned(), ignore })
        }
        DockerfileSource::Url(url) => Err(Error::UnsupportedSource { source: url.clone() }),
    }
}

/// `Dockerfile`, or else `dockerfile`.
fn find_default(folder: &Path) -> Result<PathBuf, Error> {
    let candidates = ["Dockerfile", "dockerfile"].map(|name| folder.join(name));
    let found = candidates.iter().find(|path| path.exists()).cloned();
    found.ok_or_else(|| {
        let containerfile = folder.join("Containerfile");
        Error::NoDockerfile {
            folder: folder.to_owned(),
            other: Some(containerfile).filter(|path| path.exists()),
        }
    })
}

fn read_file(path: &Path, name: String, folder: &Path) -> Result<Text, Error> {
    let file = fs::File::open(path)
        .map_err(|source| Error::ReadDockerfile { path: path.to_owned(), source })?;
    let bytes = read_all(file, &path.display().to_string())?;
    let text = dockerfile::decode(&bytes).into_owned();
    let mut own = path.file_name().unwrap_or_default().to_owned();
    own.push(".dockerignore");
    let ignore = match read_ignore(&path.with_file_name(own))? {
        Some(lines) => lines,
        None => read_ignore(&folder.join(".dockerignore"))?.unwrap_or_default(),
    };
    Ok(Text { text, name, ignore })
}

fn read_all(reader: impl Read, what: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut limited = reader.take(DOCKERFILE_MAX_BYTES + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(|source| Error::ReadDockerfile { path: PathBuf::from(what), source })?;
    if bytes.len() as u64 > DOCKERFILE_MAX_BYTES {
        let source = io::Error::other("it is larger than 64 MiB");
        return Err(Error::ReadDockerfile { path: PathBuf::from(what), source });
    }
    Ok(bytes)
}

/// Reads an ignore file; none if there is no such file.
pub(super) fn read_ignore(path: &Path) -> Result<Option<Vec<String>>, Error> {
    match fs::read(path) {
        Ok(bytes) => {
            let text = dockerfile::decode(&bytes);
            let parsed = dockerfile::parse_ignore(&text);
            let error = |source| Error::Ignore { path: path.to_owned(), source };
            parsed.map(Some).map_err(error)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // `x.dockerignore` where `x` is a file given by the user through /dev/fd and the like.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
        Err(source) => Err(Error::ReadDockerfile { path: path.to_owned(), source }),
    }
}

/// Opens the build context.
pub(super) fn open_context(source: &ContextSource) -> Result<PathBuf, Error> {
    match source {
        ContextSource::Directory(path) => match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Ok(path.clone()),
            Ok(_) => Err(Error::ContextNotDirectory { path: path.clone() }),
            Err(source) => Err(Error::ReadContext { path: path.clone(), source }),
        },
        ContextSource::Stdin => Err(Error::UnsupportedSource { source: "-".to_owned() }),
        ContextSource::Url(url) => Err(Error::UnsupportedSource { source: url.clone() }),
    }
}
