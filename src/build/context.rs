//! Finding the files that a build reads: directories, and what is fetched or comes on standard
//! input, which is unpacked for the time of the build.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use crate::build::ContextSource;
use crate::build::Error;
use crate::build::Request;
use crate::build::agents::Agents;
use crate::build::local::Local;
use crate::build::request;
use crate::build::source::DOCKERFILE_MAX_BYTES;
use crate::build::source::IGNORE;
use crate::build::source::read_all;
use crate::build::source::read_ignore_inside;
use crate::dockerfile;
use crate::dockerfile::LayoutImage;
use crate::dockerfile::NamedContext;
use crate::graph::GitOp;
use crate::graph::Op;
use crate::layer;
use crate::layer::UnpackOptions;
use crate::remote;
use crate::remote::Download;
use crate::snapshot::Active;
use crate::snapshot::Stack;
use crate::worker;
use crate::worker::Fetching;

/// Enough to tell an archive, compressed or not, from a text.
const HEAD_BYTES: u64 = 64 << 10;
const KEEP_GIT_DIR: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";

/// The directories that a build reads.
#[derive(Debug, Default)]
pub(super) struct Context {
    /// By name; the build context itself under the empty name.
    pub(super) folders: BTreeMap<String, PathBuf>,
    /// What each `--build-context` stands for.
    pub(super) named: BTreeMap<String, NamedContext>,
    /// The Dockerfile that came instead of a context.
    pub(super) lone_dockerfile: Option<Vec<u8>>,
    /// Holds what is no directory of the user's; removed at the end.
    unpacked: Option<Active>,
}

impl Context {
    /// Finds the build context and the named ones.
    pub(super) fn open(request: &Request, local: &Local, agents: &Agents) -> Result<Self, Error> {
        let mut context = Self::default();
        match &request.context {
            ContextSource::Directory(path) => context.add_folder("", path)?,
            ContextSource::Stdin => context.take(io::stdin(), request, local)?,
            ContextSource::Url(url) => context.fetch(url, request, (local, agents))?,
        }
        for (name, value) in &request.named_contexts {
            let named = context.name(name, value)?;
            context.named.insert(name.clone(), named);
        }
        Ok(context)
    }

    /// Gives the directory of the build context.
    pub(super) fn folder(&self) -> &Path {
        &self.folders[""]
    }

    /// Whether the build context is no directory of the user's.
    pub(super) fn is_unpacked(&self) -> bool {
        self.unpacked.is_some()
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
                let ignore = read_ignore_inside(path, Path::new(IGNORE))?.unwrap_or_default();
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
            request::NamedContext::Url(url) => NamedContext::Url(url.clone()),
        })
    }

    /// Makes the directory that what is no directory of the user's is unpacked into.
    fn make_folder(&mut self, local: &Local) -> Result<PathBuf, Error> {
        let snapshots = |source| Error::Snapshots { source };
        let active = local.snapshots.prepare(&[]).map_err(snapshots)?;
        let (Stack::Overlay { upper: folder, .. } | Stack::Directory(folder)) = active.stack();
        let folder = folder.clone();
        self.unpacked = Some(active);
        self.folders.insert(String::new(), folder.clone());
        Ok(folder)
    }

    /// Unpacks an archive, or takes what comes as the Dockerfile of a build without files.
    fn take(
        &mut self,
        mut input: impl Read + Send,
        request: &Request,
        local: &Local,
    ) -> Result<(), Error> {
        local.settle()?;
        let mut head = Vec::new();
        let read = (&mut input).take(HEAD_BYTES).read_to_end(&mut head);
        let path = || PathBuf::from("-");
        read.map_err(|source| Error::ReadContext {
            path: path(),
            source,
        })?;
        self.make_folder(local)?;
        if layer::is_archive(head.as_slice()) {
            let archive = head.as_slice().chain(input);
            let active = self.unpacked.as_ref().expect("it was just made");
            let options = UnpackOptions::archive(None).within(request.bounds);
            active
                .unpack(archive, &options)
                .map_err(|source| Error::UnpackContext { source })?;
        } else {
            head.extend(read_all(
                input.take(DOCKERFILE_MAX_BYTES),
                "the Dockerfile",
            )?);
            self.lone_dockerfile = Some(head);
        }
        Ok(())
    }

    /// Fetches a repository, or a file that is then taken like one on standard input.
    fn fetch(
        &mut self,
        url: &str,
        request: &Request,
        place: (&Local, &Agents),
    ) -> Result<(), Error> {
        let (local, _) = place;
        let unsupported = |_| Error::UnsupportedSource {
            location: url.to_owned(),
        };
        match dockerfile::context_op(url).map_err(unsupported)? {
            Op::Git(op) => self.check_out(op, request, place),
            _ => {
                let file = download(url, request, local)?;
                self.take(file, request, local)
            }
        }
    }

    fn check_out(
        &mut self,
        mut op: GitOp,
        request: &Request,
        (local, agents): (&Local, &Agents),
    ) -> Result<(), Error> {
        local.settle()?;
        let url = worker::without_secrets(&op.remote);
        let step = request
            .sink
            .step(&format!("[internal] load git source {url}"));
        op.keep_git_dir |= request.build_args.iter().any(|(name, value)| {
            name == KEEP_GIT_DIR && !matches!(value.as_str(), "" | "0" | "false")
        });
        let folder = self.make_folder(local)?.join("repository");
        let fetching = Fetching {
            secrets: &request.secrets(),
            ssh: &agents.sockets,
            step: &step,
            cancel: &local.cancel,
        };
        step.started();
        match worker::check_out(&op, &fetching, &folder) {
            Ok(_) => step.done(),
            Err(worker::Error::Canceled) => {
                step.canceled();
                return Err(Error::Canceled);
            }
            Err(source) => {
                step.failed(source.to_string());
                return Err(Error::FetchContext { url, source });
            }
        }
        let wanted = op.subdir.unwrap_or_default();
        let wanted = worker::resolve_inside(&folder, Path::new(&wanted));
        let folder = wanted.map_err(|source| Error::FetchContext { url, source })?;
        self.add_folder("", &folder)
    }
}

/// Fetches a file of a web server. Progress and messages do not tell what may be secret in its URL.
pub(super) fn download(url: &str, request: &Request, local: &Local) -> Result<fs::File, Error> {
    let step = request.sink.step("[internal] load remote build context");
    let wanted = Download {
        url: url.to_owned(),
        authorization: worker::http_authorization(&request.secrets(), url),
        known: None,
        checksum: None,
        limit_bytes: None,
    };
    step.started();
    let failed = |source: remote::Error| {
        step.failed(source.to_string());
        Error::Download {
            url: worker::without_secrets(url),
            source,
        }
    };
    let downloaded = local
        .wait(remote::download(&local.client, &wanted, &step))?
        .map_err(failed)?
        .expect("nothing was said to be known");
    step.done();
    let path = local.store.blob_path(&downloaded.blob.digest);
    fs::File::open(&path).map_err(|source| Error::ReadContext { path, source })
}
