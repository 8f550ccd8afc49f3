//! A store of its own for one test, and the rbuild that works on it.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

use super::modes;

/// The binary under test.
pub(crate) const RBUILD: &str = env!("CARGO_BIN_EXE_rbuild");

/// A folder with a store, a config file and whatever else a test puts there; gone with the test.
#[derive(Debug)]
pub(crate) struct Home {
    folder: TempDir,
    short: TempDir,
    way: Way,
}

/// How rbuild is run.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// As whoever runs the tests, with these arguments before all others.
    Plain(&'static [&'static str]),
    /// As `nobody`, who has these ranges of numbers.
    Nobody(&'static str),
}

impl Home {
    /// An empty store, and a config file that says nothing.
    pub(crate) fn new() -> Home {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::write(folder.path().join("rbuild.toml"), "").unwrap();
        let short = tempfile::tempdir().unwrap();
        let way = Way::Plain(&[]);
        Home { folder, short, way }
    }

    /// An empty store on which rbuild is told how to keep commands apart.
    pub(crate) fn with_arguments(arguments: &'static [&'static str]) -> Home {
        Home {
            way: Way::Plain(arguments),
            ..Home::new()
        }
    }

    /// An empty store of `nobody`, who has these ranges of numbers.
    pub(crate) fn of_nobody(ranges: &'static str) -> Home {
        Home {
            folder: modes::users_folder(),
            way: Way::Nobody(ranges),
            ..Home::new()
        }
    }

    /// An empty store for which Docker Hub's names are at this registry.
    pub(crate) fn with_mirror(address: &str) -> Home {
        let home = Home::new();
        fs::write(home.path("rbuild.toml"), mirror_config(address)).unwrap();
        home
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in a folder of its own whose path is short, for programs that refuse long ones.
    pub(crate) fn short_path(&self, name: &str) -> PathBuf {
        self.short.path().join(name)
    }

    /// Writes a file into the folder, making the folders above it.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes a build context, a Dockerfile alone, into the folder.
    pub(crate) fn context(&self, dockerfile: &str) -> PathBuf {
        let path = self.write("context/Dockerfile", dockerfile);
        path.parent().unwrap().to_owned()
    }

    /// Gives files to the user whose store this is.
    pub(crate) fn give(&self, folder: &Path) {
        if let Way::Nobody(_) = self.way {
            modes::give(folder, modes::NOBODY);
        }
    }

    /// Arguments that spare a user's builds a network that leads outside: making one takes time.
    pub(crate) fn without_way_out(&self) -> &'static [&'static str] {
        match self.way {
            Way::Nobody(_) => &["--network=none"],
            Way::Plain(_) => &[],
        }
    }

    /// rbuild on this store, with nothing taken from the user's own settings.
    pub(crate) fn rbuild(&self) -> Command {
        let mut command = match self.way {
            Way::Plain(arguments) => {
                let mut command = Command::new(RBUILD);
                command.args(arguments);
                command
            }
            Way::Nobody(ranges) => modes::as_user(self.folder.path(), ranges),
        };
        command
            .env("RBUILD_ROOT", self.path("root"))
            .env("RBUILD_CONFIG", self.path("rbuild.toml"))
            .env("DOCKER_CONFIG", self.path("docker"))
            .env_remove("SOURCE_DATE_EPOCH")
            .stdin(Stdio::null());
        command
    }

    /// `rbuild build --progress plain` of a context.
    pub(crate) fn build(&self, context: &Path) -> Command {
        let mut command = self.rbuild();
        command.args(["build", "--progress", "plain"]).arg(context);
        command
    }
}

/// A config file that sends Docker Hub's names to the registry.
pub(crate) fn mirror_config(address: &str) -> String {
    format!("[registry.\"docker.io\"]\nmirrors = [{address:?}]\n")
}

/// What a program did that has ended.
#[derive(Debug)]
pub(crate) struct Output {
    /// Its exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// Runs the command to its end.
pub(crate) fn output(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs the command to its end; fails the test with all it wrote unless it exits with 0.
pub(crate) fn succeed(command: &mut Command) -> Output {
    fail_with(0, command)
}

/// Runs the command to its end; fails the test with all it wrote unless it exits with the code.
pub(crate) fn fail_with(code: i32, command: &mut Command) -> Output {
    let output = output(command);
    assert_eq!(
        output.code,
        Some(code),
        "{command:?}\n{}{}",
        output.stdout,
        output.stderr
    );
    output
}
