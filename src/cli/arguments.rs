//! The command line as a whole: which subcommands there are, and which one is meant.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::CommandFactory;
use clap::Parser;
use clap::Subcommand;

use super::build::BuildArguments;
use super::completion::CompletionArguments;
use super::containers::LogsArguments;
use super::containers::PsArguments;
use super::containers::RmArguments;
use super::containers::StopArguments;
use super::doctor::DoctorArguments;
use super::environment::Environment;
use super::error::Error;
use super::images::ImagesArguments;
use super::inspect::HistoryArguments;
use super::inspect::InspectArguments;
use super::options;
use super::parse::ParseArguments;
use super::prune::PruneArguments;
use super::prune::UsageArguments;
use super::pull::PullArguments;
use super::pull::PushArguments;
use super::run::RunArguments;
use super::tag::RemoveArguments;
use super::tag::TagArguments;
use super::value;
use crate::sandbox::IsolationWish;
use crate::sandbox::SnapshotterWish;
use crate::sandbox::Wishes;

/// What the process was told.
pub(super) type Arguments = Line<Command>;

/// Builds container images from Dockerfiles: one program, no daemon.
#[derive(Debug, Parser)]
#[command(
    name = "rbuild",
    version,
    after_help = EXAMPLES,
    override_usage = "rbuild [build] [OPTIONS] CONTEXT\n       rbuild COMMAND [OPTIONS] …",
    subcommand_value_name = "COMMAND",
    disable_help_subcommand = true
)]
pub(super) struct Line<C: Subcommand> {
    /// What to do.
    #[command(subcommand)]
    pub command: C,
    /// Where rbuild keeps and finds its things.
    #[command(flatten)]
    pub home: Home,
}

