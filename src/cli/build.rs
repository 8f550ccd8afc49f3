//! `rbuild build`: its flags, and the request they make.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueHint;

use super::arguments::Home;
use super::call;
use super::call::CallFlags;
use super::environment::Environment;
use super::error::Error;
use super::interrupt;
use super::limits::LimitFlags;
use super::outcome;
use super::outcome::Manner;
use super::outcome::Wanted;
use super::progress::ProgressArguments;
use super::request;
use super::reserved::Reserved;
use super::rootless;
use super::rootless::Held;
use super::value;
use super::value::Permission;
use super::value::output::Output;
use super::value::secret::SecretFlag;
use super::value::secret::SshFlag;
use crate::build;
use crate::build::ContextSource;
use crate::build::DockerfileSource;
use crate::build::NamedContext;
use crate::build::PullPolicy;
use crate::export::Target;
use crate::graph::Network;
use crate::graph::Ulimit;
use crate::oci::Platform;
use crate::solver::Cancel;

/// What `rbuild build` is told.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "rbuild [build] [OPTIONS] CONTEXT",
    next_help_heading = "What to build"
)]
pub(super) struct BuildArguments {
    /// The directory whose files COPY and ADD read; a URL; or - for a tar archive or a Dockerfile
    /// on standard input.
    #[arg(value_parser = value::context::context, value_hint = ValueHint::DirPath)]
    pub context: ContextSource,
    /// The Dockerfile: a path, a URL, or - for standard input [default: CONTEXT/Dockerfile].
    #[arg(short, long, value_name = "FILE", value_parser = value::context::dockerfile, value_hint = ValueHint::FilePath)]
    pub file: Option<DockerfileSource>,
    /// A name for the image, as in app:v1 or ghcr.io/me/app:v1; may be given more than once.
    #[arg(short, long = "tag", value_name = "NAME")]
    pub tags: Vec<String>,
    /// Build this stage and what it needs, and nothing else [default: the last stage].
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// A value for ARG; without =VALUE it is taken from the environment.
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]", value_parser = value::assignment)]
    pub build_args: Vec<(String, Option<String>)>,
    /// A label of the image.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = value::label)]
    pub labels: Vec<(String, String)>,
    /// The platforms to build for, as in linux/amd64,linux/arm64; the image of several is an index
    /// [default: this machine's].
    #[arg(long = "platform", value_name = "PLATFORM,…", value_delimiter = ',')]
    pub platforms: Vec<Platform>,
    /// Files or an image that FROM and COPY --from know as NAME: a directory, the URL of a git
    /// repository or of an archive, docker-image://REFERENCE or oci-layout://PATH[:TAG].
    #[arg(long = "build-context", value_name = "NAME=VALUE", value_parser = value::context::named)]
    pub named_contexts: Vec<(String, NamedContext)>,

    /// How commands run.
    #[command(flatten)]
    pub run: RunFlags,
    /// What commands may take.
    #[command(flatten)]
    pub limits: LimitFlags,
    /// What is taken from earlier builds and from registries.
    #[command(flatten)]
    pub cache: CacheFlags,
    /// Where the image goes.
    #[command(flatten)]
    pub result: ResultFlags,
    /// How progress is shown.
    #[command(flatten)]
    pub progress: ProgressArguments,
    /// What is asked instead of a build.
    #[command(flatten)]
    pub call: CallFlags,
    /// What other builders know.
    #[command(flatten)]
    pub reserved: Reserved,
}

const EXAMPLES: &str = "\
Examples:
  rbuild -t app:v1 .                       build ./Dockerfile, keep the image as app:v1
  rbuild -f docker/Dockerfile.ci .         the Dockerfile is elsewhere
  rbuild --target test --build-arg V=2 .   one stage, with a value for ARG V
  rbuild -t ghcr.io/me/app:v1 --push .     build and push
  rbuild --platform linux/amd64,linux/arm64 -t app:v1 .
                                           one image for both machines
  rbuild -o type=docker,dest=- . | docker load
  rbuild -o out .                          the files of the image into the directory out
  rbuild --check .                         what could be better in the Dockerfile
  rbuild --secret id=token,src=token.txt . for RUN --mount=type=secret,id=token
  SOURCE_DATE_EPOCH=0 rbuild -t app .      equal inputs give an equal digest

The exit code is 0, or 1 when the Dockerfile, the context or a command in it failed, 2 for a wrong
command line, 3 for the machine (rights, disk, kernel), 4 for a registry, 70 for a bug in rbuild.";

