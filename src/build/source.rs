//! Finding the Dockerfile and its ignore file, as docker and BuildKit do.

use std::fs;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use crate::build::DockerfileSource;
use crate::build::Error;
use crate::build::Place;
use crate::build::Request;
use crate::build::context;
use crate::build::context::Context;
use crate::build::local::Local;
use crate::dockerfile;
use crate::worker;

/// A Dockerfile larger than this is a mistake.
pub(super) const DOCKERFILE_MAX_BYTES: u64 = 64 << 20;

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
pub(super) fn read(request: &Request, local: &Local, context: &Context) -> Result<Text, Error> {
    let step = request
        .sink
        .step("[internal] load build definition from Dockerfile");
    step.started();
    let found = find(request, local, context);
    match &found {
        Ok(_) => step.done(),
        Err(error) => step.failed(error.to_string()),
    }
    found
}

fn find(request: &Request, local: &Local, context: &Context) -> Result<Text, Error> {
    let folder = context.folder();
    if let Some(bytes) = &context.lone_dockerfile {
        return Ok(nameless(bytes, Vec::new()));
    }
    match &request.dockerfile {
        DockerfileSource::Default => {
            let name = find_default(folder)?;
            let file = worker::open_inside(folder, Path::new(name)).map_err(inside_error(name))?;
            read_file(file, (&folder.join(name), name.to_owned()), folder)
        }
        DockerfileSource::Path(given) => {
            let name = given.display().to_string();
            match fs::File::open(given) {
                Ok(file) => read_file(file, (given, name), folder),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let inside = folder.join(given);
                    let file = fs::File::open(&inside).map_err(|source| Error::ReadDockerfile {
                        path: given.clone(),
                        source,
                    })?;
                    read_file(file, (&inside, name), folder)
                }
                Err(source) => Err(Error::ReadDockerfile {
                    path: given.clone(),
                    source,
                }),
            }
        }
        DockerfileSource::Stdin => {
            let bytes = read_all(io::stdin(), "standard input")?;
            let ignore = read_ignore(&folder.join(".dockerignore"))?.unwrap_or_default();
            Ok(nameless(&bytes, ignore))
        }
        DockerfileSource::Url(url) => {
            let file = context::download(url, request, local)?;
            let bytes = read_all(file, &worker::without_secrets(url))?;
            let ignore = read_ignore(&folder.join(".dockerignore"))?.unwrap_or_default();
            Ok(nameless(&bytes, ignore))
        }
    }
}

/// A Dockerfile that is no file.
fn nameless(bytes: &[u8], ignore: Vec<String>) -> Text {
    let text = dockerfile::decode(bytes).into_owned();
    Text {
        text,
        name: "Dockerfile".to_owned(),
        ignore,
    }
}

fn inside_error(name: &str) -> impl Fn(worker::Error) -> Error {
    move |source| Error::OpenDockerfile {
        path: PathBuf::from(name),
        source,
    }
}

/// `Dockerfile`, or else `dockerfile`.
fn find_default(folder: &Path) -> Result<&'static str, Error> {
    let found = ["Dockerfile", "dockerfile"]
        .into_iter()
        .find(|name| folder.join(name).exists());
    found.ok_or_else(|| {
        let containerfile = folder.join("Containerfile");
        Error::NoDockerfile {
            folder: folder.to_owned(),
            other: Some(containerfile).filter(|path| path.exists()),
        }
    })
}

/// Reads an open Dockerfile, and the ignore file that goes with its path.
fn read_file(file: fs::File, (path, name): (&Path, String), folder: &Path) -> Result<Text, Error> {
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

pub(super) fn read_all(reader: impl Read, what: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut limited = reader.take(DOCKERFILE_MAX_BYTES + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(|source| Error::ReadDockerfile {
            path: PathBuf::from(what),
            source,
        })?;
    if bytes.len() as u64 > DOCKERFILE_MAX_BYTES {
        let source = io::Error::other("it is larger than 64 MiB");
        return Err(Error::ReadDockerfile {
            path: PathBuf::from(what),
            source,
        });
    }
    Ok(bytes)
}

/// Reads an ignore file; none if there is no such file.
pub(super) fn read_ignore(path: &Path) -> Result<Option<Vec<String>>, Error> {
    match fs::read(path) {
        Ok(bytes) => {
            let text = dockerfile::decode(&bytes);
            let lines = dockerfile::parse_ignore(&text).map_err(|source| Error::Ignore {
                place: Box::new(Place {
                    file: path.display().to_string(),
                    text: text.to_string(),
                    bytes: source.span.start..source.span.end,
                }),
                source,
            })?;
            Ok(Some(lines.into_iter().map(|line| line.text).collect()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // `x.dockerignore` where `x` is a file given by the user through /dev/fd and the like.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
        Err(source) => Err(Error::ReadDockerfile {
            path: path.to_owned(),
            source,
        }),
    }
}
