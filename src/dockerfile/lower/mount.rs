//! `RUN --mount`.

use std::cell::RefCell;

use crate::dockerfile::Error;
use crate::dockerfile::ExpandError;
use crate::dockerfile::Lexing;
use crate::dockerfile::PlanProblem;
use crate::dockerfile::Problem;
use crate::dockerfile::Request;
use crate::dockerfile::Span;
use crate::dockerfile::instruction;
use crate::dockerfile::instruction::MountOptions;
use crate::dockerfile::instruction::Run;
use crate::dockerfile::lower::cursor::Cursor;
use crate::dockerfile::lower::paths;
use crate::graph::CacheMount;
use crate::graph::Mount;
use crate::graph::MountKind;
use crate::graph::SecretMount;
use crate::graph::Sharing;
use crate::graph::VertexId;
use crate::graph::clean_path;

/// The build argument that keeps the cache mounts of different builds apart.
const NAMESPACE_ARG: &str = "BUILDKIT_CACHE_MOUNT_NS";

/// A mount that a command asks for.
#[derive(Debug)]
pub(super) struct Asked {
    /// What the flag says, variables replaced.
    pub(super) options: MountOptions,
    /// The node that `from` names.
    source: usize,
    /// Where the flag stands.
    span: Span,
}

/// Reads the values of a command's `--mount` flags.
pub(super) fn read(cursor: &mut Cursor<'_, '_, '_>, run: &Run) -> Result<Vec<Asked>, Error> {
    let lexing = Lexing::words(cursor.shared.escape);
    let mut mounts = Vec::new();
    for (word, source) in run.mounts.iter().zip(&cursor.step.sources) {
        let unset = RefCell::new(Vec::new());
        let environment = &cursor.state.environment;
        let read = |text: &str| -> Result<String, ExpandError> {
            unset
                .borrow_mut()
                .extend(environment.unset_in(text, lexing));
            Ok(environment.expand_text(text, lexing)?.text)
        };
        let options = MountOptions::parse(&word.text, &read);
        for name in unset.take() {
            cursor.warn_undefined(&name);
        }
        let options = options.map_err(|cause| {
            let text = word.text.clone();
            Error::new(cursor.step.place(word.span), Problem::Mount { text, cause })
        })?;
        mounts.push(Asked {
            options,
            source: *source,
            span: cursor.step.place(word.span),
        });
    }
    Ok(mounts)
}

/// The mounts of a command, and what they need besides the root filesystem.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    /// The mounts in order.
    pub(super) list: Vec<Mount>,
    /// What they show; input 0 of the command is its root filesystem.
    pub(super) inputs: Vec<VertexId>,
}

impl Mounts {
    /// Adds a mount.
    pub(super) fn add(
        &mut self,
        cursor: &mut Cursor<'_, '_, '_>,
        asked: Asked,
    ) -> Result<(), Error> {
        let Asked {
            options,
            source,
            span,
        } = asked;
        let kind = match options.kind {
            instruction::MountKind::Secret => {
                let mount = secret(cursor, options);
                note(cursor, &mount.kind);
                self.list.push(mount);
                return Ok(());
            }
            instruction::MountKind::Ssh => {
                let mount = self.ssh(cursor, options, span)?;
                note(cursor, &mount.kind);
                self.list.push(mount);
                return Ok(());
            }
            instruction::MountKind::Bind => MountKind::Bind {
                input: self.input(cursor, &options, source)?,
                source: clean_path(&format!("/{}", options.source)),
                writable: !options.readonly,
            },
            instruction::MountKind::Cache => {
                let input = match options.from.as_str() {
                    "" | "scratch" => None,
                    _ => Some(self.input(cursor, &options, source)?),
                };
                MountKind::Cache(cache(cursor, &options, input))
            }
            instruction::MountKind::Tmpfs => MountKind::Tmpfs {
                size_bytes: u64::try_from(options.size_bytes)
                    .ok()
                    .filter(|size| *size > 0),
            },
        };
        let target = paths::join(&cursor.state.cwd, &options.target);
        if clean_path(&target) == "/" {
            return Err(cursor.error_at(span, PlanProblem::MountTarget));
        }
        self.list.push(Mount { target, kind });
        Ok(())
    }