/// How commands run.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "How RUN runs")]
pub(super) struct RunFlags {
    /// The network of a RUN that names none: default, host or none. The default is one of its own
    /// that leads outside, but not to what listens on this machine's loopback interface; for that
    /// there is host.
    #[arg(long, value_name = "MODE", default_value = "default", hide_default_value = true, value_parser = value::network)]
    pub network: Network,
    /// What RUN may do beyond the usual: security.insecure for RUN --security=insecure,
    /// network.host for RUN --network=host, which --network=host allows too.
    #[arg(
        long = "allow",
        value_name = "PERMISSION",
        value_enum,
        value_delimiter = ',',
        hide_possible_values = true
    )]
    pub allowed: Vec<Permission>,
    /// A line of /etc/hosts in RUN.
    #[arg(long = "add-host", value_name = "NAME:ADDRESS", value_parser = value::extra_host)]
    pub extra_hosts: Vec<(String, String)>,
    /// The size of /dev/shm in RUN, as in 128m [default: 64m].
    #[arg(long, value_name = "SIZE", value_parser = value::bytes)]
    pub shm_size: Option<u64>,
    /// A resource limit in RUN, as in nofile=1024:4096.
    #[arg(long = "ulimit", value_name = "NAME=SOFT[:HARD]", value_parser = value::limit::ulimit)]
    pub ulimits: Vec<Ulimit>,
    /// A secret for RUN --mount=type=secret; it enters no layer and no cache key.
    #[arg(long = "secret", value_name = "id=ID[,src=FILE|,env=NAME]", value_parser = value::secret::secret)]
    pub secrets: Vec<SecretFlag>,
    /// An ssh agent for RUN --mount=type=ssh [default socket: $SSH_AUTH_SOCK].
    #[arg(long = "ssh", value_name = "default|ID=SOCKET|ID=KEY,…", value_parser = value::secret::ssh)]
    pub ssh: Vec<SshFlag>,
    /// Certificates (PEM) that RUN trusts besides the image's own, for a proxy that opens TLS; they
    /// enter no layer.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_bundle: Option<PathBuf>,
    /// How many instructions run at a time [default: the number of processors, at least 4].
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
}

/// What is taken from earlier builds and from registries.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What is reused")]
pub(super) struct CacheFlags {
    /// Run everything, whatever was done before.
    #[arg(long)]
    pub no_cache: bool,
    /// Run everything in these stages, whatever was done before.
    #[arg(long, value_name = "STAGE,…", value_delimiter = ',')]
    pub no_cache_filter: Vec<String>,
    /// When to ask the registry for the base images: missing, always or never. Without a word it is
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
}

/// Where the image goes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What becomes of it")]
pub(super) struct ResultFlags {
    /// Where else the image goes: DIR or - for its files, type=oci|docker,dest=FILE for an archive,
    /// type=oci,tar=false,dest=DIR for a layout, type=image,push=true for a registry. A dest of -
    /// is standard output.
    #[arg(short, long = "output", value_name = "DIR|-|type=…,dest=…", value_parser = value::output::output)]
    pub outputs: Vec<Output>,
    /// Push the image under each of its names.
    #[arg(long)]
    pub push: bool,
    /// Keep the image in rbuild's store, which is done in any case.
    #[arg(long)]
    pub load: bool,
    /// Write the image's id (the digest of its config, or of its index) to a file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub iidfile: Option<PathBuf>,
    /// Write what was built to a file, as JSON with docker's keys.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub metadata_file: Option<PathBuf>,
}

/// Carries out `rbuild build`.
pub(super) fn run(
    arguments: BuildArguments,
    home: &Home,
    environment: &Environment,
) -> Result<(), Error> {
    arguments.reserved.check()?;
    let asked = arguments.call.asked()?;
    request::check_question(asked.as_ref(), &arguments.platforms)?;
    let display = arguments.progress.display(environment)?;
    let manner = display.manner();
    let (iidfile, metadata_file) = (
        arguments.result.iidfile.clone(),
        arguments.result.metadata_file.clone(),
    );
    let held = Held::default();
    let is_user = rootless::may_be_needed(home, environment)? && asked.is_none();
    let sink = match is_user {
        true => held.sink(),
        false => display.sink(),
    };
    let request = request::build(arguments, home, environment, sink)?;
    if is_user && rootless::is_needed_at_once(&request) {
        drop(display);
        return Err(rootless::enter(home, environment));
    }
    let cancel = Cancel::new();
    let (copy, sink) = (cancel.clone(), display.sink());
    display.on_work(move || interrupt::cancels(copy, sink));
    if let Some((question, form)) = asked {
        let answer = build::ask(&request, question, &cancel);
        drop(display);
        return call::tell(answer?, form);
    }
    let manner = match request.outputs.iter().any(Target::is_stdout) {
        // What is on standard output is the archive, and nothing else.
        true if manner == Manner::Id => Manner::Nothing,
        _ => manner,
    };
    // A build that fails leaves no id of an earlier one.
    outcome::forget(iidfile.as_deref())?;
    let wanted = Wanted {
        iidfile,
        metadata_file,
        manner,
    };
    let built = build::build(&request, &cancel);
    if matches!(&built, Err(error) if error.needs_root()) {
        drop(display);
        return Err(rootless::enter(home, environment));
    }
    held.release(&display.sink());
    // Progress ends before anything else is said.
    drop(display);
    outcome::tell(&built?, &wanted)
}
