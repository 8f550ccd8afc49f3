//! Users, groups and capabilities of this thread.

use rustix::process::Gid;
use rustix::process::Uid;
use rustix::thread::CapabilitySet;
use rustix::thread::CapabilitySets;

use crate::sys::Owner;
use crate::sys::Result;
use crate::sys::error::Call;
use crate::sys::id_map::IdMap;

/// A set of capabilities, as the bits the kernel numbers them by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Capabilities(u64);

/// The capabilities in the order of their numbers, as `capabilities(7)` names them.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

impl Capabilities {
    /// All that this kernel may know, and none above.
    pub const ALL: Capabilities = Capabilities((1 << NAMES.len()) - 1);

    /// Finds a capability by its name, with or without `CAP_`, in any case.
    pub fn named(name: &str) -> Option<Capabilities> {
        let upper = name.to_ascii_uppercase();
        let plain = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let number = NAMES.iter().position(|name| *name == plain)?;
        Some(Capabilities(1 << number))
    }

    /// Makes one set of many.
    pub fn union(sets: impl IntoIterator<Item = Capabilities>) -> Capabilities {
        Capabilities(sets.into_iter().fold(0, |all, set| all | set.0))
    }

    /// Whether all of another set are in this one.
    #[must_use]
    pub fn contains(self, other: Capabilities) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set without one of a name.
    #[must_use]
    pub fn without(self, name: &str) -> Capabilities {
        Capabilities(self.0 & !Capabilities::named(name).map_or(0, |one| one.0))
    }

    /// Tells whether this thread has all of them.
    pub fn are_held(self) -> bool {
        Capabilities::of_thread()
            .is_ok_and(|sets| Capabilities(sets.effective.bits()).contains(self))
    }

    fn of_thread() -> Result<CapabilitySets> {
        rustix::thread::capabilities(None).call(|| "capget()".to_owned())
    }
}

/// The user and group that files made by this thread get.
pub fn effective() -> Owner {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    Owner { uid, gid }
}

/// Tells whether this process is in the user namespace that the machine began with.
pub fn is_initial_user_namespace() -> bool {
    // Only there every number stands for itself.
    IdMap::own_users() == IdMap::parse("0 0 4294967295")
}

/// Tells whether root of this user namespace may be root of the machine, whose processes the kernel
/// does not count.
pub fn may_be_machines_root() -> bool {
    let root = IdMap::own_users().outside(0);
    root.is_none_or(|number| number == 0)
}

/// Does something with this thread's rights on files, and on what the kernel tells of processes, being
/// a user's. They stay its own if it may not become that user.
pub fn looking_as<T>(owner: Owner, look: impl FnOnce() -> T) -> T {
    let own = effective();
    // SAFETY: plain numbers; the kernel checks them.
    unsafe {
        libc::setfsgid(owner.gid);
        libc::setfsuid(owner.uid);
    }
    let seen = look();
    // SAFETY: as above; what this thread is otherwise, it may always be here.
    unsafe {
        libc::setfsuid(own.uid);
        libc::setfsgid(own.gid);
    }
    seen
}

/// Becomes root, as far as the user namespace knows one.
pub fn become_root() -> Result<()> {
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    rustix::thread::set_thread_res_gid(gid, gid, gid).call(|| "setresgid(0)".to_owned())?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).call(|| "setresuid(0)".to_owned())
}

/// Keeps programs with more rights than their caller, such as `sudo`, from giving any to this thread
/// and what it executes. There is no way back.
pub fn forbid_new_privileges() -> Result<()> {
    rustix::thread::set_no_new_privs(true).call(|| "prctl(PR_SET_NO_NEW_PRIVS)".to_owned())
}

/// Makes all but these capabilities unreachable for this thread and what it executes.
pub fn limit_capabilities(keep: Capabilities) -> Result<()> {
    for (number, name) in NAMES.iter().enumerate() {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if keep.0 & one.bits() != 0 {
            continue;
        }
        match rustix::thread::capability_is_in_bounding_set(one) {
            // A number that this kernel does not know, or one already dropped.
            Err(_) | Ok(false) => {}
            Ok(true) => rustix::thread::remove_capability_from_bounding_set(one)
                .call(|| format!("prctl(PR_CAPBSET_DROP, CAP_{name})"))?,
        }
    }
    Ok(())
}

/// Becomes a user, with all groups, keeping these capabilities until a program is executed.
///
/// What the program keeps is the kernel's rule: root keeps them, others lose them.
pub fn become_user(owner: Owner, groups: &[u32], keep: Capabilities) -> Result<()> {
    rustix::thread::set_keep_capabilities(true).call(|| "prctl(PR_SET_KEEPCAPS, 1)".to_owned())?;
    let ids: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    rustix::thread::set_thread_groups(&ids).call(|| format!("setgroups({groups:?})"))?;
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .call(|| format!("setresgid({})", owner.gid))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
        .call(|| format!("setresuid({})", owner.uid))?;
    rustix::thread::set_keep_capabilities(false).call(|| "prctl(PR_SET_KEEPCAPS, 0)".to_owned())?;
    let permitted = Capabilities::of_thread()?.permitted & CapabilitySet::from_bits_retain(keep.0);
    let sets = CapabilitySets {
        effective: permitted,
        permitted,
        // Docker leaves this set empty since CVE-2022-24769: a program with inheritable file
        // capabilities would gain from it.
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).call(|| format!("capset({sets:?})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_kernels_numbers() {
        for (name, number) in [
            ("CHOWN", 0),
            ("SYS_ADMIN", 21),
            ("SETFCAP", 31),
            ("BPF", 39),
        ] {
            assert_eq!(
                Capabilities::named(name),
                Some(Capabilities(1 << number)),
                "{name}"
            );
        }
        assert_eq!(
            Capabilities::named("cap_mknod"),
            Some(Capabilities(1 << 27))
        );
        assert_eq!(Capabilities::named("NOT_ONE"), None);
    }
}
