//! Namespaces: what of the system a process has for itself.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::thread::LinkNameSpaceType;
use rustix::thread::UnshareFlags;

use crate::sys::Error;
use crate::sys::Result;
use crate::sys::error::Call;
use crate::sys::error::path_of;

/// What a new process does not share with its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Namespace {
    /// Mounts.
    Mount,
    /// Process numbers; the new process is number 1, and when it ends all others in it are killed.
    Pid,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// The host name.
    Uts,
    /// Network interfaces, addresses and ports.
    Network,
}

impl Namespace {
    pub(super) fn flag(self) -> libc::c_int {
        match self {
            Namespace::Mount => libc::CLONE_NEWNS,
            Namespace::Pid => libc::CLONE_NEWPID,
            Namespace::Ipc => libc::CLONE_NEWIPC,
            Namespace::Uts => libc::CLONE_NEWUTS,
            Namespace::Network => libc::CLONE_NEWNET,
        }
    }
}

/// The kernel's error number for what rights, not file modes, forbid.
pub const FORBIDDEN: i32 = libc::EPERM;

/// The kernel's error number for one namespace more than there may be.
pub const USED_UP: i32 = libc::ENOSPC;

/// Makes a user namespace of this process's own, and one for mounts; it must have one thread.
pub fn own_users() -> Result<()> {
    // SAFETY: plain numbers; there is no other thread.
    match unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) } {
        0 => Ok(()),
        _ => Err(Error::new(
            "unshare(CLONE_NEWUSER)",
            std::io::Error::last_os_error(),
        )),
    }
}

/// Opens a process's network namespace; it exists as long as this handle, even without a process.
pub fn network_of(pid: u32) -> Result<File> {
    let path = format!("/proc/{pid}/ns/net");
    File::open(&path).map_err(|source| Error::new(format!("open({path:?})"), source))
}

/// Makes a network namespace with a loopback interface that is on. It exists as long as this
/// handle, or a process in it.
pub fn new_network() -> Result<File> {
    let thread = std::thread::Builder::new().name("new network".to_owned());
    // A thread that has moved into a namespace is of no use for anything else.
    let thread = thread.spawn(|| {
        const PATH: &str = "/proc/thread-self/ns/net";
        // SAFETY: nothing but the network is given up, and this thread has no socket yet.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
            .call(|| "unshare(CLONE_NEWNET)".to_owned())?;
        raise_loopback()?;
        File::open(PATH).call(|| format!("open({PATH:?})"))
    });
    let thread = thread.call(|| "clone(CLONE_THREAD)".to_owned())?;
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Opens a network namespace that has a name in the file system.
pub fn network_at(path: &Path) -> Result<File> {
    File::open(path).map_err(|source| Error::new(format!("open({path:?})"), source))
}

/// Does something on another network. A thread belongs to one, so one is started for this and ended at
/// once; what is opened meanwhile stays on that network.
pub fn on_network<T: Send>(
    namespace: impl AsFd + Send,
    work: impl FnOnce() -> T + Send,
) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("other network".to_owned());
        let enter = || enter_network(namespace).map(|()| work());
        let thread = thread.spawn_scoped(scope, enter);
        let thread = thread.call(|| "clone(CLONE_THREAD)".to_owned())?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Moves this thread, and only it, into a network namespace.
pub fn enter_network(namespace: impl AsFd) -> Result<()> {
    rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .call(|| format!("setns({:?}, CLONE_NEWNET)", path_of(namespace.as_fd())))
}

/// Has the processes that this thread starts from now on, and only those, be in the namespace of
/// process numbers of another process.
pub fn start_beside(process: impl AsFd) -> Result<()> {
    let kind = rustix::thread::ThreadNameSpaceType::PROCESS_ID;
    rustix::thread::move_into_thread_name_spaces(process.as_fd(), kind)
        .call(|| "setns(pidfd, CLONE_NEWPID)".to_owned())
}

/// Names the host, as this namespace sees it.
pub fn set_host_name(name: &str) -> Result<()> {
    rustix::system::sethostname(name.as_bytes()).call(|| format!("sethostname({name:?})"))
}

/// Switches the loopback interface on, which in a new network namespace is off.
pub fn raise_loopback() -> Result<()> {
    let family = rustix::net::AddressFamily::INET;
    let flags = rustix::net::SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, rustix::net::SocketType::DGRAM, flags, None)
        .call(|| "socket(AF_INET, SOCK_DGRAM)".to_owned())?;
    // SAFETY: all fields of the structure are plain numbers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = libc::c_char::from_ne_bytes([b'l']);
    request.ifr_name[1] = libc::c_char::from_ne_bytes([b'o']);
    let up = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).expect("flags 1 and 64");
    request.ifr_ifru.ifru_flags = up;
    // SAFETY: the socket is open and the structure is the one this request reads.
    let result = unsafe {
        use std::os::fd::AsRawFd;
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)
    };
    match result {
        0 => Ok(()),
        _ => Err(Error::new(
            "ioctl(\"lo\", SIOCSIFFLAGS)",
            std::io::Error::last_os_error(),
        )),
    }
}