    /// Gives where the first mounted socket of an ssh agent is.
    pub(super) fn ssh_socket(&self) -> Option<&str> {
        let mut sockets = self.list.iter().filter(|mount| is_ssh(mount));
        sockets.next().map(|mount| mount.target.as_str())
    }

    /// Gives the input that a mount shows: a stage, an image, a context, or else the build context.
    fn input(
        &mut self,
        cursor: &mut Cursor<'_, '_, '_>,
        options: &MountOptions,
        source: usize,
    ) -> Result<usize, Error> {
        let vertex = if options.from.is_empty() {
            cursor.build_context()
        } else {
            cursor.source(source)?
        };
        let known = self.inputs.iter().position(|input| *input == vertex);
        let place = known.unwrap_or_else(|| {
            self.inputs.push(vertex);
            self.inputs.len() - 1
        });
        Ok(place + 1)
    }

    fn ssh(
        &self,
        cursor: &Cursor<'_, '_, '_>,
        options: MountOptions,
        span: Span,
    ) -> Result<Mount, Error> {
        if !options.source.is_empty() {
            return Err(cursor.error_at(span, PlanProblem::SshSource));
        }
        let number = self.list.iter().filter(|mount| is_ssh(mount)).count();
        let target = match options.target.as_str() {
            "" => format!("/run/buildkit/ssh_agent.{number}"),
            target => paths::join(&cursor.state.cwd, target),
        };
        let id = match options.id.as_str() {
            "" => "default".to_owned(),
            id => id.to_owned(),
        };
        Ok(Mount {
            target,
            kind: MountKind::Ssh {
                id,
                required: options.required,
                mode: options.mode.unwrap_or(0o600),
                uid: options.uid.unwrap_or(0),
                gid: options.gid.unwrap_or(0),
            },
        })
    }
}

/// Notes a secret or an agent for the outline.
fn note(cursor: &mut Cursor<'_, '_, '_>, kind: &MountKind) {
    let span = cursor.step.span();
    let request = |name: &str, required| Request {
        name: name.to_owned(),
        required,
        span,
    };
    let notes = &mut cursor.state.notes;
    match kind {
        MountKind::Secret(secret) => notes.secret(request(&secret.id, secret.required)),
        MountKind::Ssh { id, required, .. } => notes.ssh(request(id, *required)),
        _ => {}
    }
}

fn is_ssh(mount: &Mount) -> bool {
    matches!(mount.kind, MountKind::Ssh { .. })
}

fn cache(cursor: &Cursor<'_, '_, '_>, options: &MountOptions, input: Option<usize>) -> CacheMount {
    let id = match options.id.as_str() {
        "" => clean_path(&options.target),
        id => id.to_owned(),
    };
    let namespace = cursor.shared.globals.build_args.get(NAMESPACE_ARG);
    CacheMount {
        id: match namespace {
            Some(namespace) => format!("{namespace}/{id}"),
            None => id,
        },
        sharing: match options.sharing {
            None | Some(instruction::Sharing::Shared) => Sharing::Shared,
            Some(instruction::Sharing::Private) => Sharing::Private,
            Some(instruction::Sharing::Locked) => Sharing::Locked,
        },
        input,
        source: clean_path(&format!("/{}", options.source)),
        readonly: options.readonly,
        mode: options.mode.unwrap_or(0o755),
        uid: options.uid.unwrap_or(0),
        gid: options.gid.unwrap_or(0),
    }
}

fn secret(cursor: &Cursor<'_, '_, '_>, options: MountOptions) -> Mount {
    let base = |path: &str| {
        path.rsplit('/')
            .find(|name| !name.is_empty())
            .map(str::to_owned)
    };
    let id = match (options.source.as_str(), options.id.as_str()) {
        ("", "") => base(&options.target).unwrap_or_else(|| "/".to_owned()),
        ("", id) => id.to_owned(),
        (source, _) => source.to_owned(),
    };
    let target = match (options.target.as_str(), &options.env) {
        ("", None) => format!("/run/secrets/{}", base(&id).unwrap_or_default()),
        ("", Some(_)) => String::new(),
        (target, _) => paths::join(&cursor.state.cwd, target),
    };
    Mount {
        target,
        kind: MountKind::Secret(SecretMount {
            id,
            env: options.env,
            required: options.required,
            mode: options.mode.unwrap_or(0o400),
            uid: options.uid.unwrap_or(0),
            gid: options.gid.unwrap_or(0),
        }),
    }
}
