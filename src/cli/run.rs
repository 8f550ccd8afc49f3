//! `rbuild run`: its flags, and the request they make.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::hash::Hasher;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use super::arguments::Home;
use super::config;
use super::detach;
use super::environment::Environment;
use super::error::Error;
use super::limits::LimitFlags;
use super::progress::Display;
use super::progress::ProgressArguments;
use super::pull;
use super::report;
use super::rootless;
use super::value;
use super::when;
use crate::build::PullPolicy;
use crate::graph::Ulimit;
use crate::manage;
use crate::manage::Found;
use crate::manage::Which;
use crate::oci::Platform;
use crate::oci::Reference;
use crate::progress::Sink;
use crate::progress::in_one_line;
use crate::remote::Pull;
use crate::run;
use crate::run::Container;
use crate::run::Ended;
use crate::run::Kept;
use crate::run::Port;
use crate::run::Ready;
use crate::run::Request;
use crate::run::RunNetwork;
use crate::run::Streams;
use crate::run::Volume;
use crate::sandbox;
use crate::sandbox::Access;
use crate::sys;

/// What `docker run` exits with if docker is to blame.
pub(super) const NOT_STARTED: u8 = 125;

/// What `rbuild run` is told.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "rbuild run [OPTIONS] IMAGE [COMMAND]…",
    next_help_heading = "The process"
)]
pub(super) struct RunArguments {
    /// The image: a name, a digest, or the beginning of an id; pulled if it is not there.
    pub image: String,
    /// What to run, in the place of the image's command.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
    /// Run this in the place of the image's entry point.
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// An environment variable; without =VALUE it is taken from the environment.
    #[arg(short, long = "env", value_name = "NAME[=VALUE]", value_parser = value::assignment)]
    pub env: Vec<(String, Option<String>)>,
    /// The directory to start in [default: the image's].
    #[arg(short, long, value_name = "DIR", value_parser = value::run::inside)]
    pub workdir: Option<String>,
    /// Whom to run as: a name or number, with :GROUP [default: the image's].
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// The host name it sees [default: made up].
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Pass standard input on.
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal of its own.
    #[arg(short, long)]
    pub tty: bool,

    /// What it sees of the machine.
    #[command(flatten)]
    pub machine: MachineFlags,
    /// What it may take.
    #[command(flatten)]
    pub limits: LimitFlags,
    /// How the image is got.
    #[command(flatten)]
    pub image_flags: ImageFlags,
    /// How a pull is shown.
    #[command(flatten)]
    pub progress: ProgressArguments,
}

const EXAMPLES: &str = "\
Examples:
  rbuild run app:v1                          its own command
  rbuild run -it debian:bookworm bash        a shell in it
  rbuild run -d --name web -p 8080:80 nginx  a server in the background
  rbuild run -p 8080:80 nginx                its port 80 on the host's 8080
  rbuild run -v \"$PWD:/src\" -w /src gcc make
  rbuild run --entrypoint sh app:v1 -c 'ls /'

What the process writes to its files is thrown away when it ends, except below a --volume. The exit
code is the process's own, 128 and the signal's number if a signal killed it, or 127 if there is no
such program, 126 if it cannot be executed, 125 if rbuild failed.";

/// What a process sees of the machine.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What it sees of the machine")]
pub(super) struct MachineFlags {
    /// A directory or file of the host; ro to protect it from the process.
    #[arg(short, long = "volume", value_name = "PATH:TARGET[:ro]", value_parser = value::run::volume)]
    pub volumes: Vec<Volume>,
    /// The network: default, host or none. The default is one of its own that leads outside, but
    /// not to what listens on this machine's loopback interface.
    #[arg(long, value_name = "MODE", value_parser = value::run::network)]
    pub network: Option<RunNetwork>,
    /// Carry TCP connections from a port of the host into the process's own network.
    #[arg(short, long = "publish", value_name = "[ADDRESS:]HOST:PORT", value_parser = value::run::port)]
    pub ports: Vec<Port>,
    /// A line of /etc/hosts.
    #[arg(long = "add-host", value_name = "NAME:ADDRESS", value_parser = value::extra_host)]
    pub extra_hosts: Vec<(String, String)>,
    /// Protect the image's files from the process; volumes stay writable.
    #[arg(long)]
    pub read_only: bool,
    /// no-new-privileges: no set-uid program gives it more rights than it has.
    #[arg(long = "security-opt", value_name = "no-new-privileges", value_parser = value::run::no_new_privileges)]
    pub no_new_privileges: Vec<bool>,
    /// The size of /dev/shm, as in 128m [default: 64m].
    #[arg(long, value_name = "SIZE", value_parser = value::bytes)]
    pub shm_size: Option<u64>,
    /// A limit of each process, as in nofile=1024:4096.
    #[arg(long = "ulimit", value_name = "NAME=SOFT[:HARD]", value_parser = value::limit::ulimit)]
    pub ulimits: Vec<Ulimit>,
    /// Run it in the background and print its id; see `rbuild ps`, `logs`, `stop` and `rm`.
    #[arg(short, long)]
    pub detach: bool,
    /// A name that no other run may have at the same time.
    #[arg(long, value_name = "NAME", value_parser = value::run::name)]
    pub name: Option<String>,
    /// Leave nothing behind, which without -d is done in any case.
    #[arg(long)]
    pub rm: bool,
}

