//! One process, isolated: a plain [`Spec`] becomes a running process with a root file system,
//! a user, a network and limits of its own, as a Docker container has them.
//!
//! It does not know where root file systems come from and what becomes of their changes, and it
//! keeps no list of what runs. It is Linux only. [`Ladder`] finds out what a machine allows: root
//! makes namespaces, any user does as root of a user namespace ([`enter`]), and where neither is
//! allowed a command gets another root directory ([`Isolation::Chroot`]).
//!
//! [`spawn`] is the outside: it has a [`Template`], which is this very binary started again, make a
//! copy of itself in new namespaces, and hands that the spec. `inside` is what it does: there the
//! copy goes through a list of named steps and becomes the program, which is process 1 of its
//! namespace: when it ends, all it started is killed. What does not depend on the spec it has done
//! before, at best while another command ran (`template/ahead.rs`). A sandbox never outlives the
//! process that started it, and when it is gone, no mount, no process and no mount point is left of
//! it.
//!
//! # What is asked of the kernel
//!
//! | feature | since | why | without it |
//! |---|---|---|---|
//! | `openat2(RESOLVE_IN_ROOT)` | 5.6 | walks that cannot leave the root | refused |
//! | `clone(CLONE_PIDFD)`, `waitid(P_PIDFD)` | 5.4 | signals that reach no stranger | refused |
//! | `fsopen`, `move_mount`, `open_tree` | 5.2 | mounts on handles, not paths | refused |
//! | `mount_setattr` | 5.12 | read-only trees at once | remount; mounts below stay writable |
//! | overlay `lowerdir+` | 6.7 | more layers than fit in a page | short names, 240 layers |
//! | overlay `volatile` | 5.10 | `fsync` inside costs nothing | a slower sandbox |
//! | `close_range` | 5.9 | no open file leaks in | closed one by one |
//! | `fchmodat2` | 6.6 | a mode set without following a link | a handle, and two calls more |
//! | `seccomp` filters | 3.17 | calls that no container needs are refused | refused |
//! | cgroups, version 1 or 2 | - | memory, processors and processes are limited | the next two, and a limit for each process; else a limit that was asked for is refused |
//! | `pid_max` of a namespace | 6.14 | processes are limited without cgroups | processes of a user are |
//! | `RLIMIT_NPROC` of a user namespace | 5.14 | the same, as any user | all processes of the user count |
//! | cgroup devices, version 1 or a program in version 2 | 4.15 | a device that a program makes itself opens if it is one of the usual | mounts forbid all of them |
//! | slirp4netns or pasta | - | a way out of a network of its own | the host passes its packets on |
//! | `veth`, and `nf_tables` with owners of tables | 5.12 | the same without such a program | the host's network |
//! | `seccomp_unotify` | 5.9 | owners that a user namespace of one user cannot set are remembered | they are forgotten |
//! | user namespaces | 3.8 | any user is root of one | root is needed |
//! | overlay `userxattr` | 5.11 | overlays in a user namespace | root file systems are copied |
//! | `PR_SET_CHILD_SUBREAPER` | 3.4 | without a process namespace, all a command started is found | refused |
//! | `mknod` of devices | - | `/dev/null` and its like | the host's devices are shown; without mounts, opened for root alone |
//! | session keyrings | 2.6.10 | keys of its own | the user's keys are shared |
//!
//! Start reading at [`Spec`], then `inside/mod.rs`.

mod apart;
mod cgroup;
mod chroot;
mod entrance;
mod error;
mod examine;
mod inside;
mod ladder;
mod life;
mod limits;
mod network;
mod outbound;
mod processors;
mod program;
mod rootless;
mod running;
mod seccomp;
mod spawn;
mod spec;
mod stdio;
mod template;
mod terminal;
mod ungrouped;

pub use self::cgroup::leave_given as leave_given_groups;
pub use self::entrance::init_if_requested;
pub use self::error::Error;
pub use self::examine::Finding;
pub use self::examine::examine;
pub use self::ladder::Choice;
pub use self::ladder::IsolationWish;
pub use self::ladder::Ladder;
pub use self::ladder::Level;
pub use self::ladder::SnapshotterWish;
pub use self::ladder::Wishes;
pub use self::limits::CpuTime;
pub use self::limits::Exceeded;
pub use self::limits::Limits;
pub use self::limits::PROCESSES_USUAL;
pub use self::limits::Processes;
pub use self::network::SandboxNetwork;
pub use self::outbound::Obstacle;
pub use self::outbound::Outbound;
pub use self::program::find_here;
pub use self::rootless::Entry;
pub use self::rootless::enter;
pub use self::running::ExitStatus;
pub use self::running::Killer;
pub use self::running::Running;
pub use self::spawn::SpawnOptions;
pub use self::spawn::THIS_PROGRAM;
pub use self::spawn::spawn;
pub use self::spec::Access;
pub use self::spec::DEFAULT_CAPABILITIES;
pub use self::spec::Isolation;
pub use self::spec::Mount;
pub use self::spec::MountSource;
pub use self::spec::Network;
pub use self::spec::Rootfs;
pub use self::spec::Security;
pub use self::spec::Spec;
pub use self::spec::TerminalSize;
pub use self::spec::Ulimit;
pub use self::stdio::Input;
pub use self::stdio::Output;
pub use self::template::Template;
pub use self::terminal::RawTerminal;
pub use self::terminal::resize_terminal;
pub use self::terminal::terminal_size;
