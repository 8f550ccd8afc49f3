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

/// The ignore file for all Dockerfiles of a context.
pub(super) const IGNORE: &str = ".dockerignore";

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
        DockerfileSource::Default => read_inside(folder, Path::new(find_default(folder)?)),
        // Of a context that came from elsewhere, nothing but the context is meant.
        DockerfileSource::Path(given) if context.is_unpacked() => read_inside(folder, given),
        DockerfileSource::Path(given) => match fs::File::open(given) {
            Ok(file) => read_file(file, given, folder),
            Err(error) if error.kind() == io::ErrorKind::NotFound => read_inside(folder, given),
            Err(source) => Err(Error::ReadDockerfile {
                path: given.clone(),
                source,
            }),
        },
        DockerfileSource::Stdin => {
            let bytes = read_all(io::stdin(), "standard input")?;
            let ignore = read_ignore_inside(folder, Path::new(IGNORE))?.unwrap_or_default();
            Ok(nameless(&bytes, ignore))
        }
        DockerfileSource::Url(url) => {
            let file = context::download(url, request, local)?;
            let bytes = read_all(file, &worker::without_secrets(url))?;
            let ignore = read_ignore_inside(folder, Path::new(IGNORE))?.unwrap_or_default();
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

/// Reads the Dockerfile that a path of the context leads to, and the ignore file that goes with it.
fn read_inside(folder: &Path, path: &Path) -> Result<Text, Error> {
    let not_found = || Error::ReadDockerfile {
        path: path.to_owned(),
        source: io::ErrorKind::NotFound.into(),
    };
    let file = open_inside(folder, path)?.ok_or_else(not_found)?;
    let own = read_ignore_inside(folder, &ignore_of(path))?;
    text(file, (path, own), folder)
}

/// Reads an open Dockerfile that the user named, and the ignore file that goes with its path.
fn read_file(file: fs::File, path: &Path, folder: &Path) -> Result<Text, Error> {
    let own = ignore_of(path);
    let lines = match fs::File::open(&own) {
        Ok(file) => Some(read_ignore(file, &own)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        // `x.dockerignore` where `x` is a file given by the user through /dev/fd and the like.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => None,
        Err(source) => return Err(Error::ReadDockerfile { path: own, source }),
    };
    text(file, (path, lines), folder)
}

/// The ignore file for one Dockerfile only.
fn ignore_of(path: &Path) -> PathBuf {
    let mut own = path.file_name().unwrap_or_default().to_owned();
    own.push(".dockerignore");
    path.with_file_name(own)
}

fn text(
    file: fs::File,
    (path, own): (&Path, Option<Vec<String>>),
    folder: &Path,
) -> Result<Text, Error> {
    let name = path.display().to_string();
    let bytes = read_all(file, &name)?;
    let ignore = match own {
        Some(lines) => lines,
        None => read_ignore_inside(folder, Path::new(IGNORE))?.unwrap_or_default(),
    };
    Ok(Text {
        text: dockerfile::decode(&bytes).into_owned(),
        name,
        ignore,
    })
}

/// Opens a file of a context, if there is one. Whoever made the context chose its symbolic links,
/// and what is outside is not theirs to read.
fn open_inside(folder: &Path, path: &Path) -> Result<Option<fs::File>, Error> {
    let opened = worker::open_inside(folder, path);
    let opened = opened.map_err(|source| Error::OpenDockerfile {
        path: path.to_owned(),
        source,
    })?;
    match opened {
        None if folder.join(path).exists() => Err(Error::OutsideContext {
            path: path.to_owned(),
        }),
        opened => Ok(opened),
    }
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

/// Reads an ignore file of a context; none if there is no such file.
pub(super) fn read_ignore_inside(folder: &Path, path: &Path) -> Result<Option<Vec<String>>, Error> {
    open_inside(folder, path)?
        .map(|file| read_ignore(file, &folder.join(path)))
        .transpose()
}

/// Reads an open ignore file.
fn read_ignore(file: fs::File, path: &Path) -> Result<Vec<String>, Error> {
    let bytes = read_all(file, &path.display().to_string())?;
    let text = dockerfile::decode(&bytes);
    let lines = dockerfile::parse_ignore(&text).map_err(|source| Error::Ignore {
        place: Box::new(Place {
            file: path.display().to_string(),
            text: text.to_string(),
            bytes: source.span.start..source.span.end,
        }),
        source,
    })?;
    Ok(lines.into_iter().map(|line| line.text).collect())
}
