//! Finding the build context and the Dockerfile, as docker and BuildKit do.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use crate::build::ContextSource;
use crate::build::DockerfileSource;
use crate::build::Error;
use crate::build::Place;
use crate::build::Request;
use crate::build::local::Local;
use crate::build::request;
use crate::dockerfile;
use crate::dockerfile::LayoutImage;
use crate::dockerfile::NamedContext;
use crate::layer;
use crate::layer::UnpackOptions;
use crate::snapshot::Active;
use crate::snapshot::Stack;

/// A Dockerfile larger than this is a mistake.
const DOCKERFILE_MAX_BYTES: u64 = 64 << 20;
/// Enough to tell an archive, compressed or not, from a text.
const HEAD_BYTES: u64 = 64 << 10;

/// The directories that a build reads.
#[derive(Debug)]
pub(super) struct Context {
    /// By name; the build context itself under the empty name.
    pub(super) folders: BTreeMap<String, PathBuf>,
    /// What each `--build-context` stands for.
    pub(super) named: BTreeMap<String, NamedContext>,
    /// Holds what came from standard input; removed at the end.
    _unpacked: Option<Active>,
    /// The Dockerfile that came instead of a context.
    lone_dockerfile: Option<Vec<u8>>,
}

impl Context {
    /// Finds the build context and the named ones.
    pub(super) fn open(request: &Request, local: &Local) -> Result<Self, Error> {
        let mut context = Self {
            folders: BTreeMap::new(),
            named: BTreeMap::new(),
            _unpacked: None,
            lone_dockerfile: None,
        };
        match &request.context {
            ContextSource::Directory(path) => context.add_folder("", path)?,
            ContextSource::Stdin => context.read_stdin(local)?,
            ContextSource::Url(url) => {
                return Err(Error::UnsupportedSource {
                    location: url.clone(),
                });
            }
        }
        for (name, value) in &request.named_contexts {
            let named = context.name(name, value)?;
            context.named.insert(name.clone(), named);
        }
        Ok(context)
    }

    fn add_folder(&mut self, name: &str, path: &Path) -> Result<(), Error> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                self.folders.insert(name.to_owned(), path.to_owned());
                Ok(())
            }
            Ok(_) => Err(Error::ContextNotDirectory {
                path: path.to_owned(),
            }),
            Err(source) => Err(Error::ReadContext {
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn name(&mut self, name: &str, value: &request::NamedContext) -> Result<NamedContext, Error> {
        Ok(match value {
            request::NamedContext::Directory(path) => {
                self.add_folder(name, path)?;
                let ignore = read_ignore(&path.join(".dockerignore"))?.unwrap_or_default();
                NamedContext::Directory { ignore }
            }
            request::NamedContext::Image(reference) => NamedContext::Image(reference.clone()),
            request::NamedContext::Layout { path, tag, digest } => {
                NamedContext::Layout(LayoutImage {
                    path: path.clone(),
                    tag: tag.clone(),
                    digest: *digest,
                })
            }
            request::NamedContext::Url(url) => {
                return Err(Error::UnsupportedSource {
                    location: url.clone(),
                });
            }
        })
    }

    /// Unpacks the archive on standard input, or takes what is there as the Dockerfile of a build
    /// without files.
    fn read_stdin(&mut self, local: &Local) -> Result<(), Error> {
        let mut input = io::stdin().lock();
        let mut head = Vec::new();
        let read = (&mut input).take(HEAD_BYTES).read_to_end(&mut head);
        read.map_err(|source| Error::ReadContext {
            path: PathBuf::from("-"),
            source,
        })?;
        let is_archive = layer::is_archive(head.as_slice());
        let active = local
            .snapshots
            .prepare(&[])
            .map_err(|source| Error::Snapshots { source })?;
        let (Stack::Overlay { upper: folder, .. } | Stack::Directory(folder)) = active.stack();
        self.folders.insert(String::new(), folder.clone());
        if is_archive {
            let archive = head.as_slice().chain(io::stdin());
            active
                .unpack(archive, &UnpackOptions::archive(None))
                .map_err(|source| Error::UnpackContext { source })?;
        } else {
            let limited = input.take(DOCKERFILE_MAX_BYTES);
            let rest = read_all(limited, "standard input")?;
            head.extend(rest);
            self.lone_dockerfile = Some(head);
        }
        self._unpacked = Some(active);
        Ok(())
    }

    fn folder(&self) -> &Path {
        &self.folders[""]
    }
}

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
pub(super) fn read(request: &Request, context: &Context) -> Result<Text, Error> {
    let step = request
        .sink
        .step("[internal] load build definition from Dockerfile");
    step.started();
    let found = find(&request.dockerfile, context);
    match &found {
        Ok(_) => step.done(),
        Err(error) => step.failed(error.to_string()),
    }
    found
}

fn find(source: &DockerfileSource, context: &Context) -> Result<Text, Error> {
    let folder = context.folder();
    if let Some(bytes) = &context.lone_dockerfile {
        let text = dockerfile::decode(bytes).into_owned();
        return Ok(Text {
            text,
            name: "Dockerfile".to_owned(),
            ignore: Vec::new(),
        });
    }
    match source {
        DockerfileSource::Default => {
            let path = find_default(folder)?;
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
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
            Ok(Text {
                text,
                name: "Dockerfile".to_owned(),
                ignore,
            })
        }
        DockerfileSource::Url(url) => Err(Error::UnsupportedSource {
            location: url.clone(),
        }),
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
    let file = fs::File::open(path).map_err(|source| Error::ReadDockerfile {
        path: path.to_owned(),
        source,
    })?;
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
