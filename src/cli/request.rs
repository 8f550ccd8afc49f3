//! Flags, environment and files become a [`Request`].

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use clap::CommandFactory;

use super::arguments::Arguments;
use super::arguments::Home;
use super::build::BuildArguments;
use super::build::ResultFlags;
use super::call::Form;
use super::config;
use super::environment::Environment;
use super::error::Error;
use super::value::Permission;
use super::value::fields;
use super::value::secret::SecretFlag;
use super::value::secret::SecretSource;
use super::value::secret::SshFlag;
use crate::build::ContextSource;
use crate::build::DockerfileSource;
use crate::build::Question;
use crate::build::Request;
use crate::build::Secret;
use crate::dockerfile::nearest;
use crate::export::Target;
use crate::graph::Network;
use crate::oci::Platform;
use crate::oci::Reference;
use crate::progress::Sink;

/// The most a secret may have, as BuildKit has it.
const SECRET_LIMIT_BYTES: u64 = 500 * 1024;

/// Makes the request of `rbuild build`.
pub(super) fn build(
    arguments: BuildArguments,
    home: &Home,
    environment: &Environment,
    sink: Sink,
) -> Result<Request, Error> {
    check_context(&arguments.context)?;
    if arguments.context == ContextSource::Stdin && arguments.file == Some(DockerfileSource::Stdin)
    {
        return Err(Error::Exclusive {
            one: "--file -",
            other: "the context -",
        });
    }
    let (tags, outputs) = outputs(&arguments, environment)?;
    let mut build_args = build_args(&arguments.build_args, environment);
    let epoch = epoch(&mut build_args, environment);
    let (platforms, has_index) = platforms(&arguments.platforms, &build_args)?;
    let run = arguments.run;
    let config = config::read(home, environment)?;
    Ok(Request {
        context: arguments.context,
        dockerfile: arguments.file.unwrap_or(DockerfileSource::Default),
        tags,
        target: arguments.target.filter(|stage| !stage.is_empty()),
        build_args,
        labels: arguments.labels,
        platforms,
        has_index,
        named_contexts: arguments.named_contexts,
        no_cache: arguments.cache.no_cache,
        no_cache_filter: arguments.cache.no_cache_filter,
        pull: arguments.cache.pull,
        network: run.network,
        is_insecure_allowed: run.allowed.contains(&Permission::Insecure),
        // Who asks for it on the command line allows it.
        is_host_network_allowed: run.network == Network::Host
            || run.allowed.contains(&Permission::HostNetwork),
        extra_hosts: run.extra_hosts,
        shm_size_bytes: run.shm_size,
        ulimits: run.ulimits,
        limits: arguments.limits.limits()?,
        secrets: secrets(run.secrets, environment)?,
        ssh: agents(run.ssh, environment)?,
        ca_bundle: run.ca_bundle,
        outputs,
        bounds: config.limits.bounds(),
        patience: config.limits.patience(),
        registries: config.registries,
        credential_files: environment.credential_files(),
        jobs: run.jobs,
        root: home.root(environment),
        epoch,
        now_ns: environment.now_ns,
        wishes: home.wishes(environment)?,
        binary: environment.binary.clone(),
        sink,
    })
}

/// Refuses questions whose answer would be another for each platform. What the rules say can be said
/// of all of them.
pub(super) fn check_question(
    asked: Option<&(Question, Form)>,
    platforms: &[Platform],
) -> Result<(), Error> {
    match asked {
        Some((Question::Outline | Question::Targets, _)) if platforms.len() > 1 => {
            Err(Error::Exclusive {
                one: "--call with another question than check",
                other: "several platforms",
            })
        }
        _ => Ok(()),
    }
}

/// Gives the platforms, each once, and whether the image has an index: if several are named, or if
/// that is asked for as BuildKit has it.
fn platforms(
    named: &[Platform],
    build_args: &[(String, String)],
) -> Result<(Vec<Platform>, bool), Error> {
    const NAME: &str = "BUILDKIT_MULTI_PLATFORM";
    let given = build_args.iter().rev().find(|(name, _)| name == NAME);
    let has_index = match given.map(|(_, value)| value.as_str()) {
        None | Some("") => named.len() > 1,
        Some(value) => {
            let wished = fields::flag(NAME, value);
            let wished = wished.map_err(|message| Error::BuildArg { message })?;
            if !wished && named.len() > 1 {
                return Err(Error::Exclusive {
                    one: "several platforms",
                    other: "BUILDKIT_MULTI_PLATFORM=false",
                });
            }
            wished
        }
    };
    let mut platforms: Vec<Platform> = Vec::new();
    for platform in named {
        if !platforms.contains(platform) {
            platforms.push(platform.clone());
        }
    }
    Ok((platforms, has_index))
}

/// Sees to it that a directory is one: a mistyped command ends up here too.
fn check_context(context: &ContextSource) -> Result<(), Error> {
    let ContextSource::Directory(path) = context else {
        return Ok(());
    };
    std::fs::read_dir(path)
        .map(drop)
        .map_err(|source| Error::NoContext {
            path: path.clone(),
            meant: meant_command(path),
            source,
        })
}

