//! The outside: starting a sandbox, watching it, ending it.

use std::fs::File;
use std::io;
use std::io::PipeReader;
use std::io::PipeWriter;
use std::io::Seek;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use crate::sandbox::Error;
use crate::sandbox::apart;
use crate::sandbox::cgroup::Cgroup;
use crate::sandbox::furnish::Furnished;
use crate::sandbox::init;
use crate::sandbox::limits::Exceeded;
use crate::sandbox::limits::Limits;
use crate::sandbox::report::Report;
use crate::sandbox::spec::Isolation;
use crate::sandbox::spec::Rootfs;
use crate::sandbox::spec::Spec;
use crate::sandbox::stdio::Files;
use crate::sandbox::stdio::Input;
use crate::sandbox::stdio::Output;
use crate::sandbox::stub::Stubs;
use crate::sys;
use crate::sys::Dir;
use crate::sys::channel::Channel;
use crate::sys::file;
use crate::sys::mount::Attributes;
use crate::sys::mount::Depth;
use crate::sys::mount::Mount;
use crate::sys::namespace::Namespace;
use crate::sys::process;
use crate::sys::process::Child;
use crate::sys::process::Ended;
use crate::sys::process::Launch;

/// What is not part of the sandbox but of how it is started.
#[derive(Debug, Clone)]
pub struct SpawnOptions {
    /// A binary whose `main` begins with [`init_if_requested`](crate::sandbox::init_if_requested).
    pub program: PathBuf,
    /// Where the process reads from.
    pub input: Input,
    /// Where the process writes to.
    pub output: Output,
}

/// How a sandboxed process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus {
    /// Its exit code; 128 and the signal's number if a signal killed it.
    pub code: i32,
    /// The signal that killed it, if any.
    pub signal: Option<i32>,
    /// The limit it ran into, if any.
    pub exceeded: Option<Exceeded>,
}

/// A sandbox whose program was executed. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    /// The end to write what the process reads, if asked for.
    pub stdin: Option<PipeWriter>,
    /// The end to read what the process writes, if asked for.
    pub stdout: Option<PipeReader>,
    /// The end to read what the process writes as errors, if asked for.
    pub stderr: Option<PipeReader>,
    /// The user's end of the process's terminal, if it has one.
    pub terminal: Option<File>,
    killer: Killer,
    pid: u32,
    keeper: Option<JoinHandle<Result<ExitStatus, Error>>>,
}

/// What can end a sandbox from anywhere, also while it is waited for.
#[derive(Debug, Clone)]
pub struct Killer {
    pidfd: Arc<OwnedFd>,
    kill_signal: i32,
}

/// The path by which a process reaches its own binary.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// Starts a sandbox and returns when its program was executed or could not be.
///
/// A thread of its own starts it and waits for it, since the kernel kills the sandbox when the
/// thread that started it ends, and not only when the process does.
pub fn spawn(spec: &Spec, options: &SpawnOptions) -> Result<Running, Error> {
    apart::check(spec)?;
    let files = Files::new(spec, options)?;
    let text = handed_over(spec)?;
    let (channel, inside) = Channel::pair().map_err(Error::Start)?;
    let keeper = Keeper {
        program: sealed(&options.program),
        channel,
        namespaces: apart::namespaces(spec),
        isolation: spec.isolation.clone(),
        root: spec.root.clone(),
        limits: spec.limits.clone(),
    };
    let kill_signal = apart::kill_signal(&spec.isolation);
    let (handed, spec) = (files.inner, spec.clone());
    let (tell, told) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("sandbox".to_owned());
    let thread = thread.spawn(move || {
        let [stdin, stdout, stderr] = &handed;
        let inner = [
            stdin.as_fd(),
            stdout.as_fd(),
            stderr.as_fd(),
            text.as_fd(),
            inside.as_fd(),
        ];
        let furnished = keeper.furnish(&spec)?;
        let begun = Cgroup::new(&spec.limits).and_then(|cgroup| {
            let child = keeper.launch_in(&cgroup, inner)?;
            Ok((child, cgroup))
        });
        let ended = begun.and_then(|(child, cgroup)| {
            drop((handed, text, inside));
            keeper.keep(&child, &cgroup, &tell)
        });
        match furnished.map(|mut furnished| furnished.clear()) {
            Some(Err(error)) => Err(Error::CleanUp(error)),
            _ => ended,
        }
    });
    let thread = thread.map_err(Error::Thread)?;
    match told.recv() {
        Ok(Started {
            pid,
            pidfd,
            terminal,
        }) => Ok(Running {
            stdin: files.stdin,
            stdout: files.stdout,
            stderr: files.stderr,
            terminal: terminal.map(File::from),
            killer: Killer {
                pidfd: Arc::new(pidfd),
                kill_signal,
            },
            pid,
            keeper: Some(thread),
        }),
        // It ended without having started anything, so it knows why.
        Err(_) => match joined(thread) {
            Err(error) => Err(error),
            Ok(status) => Err(Error::Vanished {
                status: format!("with code {}", status.code),
            }),
        },
    }
}