impl Arguments {
    /// Reads what [`asked`] made of the process's arguments.
    ///
    /// For a build the flags of all other subcommands are not even made: that takes longer than much
    /// of a build that finds everything done. Where this fails, all of them help to say why.
    pub(super) fn read(arguments: &[OsString]) -> Result<Self, clap::Error> {
        match Line::<Usual>::try_parse_from(arguments) {
            Ok(Line { command, home }) => Ok(Self {
                command: Command::Usual(command),
                home,
            }),
            Err(_) => Self::try_parse_from(arguments),
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  rbuild -t app:v1 .                     build ./Dockerfile and call the image app:v1
  rbuild -t ghcr.io/me/app:v1 --push .   build it, then push it
  rbuild -o type=docker,dest=- . | docker load

`build` may be left out: what does not begin with the name of a command is a build.
`rbuild COMMAND --help` explains each command, with examples.";

/// Where rbuild keeps and finds its things.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Home {
    /// Where images and the cache are kept [default: $RBUILD_ROOT, /var/lib/rbuild for root,
    /// $XDG_DATA_HOME/rbuild for others].
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The configuration file, for mirrors and registries [default: $RBUILD_CONFIG,
    /// $XDG_CONFIG_HOME/rbuild/config.toml, /etc/rbuild/config.toml].
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What keeps RUN apart from the machine: auto, namespace, rootless or chroot
    /// [default: $RBUILD_ISOLATION, else as much as is allowed].
    #[arg(long, global = true, value_name = "MODE", value_parser = value::ladder::isolation)]
    pub isolation: Option<IsolationWish>,
    /// How root filesystems are made: auto, overlay or copy [default: $RBUILD_SNAPSHOTTER, else
    /// overlay where it is allowed].
    #[arg(long, global = true, value_name = "HOW", value_parser = value::ladder::snapshotter)]
    pub snapshotter: Option<SnapshotterWish>,
}

impl Home {
    /// Gives the folder of the store, as an absolute path.
    pub(super) fn root(&self, environment: &Environment) -> PathBuf {
        let root = self
            .root
            .clone()
            .unwrap_or_else(|| environment.default_root());
        std::path::absolute(&root).unwrap_or(root)
    }

    /// Gives what is asked for of sandboxes.
    pub(super) fn wishes(&self, environment: &Environment) -> Result<Wishes, Error> {
        let isolation = Variable {
            name: "RBUILD_ISOLATION",
            expected: value::ladder::ISOLATIONS,
        };
        let snapshotter = Variable {
            name: "RBUILD_SNAPSHOTTER",
            expected: value::ladder::SNAPSHOTTERS,
        };
        let isolation = match self.isolation {
            Some(wish) => Some(wish),
            None => isolation.read(environment, value::ladder::isolation)?,
        };
        let snapshotter = match self.snapshotter {
            Some(wish) => Some(wish),
            None => snapshotter.read(environment, value::ladder::snapshotter)?,
        };
        Ok(Wishes {
            isolation: isolation.unwrap_or(IsolationWish::Auto),
            snapshotter: snapshotter.unwrap_or(SnapshotterWish::Auto),
        })
    }
}

/// An environment variable that says what a flag does not.
struct Variable {
    name: &'static str,
    expected: &'static str,
}

impl Variable {
    fn read<T>(
        &self,
        environment: &Environment,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Error> {
        let Some(text) = environment.text(self.name) else {
            return Ok(None);
        };
        parse(text).map(Some).map_err(|_| Error::Variable {
            name: self.name,
            value: text.to_owned(),
            expected: self.expected,
        })
    }
}

/// The subcommand that is mostly meant.
#[derive(Debug, Subcommand)]
pub(super) enum Usual {
    /// Build an image from a Dockerfile; the default.
    Build(Box<BuildArguments>),
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    #[command(flatten)]
    Usual(Usual),
    /// Run an image.
    Run(Box<RunArguments>),
    /// List the containers that run in the background.
    Ps(PsArguments),
    /// Print what a container in the background wrote.
    Logs(LogsArguments),
    /// End containers in the background.
    Stop(StopArguments),
    /// Forget containers that have ended.
    Rm(RmArguments),
    /// Send an image to a registry.
    Push(PushArguments),
    /// Bring an image from a registry.
    Pull(PullArguments),
    /// List the images there are.
    Images(ImagesArguments),
    /// Give an image another name.
    Tag(TagArguments),
    /// Forget images.
    Rmi(RemoveArguments),
    /// Print what there is to know about an image, as JSON.
    Inspect(InspectArguments),
    /// Print how an image came to be, instruction by instruction.
    History(HistoryArguments),
    /// Print how much space is taken.
    Du(UsageArguments),
    /// Remove what nothing needs.
    Prune(PruneArguments),
    /// Tell what this machine allows, and what would allow more.
    Doctor(DoctorArguments),
    /// Print what a Dockerfile says, as JSON.
    Parse(ParseArguments),
    /// Print the completion script of a shell.
    Completion(CompletionArguments),
    /// Print the version.
    Version,
}

/// What the arguments ask for before clap sees them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing was said: show what there is to say.
    Help,
    /// The arguments with the name of a subcommand in them.
    Command(Vec<OsString>),
    /// The same, where the subcommand is `run`.
    Run(Vec<OsString>),
}

/// How the global options begin that carry their value with them.
const GLOBAL: [&str; 4] = ["--root=", "--config=", "--isolation=", "--snapshotter="];

/// Finds out which subcommand is meant, and writes it down if it is the implied `build`.
///
/// The first argument that is not a global option decides. An option in that place, or a word that
/// names no subcommand, means `build`; so `rbuild images` lists images, and a directory of that
/// name is `./images`.
pub(super) fn asked(arguments: &[OsString]) -> Asked {
    let mut index = 1;
    while let Some(argument) = arguments.get(index).map(|text| text.to_string_lossy()) {
        match argument.as_ref() {
            "--root" | "--config" | "--isolation" | "--snapshotter" => index += 2,
            text if GLOBAL.iter().any(|flag| text.starts_with(flag)) => index += 1,
            "-h" | "--help" | "-V" | "--version" => return Asked::Command(arguments.to_vec()),
            "help" => return Asked::Command(help_of(arguments, index)),
            "run" => return Asked::Run(run_of(arguments, index)),
            word if Command::has_subcommand(word) => {
                return Asked::Command(arguments.to_vec());
            }
            _ => {
                let mut full = arguments.to_vec();
                full.insert(index, OsString::from("build"));
                return Asked::Command(full);
            }
        }
    }
    if arguments.len() <= 1 {
        return Asked::Help;
    }
    // An option without a value or without a command: clap explains.
    Asked::Command(arguments.to_vec())
}

/// Turns `help [COMMAND]` at `index` into `[COMMAND] --help`.
fn help_of(arguments: &[OsString], index: usize) -> Vec<OsString> {
    let mut full = arguments.to_vec();
    full.remove(index);
    full.push(OsString::from("--help"));
    full
}

/// Ends the options of `run` before the image: what follows it belongs to the process, also if it
/// looks like an option of rbuild's.
fn run_of(arguments: &[OsString], index: usize) -> Vec<OsString> {
    let mut full = arguments.to_vec();
    let mut command = Arguments::command();
    command.build();
    let run = command.find_subcommand("run").expect("it is one of them");
    if let Some(image) = options::end(run, &arguments[index + 1..]) {
        full.insert(index + 1 + image, OsString::from("--"));
    }
    full
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::CommandFactory;

    use super::Arguments;
    use super::Asked;
    use super::asked;

    fn check(line: &str, expected: &str) {
        let words = |text: &str| text.split_whitespace().map(OsString::from).collect();
        let arguments: Vec<OsString> = words(line);
        let (Asked::Command(full) | Asked::Run(full)) = asked(&arguments) else {
            panic!("nothing is asked by {line}");
        };
        assert_eq!(full, words(expected), "{line}");
    }

    #[test]
    fn build_is_implied() {
        check("rbuild -t x .", "rbuild build -t x .");
        check("rbuild build -t x .", "rbuild build -t x .");
        check("rbuild .", "rbuild build .");
        check("rbuild -", "rbuild build -");
        check("rbuild -- .", "rbuild build -- .");
        check("rbuild --root /r -t x .", "rbuild --root /r build -t x .");
        check("rbuild --root=/r .", "rbuild --root=/r build .");
        check("rbuild -t x build", "rbuild build -t x build");
        check("rbuild ./completion", "rbuild build ./completion");
    }

    #[test]
    fn a_subcommand_is_left_alone() {
        check("rbuild completion bash", "rbuild completion bash");
        check(
            "rbuild --root /r completion bash",
            "rbuild --root /r completion bash",
        );
    }

    #[test]
    fn what_follows_the_image_is_the_processs() {
        check("rbuild run x", "rbuild run -- x");
        check("rbuild run x -i -e A", "rbuild run -- x -i -e A");
        check("rbuild run -it x sh", "rbuild run -it -- x sh");
        check("rbuild run -e A=1 x sh", "rbuild run -e A=1 -- x sh");
        check(
            "rbuild run -eA=1 -p8:8 x sh",
            "rbuild run -eA=1 -p8:8 -- x sh",
        );
        check("rbuild run -ite A x", "rbuild run -ite A -- x");
        check(
            "rbuild run --env A --pull x",
            "rbuild run --env A --pull -- x",
        );
        check(
            "rbuild run --env=A x --pull",
            "rbuild run --env=A -- x --pull",
        );
        check("rbuild run --root /r x", "rbuild run --root /r -- x");
        check("rbuild run -- x y", "rbuild run -- x y");
        check("rbuild run --help", "rbuild run --help");
        check("rbuild --root /r run x -v", "rbuild --root /r run -- x -v");
    }

    #[test]
    fn help_is_never_far() {
        assert_eq!(asked(&[OsString::from("rbuild")]), Asked::Help);
        assert_eq!(asked(&[]), Asked::Help);
        check("rbuild --help", "rbuild --help");
        check("rbuild help", "rbuild --help");
        check("rbuild help build", "rbuild build --help");
    }

    #[test]
    fn clap_finds_no_contradiction() {
        Arguments::command().debug_assert();
    }
}