fn meant_command(path: &Path) -> Option<String> {
    let command = Arguments::command();
    let names = command.get_subcommands().map(clap::Command::get_name);
    nearest(path.to_str()?, &names.collect::<Vec<_>>()).map(str::to_owned)
}

/// Gives the image's names and where else it goes.
fn outputs(
    arguments: &BuildArguments,
    environment: &Environment,
) -> Result<(Vec<Reference>, Vec<Target>), Error> {
    let ResultFlags {
        outputs: flags,
        push,
        ..
    } = &arguments.result;
    let mut tags = Vec::new();
    let named = flags.iter().flat_map(|output| &output.names);
    for text in arguments.tags.iter().chain(named) {
        let tag = new_name(text)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    let mut targets: Vec<Target> = Vec::new();
    let pushed = push.then_some(Target::Registry);
    for target in flags
        .iter()
        .filter_map(|flag| flag.target.clone())
        .chain(pushed)
    {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    if targets.contains(&Target::Registry) && tags.is_empty() {
        return Err(Error::Needs {
            flag: "--push",
            needed: "a name for the image: --tag",
        });
    }
    let to_stdout = flags.iter().filter(|output| output.is_stdout()).count();
    if to_stdout > 0 && environment.stdout_is_terminal {
        return Err(Error::Terminal);
    }
    if to_stdout > 1 {
        return Err(Error::Exclusive {
            one: "an --output to standard output",
            other: "another one",
        });
    }
    if to_stdout > 0 && arguments.progress.is_quiet() {
        return Err(Error::Exclusive {
            one: "--quiet",
            other: "an --output to standard output",
        });
    }
    Ok((tags, targets))
}

/// Reads a name that an image is to get.
pub(super) fn new_name(text: &str) -> Result<Reference, Error> {
    let name: Reference = text.parse().map_err(|source| Error::Tag {
        text: text.to_owned(),
        source,
    })?;
    if name.digest().is_some() {
        return Err(Error::TagWithDigest {
            text: text.to_owned(),
        });
    }
    Ok(name)
}

/// Takes the values that are missing from the environment; what is not there either is not set.
fn build_args(
    flags: &[(String, Option<String>)],
    environment: &Environment,
) -> Vec<(String, String)> {
    flags
        .iter()
        .filter_map(|(name, value)| {
            let inherited = || environment.variables.get(std::ffi::OsStr::new(name));
            let value = match value {
                Some(value) => value.clone(),
                None => inherited()?.to_str()?.to_owned(),
            };
            Some((name.clone(), value))
        })
        .collect()
}

/// Finds the time that replaces the clock: the build argument wins over the environment, whose
/// value becomes one, as with docker.
fn epoch(build_args: &mut Vec<(String, String)>, environment: &Environment) -> Option<i64> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let given = build_args.iter().rev().find(|(name, _)| name == NAME);
    let value = match given {
        Some((_, value)) => value.clone(),
        None => {
            let value = environment.text(NAME)?.to_owned();
            build_args.push((NAME.to_owned(), value.clone()));
            value
        }
    };
    // What is no number may name a source of the Dockerfile, which says whether it does.
    value.parse().ok()
}

fn secrets(flags: Vec<SecretFlag>, environment: &Environment) -> Result<Vec<Secret>, Error> {
    let mut secrets: Vec<Secret> = Vec::new();
    for SecretFlag { id, source } in flags {
        let variable = |name: &str| environment.variables.get(std::ffi::OsStr::new(name));
        let value = match source {
            SecretSource::File(path) => read_secret(&id, &path)?,
            SecretSource::Variable(name) => match variable(&name) {
                Some(value) => value.as_encoded_bytes().to_vec(),
                // A RUN that requires the secret says that it is missing.
                None => continue,
            },
            SecretSource::Named => match variable(&id) {
                Some(value) => value.as_encoded_bytes().to_vec(),
                None => read_secret(&id, Path::new(&id))?,
            },
        };
        secrets.retain(|earlier| earlier.id != id);
        secrets.push(Secret { id, value });
    }
    Ok(secrets)
}

fn read_secret(id: &str, path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::ReadSecret {
        id: id.to_owned(),
        path: path.to_owned(),
        source,
    };
    let mut value = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(SECRET_LIMIT_BYTES + 1)
        .read_to_end(&mut value)
        .map_err(failed)?;
    if value.len() as u64 > SECRET_LIMIT_BYTES {
        return Err(Error::SecretTooLarge {
            id: id.to_owned(),
            limit_bytes: SECRET_LIMIT_BYTES,
        });
    }
    Ok(value)
}

fn agents(
    flags: Vec<SshFlag>,
    environment: &Environment,
) -> Result<Vec<(String, Vec<PathBuf>)>, Error> {
    let agent = |(id, paths): SshFlag| match environment.path("SSH_AUTH_SOCK") {
        _ if !paths.is_empty() => Ok((id, paths)),
        Some(socket) => Ok((id, vec![socket])),
        None => Err(Error::NoAgent { id }),
    };
    flags.into_iter().map(agent).collect()
}
