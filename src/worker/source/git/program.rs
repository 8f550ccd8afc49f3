//! The program `git`, run so that nothing but its arguments decides what it does.

use std::io;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::solver::Cancel;
use crate::sys::process;
use crate::worker::Error;

/// How often it is asked whether git has ended, or is to end.
const PAUSE: Duration = Duration::from_millis(5);

/// By these the user's shell, or the git hook that rbuild runs in, makes git use another repository
/// or other settings than it is told to (`git rev-parse --local-env-vars`), or ask the user.
const UNWANTED: [&str; 20] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ASKPASS",
    "GIT_ATTR_SOURCE",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DEFAULT_HASH",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_TEMPLATE_DIR",
    "GIT_WORK_TREE",
    "SSH_ASKPASS",
];

/// How git is run.
pub(super) struct Program<'a> {
    /// The repository.
    pub(super) folder: &'a Path,
    /// The value of the `Authorization` header for the web server of this URL.
    pub(super) authorization: Option<(&'a str, &'a str)>,
    /// The socket of the ssh agent.
    pub(super) ssh_agent: Option<&'a Path>,
    /// Ends it.
    pub(super) cancel: &'a Cancel,
}

/// What git said, and how it ended.
pub(super) struct Said {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Program<'_> {
    /// Runs git to its end.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<Said, Error> {
        let missing = |source| Error::GitMissing { source };
        let mut child = self.command(arguments).spawn().map_err(missing)?;
        let aside =
            aside(child.stdout.take()).and_then(|stdout| Ok((stdout, aside(child.stderr.take())?)));
        let (stdout, stderr) = match aside {
            Ok(both) => both,
            Err(source) => {
                end(&mut child).map_err(missing)?;
                return Err(Error::no_thread(source));
            }
        };
        let status = loop {
            if let Some(status) = child.try_wait().map_err(missing)? {
                break status;
            }
            if self.cancel.is_canceled() {
                // What it wrote is not waited for: who left its group may still hold the pipe.
                end(&mut child).map_err(missing)?;
                return Err(Error::Canceled);
            }
            thread::sleep(PAUSE);
        };
        Ok(Said {
            status,
            stdout: stdout.join().unwrap_or_default(),
            stderr: stderr.join().unwrap_or_default(),
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "git repositories are fetched by git"
    )]
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.folder).args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // With those that it starts: git-remote-https, ssh, index-pack.
            .process_group(0);
        for name in UNWANTED {
            command.env_remove(name);
        }
        // No configuration of the user's or the machine's decides what is built.
        command.envs([
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ALLOW_PROTOCOL", "git:http:https:ssh"),
            ("GIT_SSH_COMMAND", "ssh -F /dev/null -o BatchMode=yes"),
        ]);
        let mut settings = vec![("core.fileMode", "true"), ("advice.detachedHead", "false")];
        // For no other server: a submodule may be anybody's.
        let header = self.authorization.map(|(url, value)| {
            let key = format!("http.{}.extraHeader", server(url));
            (key, format!("Authorization: {value}"))
        });
        if let Some((key, value)) = &header {
            settings.push((key, value));
        }
        // By the environment, which other users cannot see, unlike arguments.
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (index, (key, value)) in settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{index}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        if let Some(socket) = self.ssh_agent {
            command.env("SSH_AUTH_SOCK", socket);
        }
        command
    }
}

/// Kills git and those that it started, and waits for git.
fn end(git: &mut Child) -> io::Result<()> {
    process::kill_group(git).map_err(io::Error::other)?;
    git.wait().map(drop)
}

/// The scheme, host and port of a URL.
fn server(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + "://".len());
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    &url[..end]
}

/// Reads all that comes, on a thread of its own.
fn aside(pipe: Option<impl Read + Send + 'static>) -> io::Result<JoinHandle<Vec<u8>>> {
    let thread = thread::Builder::new().name("git".to_owned());
    thread.spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came until then is what it said.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn program<'a>(folder: &'a Path, cancel: &'a Cancel) -> Program<'a> {
        Program {
            folder,
            authorization: None,
            ssh_agent: None,
            cancel,
        }
    }

    #[test]
    fn no_variable_leads_to_another_repository() {
        let cancel = Cancel::new();
        let command = program(Path::new("/nowhere"), &cancel).command(&["init"]);
        for wanted in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CONFIG"] {
            let is_removed =
                |(name, value): (&std::ffi::OsStr, Option<_>)| name == wanted && value.is_none();
            assert!(command.get_envs().any(is_removed), "{wanted}");
        }
    }

    #[test]
    fn a_canceled_build_ends_git_and_those_that_git_started() {
        let folder = tempfile::tempdir().unwrap();
        let (line, cancel) = (folder.path().join("line"), Cancel::new());
        let (tell, told) = mpsc::channel();
        let canceling = cancel.clone();
        std::thread::spawn(move || {
            while !line.exists() {
                std::thread::sleep(PAUSE);
            }
            // That waits for who writes, and this for the end of the last of them.
            let mut line = std::fs::File::open(line).unwrap();
            canceling.cancel();
            tell.send(line.read_to_end(&mut Vec::new())).unwrap();
        });
        // If it is not killed, it ends with the folder, or after minutes.
        let script = "mkfifo line && exec 3>line; \
                      for i in $(seq 3000); do test -e line || exit; sleep 0.1; done";
        let alias = ["-c", &format!("alias.wait=!{script}"), "wait"];
        let ended = program(folder.path(), &cancel).run(&alias);
        assert!(matches!(ended, Err(Error::Canceled)));
        let read = told.recv_timeout(Duration::from_secs(60));
        assert_eq!(read.unwrap().unwrap(), 0);
    }
}
