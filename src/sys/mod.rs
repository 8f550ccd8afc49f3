//! The Linux room: every system call, every `unsafe`, every path walk inside a root.
//!
//! It offers what the kernel offers, in plain blocking functions over values of the standard
//! library and a few of its own: descriptors that close themselves, paths that cannot leave a root
//! ([`Root`]), directories addressed by handle and name ([`Dir`]), mounts that exist
//! before they are attached ([`mount`]), and processes born into new namespaces ([`birth`]).
//!
//! It knows nothing of images, layers or sandboxes; no type of `rustix` or `libc` passes this door.
//! A failure names the call with its arguments: `openat("/var/lib/rbuild/x", "name")`.
//!
//! Start reading at [`Root`], then [`Dir`].
#![allow(
    unsafe_code,
    reason = "system calls that rustix does not wrap are made here and nowhere else"
)]

// What unwinds the stack becomes part of the program, which starts sooner without `libgcc_s`.
#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
#[link(name = "gcc_eh", kind = "static", modifiers = "-bundle")]
unsafe extern "C" {}

pub mod alone;
pub mod birth;
pub mod byte_lock;
pub mod channel;
pub mod devices;
pub mod family;
pub mod file;
pub mod gift;
pub mod id;
pub mod id_map;
pub mod keeper;
pub mod kernel;
pub mod lease;
pub mod limit;
pub mod loan;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod overlay;
pub mod owner_lock;
pub mod proc_self;
pub mod process;
pub mod random;
pub mod remember;
pub mod seccomp;
pub mod trial;
pub mod tty;

mod abi;
mod caller;
mod child;
mod dir;
mod error;
mod map;
mod nearby;
mod notify;
mod remembered;
mod remove;
mod resolve;
mod root;
mod stat;
mod told;
mod walk;
mod xattr;

pub use self::dir::Dir;
pub use self::dir::DirEntry;
pub use self::dir::Node;
pub use self::error::Error;
pub use self::error::Result;
pub use self::map::Map;
pub use self::nearby::Nearby;
pub use self::overlay::CHANGE_SET_OPTIONS;
pub use self::overlay::Overlay;
pub use self::resolve::RealPath;
pub use self::root::Handle;
pub use self::root::Root;
pub use self::stat::FileKind;
pub use self::stat::Owner;
pub use self::stat::Stat;
pub use self::stat::Timestamp;
pub use self::walk::Made;
pub use self::walk::MakeDirs;
pub use self::walk::Symlinks;