/// What the keeper tells when the program was executed.
struct Started {
    pid: u32,
    pidfd: OwnedFd,
    terminal: Option<OwnedFd>,
}

/// What the thread that keeps a sandbox needs to know.
struct Keeper {
    program: Program,
    channel: Channel,
    namespaces: Vec<Namespace>,
    isolation: Isolation,
    root: Rootfs,
    limits: Limits,
}

impl Keeper {
    /// Starts the process where its limits hold.
    fn launch_in(
        &self,
        cgroup: &Cgroup,
        files: [BorrowedFd<'_>; init::FILES],
    ) -> Result<Child, Error> {
        let launched = cgroup.enter().and_then(|()| self.launch(files));
        let left = cgroup.leave(launched.as_ref().ok().map(Child::pid));
        let child = launched?;
        if let Err(error) = left {
            let pidfd = child.pidfd().map_err(Error::Signal)?;
            process::signal(pidfd, process::KILL).map_err(Error::Signal)?;
            child.wait().map_err(Error::Wait)?;
            return Err(error);
        }
        Ok(child)
    }

    fn launch(&self, files: [BorrowedFd<'_>; init::FILES]) -> Result<Child, Error> {
        let name = std::ffi::CString::new(init::NAME).expect("the name has no NUL");
        let mut files = files.to_vec();
        let view = format!("/proc/self/fd/{}", files.len());
        let program = match &self.program {
            Program::View(mount) => {
                files.push(mount.as_fd());
                Path::new(&view)
            }
            Program::Path(path) => path,
        };
        let launch = Launch {
            program,
            args: &[name],
            env: &[],
            files: &files,
            namespaces: &self.namespaces,
        };
        process::launch(&launch).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Error::Forbidden(error),
            _ => Error::Start(error),
        })
    }

    /// Puts in place what cannot be mounted inside.
    fn furnish(&self, spec: &Spec) -> Result<Option<Furnished>, Error> {
        match (&self.isolation, &self.root) {
            (Isolation::Chroot { own }, Rootfs::Directory(root)) => {
                let furnished = Furnished::new(root, own, spec).map_err(Error::Furnish)?;
                Ok(Some(furnished))
            }
            _ => Ok(None),
        }
    }

    /// Follows the sandbox from its birth until nothing of it is left.
    fn keep(
        &self,
        child: &Child,
        cgroup: &Cgroup,
        tell: &mpsc::SyncSender<Started>,
    ) -> Result<ExitStatus, Error> {
        let mut stubs = Stubs::default();
        let begun = self
            .follow(child, &mut stubs)
            .and_then(|started| tell.send(started).map_err(|_| None));
        if begun.is_err() {
            let pidfd = child.pidfd().map_err(Error::Signal)?;
            process::signal(pidfd, apart::kill_signal(&self.isolation)).map_err(Error::Signal)?;
        }
        let ended = child.wait();
        self.clean_up(&stubs).map_err(Error::CleanUp)?;
        match begun {
            Err(Some(error)) => Err(error),
            _ => {
                let ended = ended.map_err(Error::Wait)?;
                Ok(ExitStatus::of(ended, cgroup.exceeded(&self.limits)))
            }
        }
    }

