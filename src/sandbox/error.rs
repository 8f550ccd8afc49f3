//! Why there is no sandbox, or no word from it.

use std::io;
use std::time::Duration;

use crate::progress::in_one_line;
use crate::sandbox::inside::report::Problem;
use crate::sandbox::outbound::Obstacle;
use crate::sys;
use crate::sys::process;

/// Why a sandbox could not be made, watched or cleaned up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The spec does not fit into the form in which it is handed over.
    #[error("cannot hand over the sandbox's spec")]
    Encode(#[source] serde_json::Error),
    /// A file, pipe or process for the sandbox could not be made.
    #[error("cannot start a sandbox")]
    Start(#[source] sys::Error),
    /// This process may not make namespaces: it is not root, or is confined itself.
    #[error("this process may not make a sandbox")]
    Forbidden(#[source] sys::Error),
    /// This machine does not allow what was asked for.
    #[error("{what} is not possible here: {because}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// Why not.
        because: String,
        /// What to do.
        remedy: &'static str,
    },
    /// No user namespace can be made.
    #[error("cannot make a user namespace: {call}")]
    UserNamespace {
        /// The call that failed, with the kernel's answer.
        call: String,
    },
    /// The numbers of a user namespace are not those that the machine's files promise.
    #[error("cannot make a user namespace: {answer}")]
    Ranges {
        /// What the program that maps them said, its name first.
        answer: String,
    },
    /// This process is no root yet: rbuild has to be started again in a user namespace.
    #[error("root of a user namespace is needed")]
    NeedsRoot,
    /// Something was asked for that only namespaces give.
    #[error("{what} needs namespaces, which this process may not make")]
    NeedsNamespaces {
        /// What was asked for.
        what: String,
    },
    /// No thread could be started to watch the sandbox.
    #[error("cannot start a thread for the sandbox")]
    Thread(#[source] io::Error),
    /// The process that sandboxes are copies of has ended; it was probably killed.
    #[error("the process that sandboxes are copied from has ended")]
    Template,
    /// A step of setting up the sandbox failed.
    #[error("the sandbox cannot {step}: {call}")]
    Setup {
        /// What was being done.
        step: String,
        /// The call that failed.
        call: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The image has something in the way of a mount point or of the working directory.
    #[error("the sandbox cannot {step}: {path:?} is not to be found and not to be made there")]
    Place {
        /// What was being done.
        step: String,
        /// The path in the image.
        path: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The user is not in the image's `/etc/passwd`, and it is no number.
    #[error("unable to find user {user}: no matching entries in passwd file")]
    UnknownUser {
        /// The name.
        user: String,
    },
    /// The group is not in the image's `/etc/group`, and it is no number.
    #[error("unable to find group {group}: no matching entries in group file")]
    UnknownGroup {
        /// The name.
        group: String,
    },
    /// A capability or limit does not exist.
    #[error("the sandbox cannot {step}: {name:?} is not known")]
    UnknownName {
        /// What was being done.
        step: String,
        /// The name.
        name: String,
    },
    /// The program does not exist in the image.
    #[error("{program}: not found")]
    ProgramNotFound {
        /// The program as it was asked for.
        program: String,
    },
    /// The program exists but cannot be executed.
    #[error("{program}: cannot be executed")]
    ProgramNotExecutable {
        /// The program as it was asked for.
        program: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The sandbox ended before its program began, without a word; it was probably killed.
    #[error("the sandbox ended while it was being set up, {status}")]
    Vanished {
        /// How it ended.
        status: String,
    },
    /// What the sandbox's watching process left behind when it was killed cannot be found.
    #[error("cannot end what the sandbox left behind")]
    Strays(#[source] sys::Error),
    /// It cannot be known how the program ended.
    #[error("cannot wait for the sandbox")]
    Wait(#[source] sys::Error),
    /// A signal could not be sent.
    #[error("cannot signal the sandbox")]
    Signal(#[source] sys::Error),
    /// A terminal could not be read or set.
    #[error("cannot set up the terminal")]
    Terminal(#[source] sys::Error),
    /// The mount points made for the sandbox, or what was put there, could not be removed.
    #[error("cannot remove the sandbox's mount points")]
    CleanUp(#[source] sys::Error),
    /// The sandbox's watching process left what it had lent, or put elsewhere meanwhile.
    #[error("what was lent to the sandbox could not be taken back")]
    NotTakenBack,
    /// The program has moved what it was lent away from its place, or given it a second name.
    #[error("what was mounted at {targets} cannot be moved or linked")]
    Misplaced {
        /// Where it was.
        targets: String,
    },
    /// No connection could be made on the sandbox's network.
    #[error("cannot connect to port {port} in the sandbox")]
    Connect {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// A limit cannot be set; the kernel's control groups are missing or belong to others.
    #[error("{flag} cannot be kept")]
    Limit {
        /// The flag that asks for it.
        flag: &'static str,
        /// What was tried.
        source: sys::Error,
    },
    /// A processor was asked for that the machine does not have, or not for this process.
    #[error("--cpuset-cpus: there is no processor {number} here ({there})")]
    NoProcessor {
        /// Which.
        number: usize,
        /// Which there are.
        there: String,
    },
    /// Fewer processes were asked for than can be counted without control groups.
    #[error("--pids-limit: without control groups, {least} is the least that can be kept")]
    TooFewProcesses {
        /// The least there can be.
        least: u64,
    },
    /// No program that leads a network outside is installed.
    #[error("neither slirp4netns nor pasta is installed")]
    NoNetworkProgram,
    /// A network could not be made or led outside.
    #[error("{program} leads no network outside: {because}")]
    Outbound {
        /// The program that was to do it.
        program: &'static str,
        /// What it said, or how it ended.
        because: String,
    },
    /// A program that is to lead a network outside does not come to it.
    #[error("{program} leads no network outside after {} seconds", .timeout.as_secs())]
    NetworkLate {
        /// The program.
        program: &'static str,
        /// How long it was given.
        timeout: Duration,
    },
    /// No program leads a network outside, and this process itself cannot either.
    #[error("{programs}, and rbuild itself leads none: {obstacle}", programs = in_one_line(.programs))]
    NoWayOut {
        /// Why no program does.
        programs: Box<Error>,
        /// Why this process does not.
        obstacle: Obstacle,
    },
    /// A network was given up, since nobody wants it any more.
    #[error("the network is no longer wanted")]
    Unwanted,
    /// The sandbox's network could not be entered.
    #[error("cannot enter the sandbox's network")]
    Network(#[source] sys::Error),
}

impl Error {
    /// The code that `docker run` exits with in such a case: 127 if there is no such program, 126
    /// if it cannot be executed, 125 for all that is not the program's fault.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::ProgramNotFound { .. } => 127,
            Error::ProgramNotExecutable { .. } => 126,
            _ => 125,
        }
    }

    /// Says what to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Forbidden(_) => {
                Some("run rbuild as root with CAP_SYS_ADMIN; in a container, make that privileged")
            }
            Error::Refused { remedy, .. } => Some(remedy),
            Error::UserNamespace { .. } => Some(
                "allow it: sysctl user.max_user_namespaces=28633, and where it exists \
                 kernel.unprivileged_userns_clone=1 or \
                 kernel.apparmor_restrict_unprivileged_userns=0; or run rbuild as root. In a \
                 container `rbuild doctor` says more",
            ),
            Error::Ranges { .. } => Some(
                "give the user one range each in /etc/subuid and /etc/subgid that no other's and \
                 no user's own number lies in, or none in both: echo $USER:100000:65536",
            ),
            Error::ProgramNotExecutable { source, .. }
                if source.raw_os_error() == Some(process::EXEC_FORMAT) =>
            {
                Some(
                    "it is for another machine, or a script without #!. To run programs of other \
                     machines, install qemu-user-static and binfmt-support here; to build for them \
                     without, write FROM --platform=$BUILDPLATFORM where a RUN follows",
                )
            }
            Error::Limit { .. } => Some(
                "leave it out, or have rbuild make control groups: `rbuild doctor` says how to \
                 gain them",
            ),
            Error::NetworkLate { .. } => Some(
                "repair or uninstall it; or take the network of this machine, loopback included: \
                 --network=host (for a RUN, also --allow network.host)",
            ),
            Error::NeedsNamespaces { .. } | Error::TooFewProcesses { .. } => {
                Some("`rbuild doctor` says how to gain them")
            }
            _ => None,
        }
    }

    /// Says whether what was asked for is to blame, not the machine: the program, the user, a place
    /// in the image.
    #[must_use]
    pub fn is_programs(&self) -> bool {
        matches!(
            self,
            Error::ProgramNotFound { .. }
                | Error::ProgramNotExecutable { .. }
                | Error::UnknownUser { .. }
                | Error::UnknownGroup { .. }
                | Error::Misplaced { .. }
                | Error::Place { .. }
        )
    }

    pub(super) fn of(step: String, problem: Problem) -> Error {
        let os = io::Error::from_raw_os_error;
        match problem {
            Problem::Call { call, errno } => Error::Setup {
                step,
                call,
                source: os(errno),
            },
            Problem::Place { path, errno } => Error::Place {
                step,
                path,
                source: os(errno),
            },
            Problem::UnknownUser { user } => Error::UnknownUser { user },
            Problem::UnknownGroup { group } => Error::UnknownGroup { group },
            Problem::UnknownName { name } => Error::UnknownName { step, name },
            Problem::ProgramNotFound { program } => Error::ProgramNotFound { program },
            Problem::ProgramNotExecutable { program, errno } => Error::ProgramNotExecutable {
                program,
                source: os(errno),
            },
        }
    }
}