/// How an image is got.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The image")]
pub(super) struct ImageFlags {
    /// When to ask the registry for the image: missing, always or never. Without a word it is
    /// always.
    #[arg(
        long,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "always",
        default_value = "missing",
        value_parser = value::pull_policy
    )]
    pub pull: PullPolicy,
    /// The platform, of an image for several [default: this machine's].
    #[arg(long)]
    pub platform: Option<Platform>,
}

/// Carries out `rbuild run` and gives the process's exit code.
pub(super) fn run(
    arguments: RunArguments,
    home: &Home,
    environment: &Environment,
) -> Result<u8, Error> {
    let streams = streams(&arguments)?;
    let network = network(&arguments.machine)?;
    let keeper_of = environment.text(detach::KEEPER_OF).map(str::to_owned);
    let root = home.root(environment);
    // From here on others see that somebody sees to it.
    let kept = keeper_of.as_ref().map(|id| Kept::take(&root, id));
    let kept = kept.transpose()?;
    let display = arguments.progress.display(environment)?;
    let found = found(&arguments, home, (environment, &display))?;
    let id = keeper_of.clone().unwrap_or_else(short_id);
    if arguments.machine.detach && keeper_of.is_none() {
        drop(display);
        let container = container(&arguments, (id, &found), environment);
        return detach::detach(&container, home, environment);
    }
    let forget = arguments.machine.rm;
    let config = config::read(home, environment)?;
    let env = arguments.env.iter().filter_map(|(name, value)| {
        let inherited = || Some(environment.text(name)?.to_owned());
        Some((name.clone(), value.clone().or_else(inherited)?))
    });
    let request = Request {
        name_of_image: name_of(&found, &arguments.image),
        image: found.image,
        entrypoint: entrypoint(&arguments),
        args: arguments.command,
        env: env.collect(),
        volumes: arguments.machine.volumes,
        cwd: arguments.workdir,
        user: arguments.user,
        hostname: arguments.hostname.unwrap_or(id),
        name: arguments.machine.name,
        network,
        ports: arguments.machine.ports,
        extra_hosts: arguments.machine.extra_hosts,
        root_access: match arguments.machine.read_only {
            true => Access::ReadOnly,
            false => Access::ReadWrite,
        },
        no_new_privileges: arguments.machine.no_new_privileges.contains(&true),
        streams,
        log: keeper_of.as_ref().map(|id| run::log_of(&root, id)),
        root,
        bounds: config.limits.bounds(),
        patience: config.limits.patience(),
        registries: config.registries,
        credential_files: environment.credential_files(),
        wishes: home.wishes(environment)?,
        limits: arguments.limits.limits()?,
        shm_size_bytes: arguments.machine.shm_size,
        ulimits: ulimits(&arguments.machine.ulimits),
        binary: environment.binary.clone(),
        sink: match keeper_of {
            // What it writes is the program's log.
            Some(_) => Sink::silent(),
            None => display.sink(),
        },
    };
    let ready = run::prepare(&request);
    if matches!(&ready, Err(error) if error.needs_root()) {
        drop(display);
        return Err(rootless::enter(home, environment));
    }
    // From here on the terminal is the process's.
    drop(display);
    let code = match kept {
        Some(kept) => keep(ready?, kept, (&request.root, forget))?,
        None => foreground(ready?)?,
    };
    // Codes have eight bits; a process's own always fits.
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Runs the process to its end; whoever sees it fail is told of the limit that it ran into, and that
/// its network had ended.
fn foreground(ready: Ready) -> Result<i32, Error> {
    let ended = ready.run(|notes| {
        notes.iter().for_each(|note| report::warning(note));
        Ok(())
    });
    let Ended { status, lost } = ended?;
    if status.code != 0 {
        if let Some(limit) = status.exceeded {
            report::exceeded(status.code, limit);
        }
        if let Some(lost) = lost {
            report::warning(&in_one_line(&lost));
        }
    }
    Ok(status.code)
}

/// Does as a keeper what was asked for: nobody's terminal ends it, and others can see how it went.
fn keep(ready: Ready, mut kept: Kept, (root, forget): (&Path, bool)) -> Result<i32, Error> {
    // It fails only for who leads a session already.
    let _leads = sys::process::new_session();
    let status = ready.run(|notes| kept.started(notes))?.status;
    match forget {
        true => kept.remove(root)?,
        false => kept.ended(status)?,
    }
    Ok(status.code)
}

/// Gives the entry point that takes the place of the image's; an empty one is none.
fn entrypoint(arguments: &RunArguments) -> Option<Vec<String>> {
    let program = arguments.entrypoint.clone()?;
    Some(Vec::from_iter(
        Some(program).filter(|program| !program.is_empty()),
    ))
}

fn container(
    arguments: &RunArguments,
    (id, found): (String, &Found),
    environment: &Environment,
) -> Container {
    let name = arguments.machine.name.clone();
    let image = &found.image.config.config;
    let entrypoint = entrypoint(arguments);
    Container {
        name: name.unwrap_or_else(|| id.clone()),
        id,
        image: arguments.image.clone(),
        command: run::command_of(image, entrypoint.as_deref(), &arguments.command),
        created: when::rfc3339(environment.now_ns),
        has_started: false,
        keeper: None,
        exit_code: None,
        exceeded: None,
        notes: Vec::new(),
        is_running: false,
    }
}

/// Reports what kept the process from starting, with docker's exit code for all that is not the
/// process's fault.
pub(super) fn failed(error: Error) -> Result<ExitCode, Error> {
    match error {
        Error::Run(_) => Err(error),
        other => {
            report::error(&other);
            Ok(ExitCode::from(NOT_STARTED))
        }
    }
}

/// -1 is docker's way to write no limit.
fn ulimits(flags: &[Ulimit]) -> Vec<sandbox::Ulimit> {
    let number = |number| u64::try_from(number).unwrap_or(u64::MAX);
    let limits = flags.iter().map(|flag| sandbox::Ulimit {
        name: flag.name.clone(),
        soft: number(flag.soft),
        hard: number(flag.hard),
    });
    limits.collect()
}

fn streams(arguments: &RunArguments) -> Result<Streams, Error> {
    match (arguments.interactive, arguments.tty) {
        (true, _) | (_, true) if arguments.machine.detach => Err(Error::NotSupported {
            flag: "--detach with --interactive or --tty",
            instead: "leave those out; nobody could type, and `rbuild logs -f` shows what it writes",
        }),
        (true, true) if !std::io::stdin().is_terminal() => Err(Error::NoTerminal),
        (true, true) => Ok(Streams::Interactive),
        (true, false) => Ok(Streams::Input),
        (false, true) => Ok(Streams::Terminal),
        (false, false) => Ok(Streams::Output),
    }
}

/// Ports are carried into a network of the process's own; on the host's there is nothing to carry.
fn network(machine: &MachineFlags) -> Result<RunNetwork, Error> {
    match (machine.network, machine.ports.is_empty()) {
        (Some(RunNetwork::Host), false) => Err(Error::Exclusive {
            one: "--publish",
            other: "--network host",
        }),
        (Some(network), _) => Ok(network),
        (None, _) => Ok(RunNetwork::Default),
    }
}

/// Finds the image in the store, or pulls it, as the policy says.
fn found(
    arguments: &RunArguments,
    home: &Home,
    (environment, display): (&Environment, &Display),
) -> Result<Found, Error> {
    let root = home.root(environment);
    let flags = &arguments.image_flags;
    let platform = flags.platform.clone().unwrap_or_else(Platform::host);
    let look = || manage::find(&root, &arguments.image, Which::Only(&platform));
    let pull = match (flags.pull, look()) {
        (PullPolicy::Missing | PullPolicy::Never, Ok(found)) => return Ok(found),
        (PullPolicy::Always, _) => Pull::Always,
        (PullPolicy::Missing, Err(error)) if error.is_missing() => Pull::Missing,
        (_, Err(error)) => return Err(error.into()),
    };
    let asked = (std::slice::from_ref(&platform), pull);
    pull::fetch(&arguments.image, asked, (home, environment, display))?;
    Ok(look()?)
}

fn name_of(found: &Found, text: &str) -> Reference {
    let named = text.parse::<Reference>().ok();
    named
        .filter(|name| found.names.contains(name))
        .or_else(|| found.names.first().cloned())
        .unwrap_or_else(|| "nameless".parse().expect("a lower-case word is a name"))
}

/// Makes up what docker calls a container id, in short.
fn short_id() -> String {
    let number = RandomState::new().build_hasher().finish();
    format!("{number:016x}")[..12].to_owned()
}