    /// Removes what the sandbox left behind, now that it is gone and its mounts with it.
    fn clean_up(&self, stubs: &Stubs) -> Result<(), sys::Error> {
        match &self.root {
            Rootfs::Directory(path) => stubs.remove(path),
            Rootfs::Overlay { upper, work, .. } => {
                // Something in here keeps a volatile overlay from being mounted again, lest
                // somebody trusts it after a crash. There was none.
                match Dir::open(work).and_then(|work| work.remove_all("work")) {
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => {}
                }
                stubs.remove(upper)
            }
        }
    }

    /// Listens until the program is executed. An error that is not known is nothing: the sandbox
    /// ended without a word.
    fn follow(&self, child: &Child, stubs: &mut Stubs) -> Result<Started, Option<Error>> {
        let pidfd = child.pidfd().map_err(|error| Some(Error::Start(error)))?;
        let mut ready = false;
        let mut terminal = None;
        // The inside waits for this: now it knows that it will not outlive its keeper.
        if self.channel.send(b"go", None).is_err() {
            return Err(None);
        }
        while let Ok(Some(message)) = self.channel.receive() {
            match serde_json::from_slice(&message.bytes) {
                Ok(Report::Stubs(made)) => *stubs = made,
                Ok(Report::Ready) => {
                    ready = true;
                    terminal = message.file;
                }
                Ok(Report::Failed { step, problem }) => return Err(Some(Error::of(step, problem))),
                Err(_) => return Err(None),
            }
        }
        match ready {
            true => Ok(Started {
                pid: child.pid(),
                pidfd,
                terminal,
            }),
            false => Err(None),
        }
    }
}

impl Running {
    /// The number of its first process, as the host sees it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What can end it from another thread.
    pub fn killer(&self) -> Killer {
        self.killer.clone()
    }

    /// Waits until its first process, and so all in it, has ended and nothing of it is left.
    pub fn wait(mut self) -> Result<ExitStatus, Error> {
        let keeper = self
            .keeper
            .take()
            .expect("only `wait` and `drop` take it, and both once");
        joined(keeper)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            // Nobody is left who could be told of a failure.
            let _ = self.killer.kill();
            let _ = joined(keeper);
        }
    }
}

impl Killer {
    /// Kills all processes in the sandbox.
    pub fn kill(&self) -> Result<(), Error> {
        self.signal(self.kill_signal)
    }

    /// Sends a signal to its first process, which may ignore it: the kernel protects the first
    /// process of a namespace from all signals but `SIGKILL` that it does not handle itself.
    pub fn signal(&self, number: i32) -> Result<(), Error> {
        process::signal(&*self.pidfd, number).map_err(Error::Signal)
    }
}

impl ExitStatus {
    pub(super) fn of(ended: Ended, exceeded: Option<Exceeded>) -> ExitStatus {
        let (code, signal) = match ended {
            Ended::Exited(code) => (code, None),
            Ended::Killed(signal) => (128 + signal, Some(signal)),
        };
        ExitStatus {
            code,
            signal,
            exceeded,
        }
    }
}

fn joined(keeper: JoinHandle<Result<ExitStatus, Error>>) -> Result<ExitStatus, Error> {
    keeper
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The spec as a file to read from its beginning.
fn handed_over(spec: &Spec) -> Result<File, Error> {
    let mut file = file::in_memory("sandbox spec").map_err(Error::Start)?;
    let write = |error| Error::Start(sys::Error::new("write(sandbox spec)", error));
    let text = serde_json::to_vec(spec).map_err(Error::Encode)?;
    std::io::Write::write_all(&mut file, &text).map_err(write)?;
    file.rewind().map_err(write)?;
    Ok(file)
}

/// The binary to execute.
enum Program {
    View(Mount),
    Path(PathBuf),
}

/// Makes a read-only view of the binary, so that a process in the sandbox that gets hold of it
/// through `/proc/self/exe` cannot overwrite it (CVE-2019-5736).
///
/// Who may not make such a view may, as a rule, not write the binary either.
fn sealed(path: &Path) -> Program {
    let read_only = Attributes {
        read_only: true,
        ..Attributes::default()
    };
    let view = Mount::bind(path, Depth::One)
        .and_then(|view| view.restrict(read_only, Depth::One).map(|()| view));
    view.map_or_else(|_| Program::Path(path.to_path_buf()), Program::View)
}
