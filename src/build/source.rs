//! Finding the Dockerfile and its ignore file, as docker and BuildKit do.

mod named;

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

pub use named::open_dockerfile;

/// A Dockerfile larger than this is a mistake.
pub(super) const DOCKERFILE_MAX_BYTES: u64 = 64 << 20;

/// What a Dockerfile is called that nobody named.
const DOCKERFILE: &str = "Dockerfile";

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
        DockerfileSource::Default => match read_inside(folder, Path::new(DOCKERFILE))? {
            Some(text) => Ok(text),
            None => Err(no_default(folder)),
        },
        DockerfileSource::Path(given) => {
            // A pipe may take long.
            if !given.is_file() {
                local.settle()?;
            }
            read_given(given, (folder, context.is_unpacked()))
        }
        DockerfileSource::Stdin => {
            local.settle()?;
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
        name: DOCKERFILE.to_owned(),
        ignore,
    }
}

fn no_default(folder: &Path) -> Error {
    let containerfile = folder.join("Containerfile");
    Error::NoDockerfile {
        folder: folder.to_owned(),
        other: Some(containerfile).filter(|path| path.exists()),
    }
}

/// Reads the Dockerfile at a path that the user named: one of the user's, or else of the context.
fn read_given(given: &Path, (folder, is_unpacked): (&Path, bool)) -> Result<Text, Error> {
    // Of a context that came from elsewhere, nothing but the context is meant.
    if !is_unpacked && let Some((file, path)) = named::open_dockerfile(folder, given)? {
        return read_file(file, &path, folder);
    }
    read_inside(folder, given)?.ok_or_else(|| Error::ReadDockerfile {
        path: given.to_owned(),
        source: io::ErrorKind::NotFound.into(),
    })
}

/// Reads the Dockerfile that a path of the context leads to, if there is one, and the ignore file
/// that goes with it.
fn read_inside(folder: &Path, given: &Path) -> Result<Option<Text>, Error> {
    for path in named::spellings(given) {
        if let Some(file) = open_inside(folder, &path)? {
            let own = read_ignore_inside(folder, &ignore_of(&path))?;
            return text(file, (&path, own), folder).map(Some);
        }
    }
    Ok(None)
}

/// Reads an open Dockerfile that the user named, and the ignore file that goes with its path.
fn read_file(file: fs::File, path: &Path, folder: &Path) -> Result<Text, Error> {
    let own = ignore_of(path);
    let lines = named::open(folder, &own)?;
    let lines = lines.map(|file| read_ignore(file, &own)).transpose()?;
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
    if let Some(file) = walk_inside(folder, path)? {
        return Ok(Some(file));
    }
    let Ok(real) = folder.join(path).canonicalize() else {
        return Ok(None);
    };
    // To the walk, an absolute link begins in the context; it may lead into it all the same.
    let root = folder.canonicalize().unwrap_or_default();
    match real.strip_prefix(root) {
        Ok(inside) => walk_inside(folder, inside),
        Err(_) => Err(Error::OutsideContext {
            path: path.to_owned(),
        }),
    }
}

fn walk_inside(folder: &Path, path: &Path) -> Result<Option<fs::File>, Error> {
    worker::open_inside(folder, path).map_err(|source| Error::OpenDockerfile {
        path: path.to_owned(),
        source,
    })
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::Text;
    use super::read_given;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("lc")).unwrap();
        fs::write(folder.path().join("lc/dockerfile"), "lower").unwrap();
        fs::write(folder.path().join("lc/dockerfile.dockerignore"), "x").unwrap();
        folder
    }

    #[test]
    fn what_is_named_in_upper_case_may_be_in_lower_case() {
        let folder = folder();
        let lower = |text: Text| (text.text, text.ignore) == ("lower".into(), vec!["x".into()]);
        let relative = Path::new("lc/Dockerfile");
        let absolute = folder.path().join(relative);
        let nowhere = folder.path().join("nowhere");
        fs::create_dir(&nowhere).unwrap();
        assert!(lower(read_given(&absolute, (&nowhere, false)).unwrap()));
        assert!(lower(read_given(relative, (folder.path(), true)).unwrap()));
        assert!(read_given(&absolute, (&nowhere, true)).is_err());
    }

    #[test]
    fn what_is_there_as_it_is_named_is_taken() {
        let folder = folder();
        let upper = folder.path().join("lc/Dockerfile");
        fs::write(&upper, "upper").unwrap();
        let read = |path: &str, is_unpacked| {
            let path = folder.path().join(path);
            read_given(&path, (Path::new("/"), is_unpacked)).map(|text| text.text)
        };
        assert_eq!(read("lc/Dockerfile", false).unwrap(), "upper");
        assert_eq!(read("lc/Dockerfile", true).unwrap(), "upper");
        assert_eq!(read("lc/dockerfile", false).unwrap(), "lower");
        fs::remove_file(folder.path().join("lc/dockerfile")).unwrap();
        assert!(
            read("lc/dockerfile", false).is_err(),
            "it works one way only"
        );
    }
}
