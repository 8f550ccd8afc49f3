//! Names that are the kernel's own.

use std::path::Component;
use std::path::Path;

/// Files in the folder of a process that every user sees.
const PUBLIC: [&str; 9] = [
    "cgroup",
    "cmdline",
    "comm",
    "limits",
    "oom_score",
    "oom_score_adj",
    "stat",
    "statm",
    "status",
];

/// Files that its user alone sees.
const FILES: [&str; 13] = [
    "auxv",
    "environ",
    "gid_map",
    "io",
    "maps",
    "mountinfo",
    "mounts",
    "numa_maps",
    "personality",
    "setgroups",
    "smaps",
    "smaps_rollup",
    "uid_map",
];

/// What is the same for all processes; so is all in `sys`.
const GENERAL: [&str; 14] = [
    "cmdline",
    "cpuinfo",
    "devices",
    "diskstats",
    "filesystems",
    "loadavg",
    "meminfo",
    "modules",
    "partitions",
    "stat",
    "swaps",
    "uptime",
    "version",
    "vmstat",
];

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// `/dev/stdin` and its like: a link that is there, to what is not.
    Standard(u8),
    /// Something else in `/dev`.
    Device(String),
    /// The link to the folder of the process that asks.
    Itself,
    /// The link to that of its thread.
    Thread,
    /// The folder of a process.
    Folder(Whose),
    /// What is in the folder of a process.
    Within(Whose, String),
    /// A file for all processes, below `/proc`.
    General(String),
}

/// Of which process something is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of that which asks.
    Own,
    /// Of the thread of it that asks.
    Threads,
    /// Of that with this number.
    Of(u32),
}

/// What something in the folder of a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A link to what is elsewhere.
    Link,
    /// A file of which every user sees what it says.
    Public,
    /// A file for its user alone.
    File,
    /// A directory.
    Folder,
}

impl Name {
    /// Reads a path by its text; nothing if it names nothing of the kernel's, or goes up.
    pub(super) fn of(path: &Path) -> Option<Name> {
        let mut parts = path.components();
        if parts.next() != Some(Component::RootDir) {
            return None;
        }
        let name = |part: Component<'_>| match part {
            Component::Normal(name) => name.to_str().map(str::to_owned),
            _ => None,
        };
        let parts: Vec<String> = parts.map(name).collect::<Option<_>>()?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["dev", "stdin"] => Some(Name::Standard(0)),
            ["dev", "stdout"] => Some(Name::Standard(1)),
            ["dev", "stderr"] => Some(Name::Standard(2)),
            ["dev", "fd", number] => Some(Name::Within(Whose::Own, format!("fd/{number}"))),
            ["dev", name] => Some(Name::Device((*name).to_owned())),
            ["proc", rest @ ..] => Name::in_proc(rest),
            _ => None,
        }
    }

    fn in_proc(path: &[&str]) -> Option<Name> {
        let within = |whose, rest: &[&str]| Some(Name::Within(whose, rest.join("/")));
        match path {
            ["self"] => Some(Name::Itself),
            ["thread-self"] => Some(Name::Thread),
            ["self", rest @ ..] => within(Whose::Own, rest),
            ["thread-self", rest @ ..] => within(Whose::Threads, rest),
            // Links to what is in `self`.
            ["mounts"] | ["net", _] => within(Whose::Own, path),
            [name] if GENERAL.contains(name) => Some(Name::General((*name).to_owned())),
            ["sys", ..] => Some(Name::General(path.join("/"))),
            [number, rest @ ..] => {
                let whose = Whose::Of(plain_number(number)?);
                match rest {
                    [] => Some(Name::Folder(whose)),
                    _ => within(whose, rest),
                }
            }
            [] => None,
        }
    }
}

impl Kind {
    /// Tells what something is by its path in the folder; nothing for all that is not shown.
    pub(super) fn of(path: &str) -> Option<Kind> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["exe" | "cwd" | "root"] => Some(Kind::Link),
            ["fd", number] => plain_number(number).map(|_| Kind::Link),
            ["fdinfo", number] => plain_number(number).map(|_| Kind::File),
            ["net", _] => Some(Kind::File),
            ["task", number, rest @ ..] if !matches!(rest.first(), None | Some(&"task")) => {
                plain_number(number)?;
                Kind::of(&rest.join("/"))
            }
            ["fd" | "fdinfo" | "net" | "ns" | "task"] => Some(Kind::Folder),
            ["task", number] => plain_number(number).map(|_| Kind::Folder),
            [name] if PUBLIC.contains(name) => Some(Kind::Public),
            [name] if FILES.contains(name) => Some(Kind::File),
            _ => None,
        }
    }
}

/// Reads a number as the kernel writes it.
fn plain_number(text: &str) -> Option<u32> {
    let number = text.parse::<u32>().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> Option<Name> {
        Name::of(Path::new(path))
    }

    fn within(whose: Whose, path: &str) -> Option<Name> {
        Some(Name::Within(whose, path.to_owned()))
    }

    #[test]
    fn names_are_read() {
        assert_eq!(name("/dev/stderr"), Some(Name::Standard(2)));
        assert_eq!(name("/dev//fd/./63"), within(Whose::Own, "fd/63"));
        let null = Some(Name::Device("null".to_owned()));
        assert_eq!(name("/dev/./null"), null);
        assert_eq!(name("/proc/self"), Some(Name::Itself));
        assert_eq!(name("/proc/thread-self"), Some(Name::Thread));
        assert_eq!(name("/proc/self/exe"), within(Whose::Own, "exe"));
        assert_eq!(name("/proc/mounts"), within(Whose::Own, "mounts"));
        assert_eq!(name("/proc/net/tcp"), within(Whose::Own, "net/tcp"));
        assert_eq!(name("/proc/1/status"), within(Whose::Of(1), "status"));
        assert_eq!(name("/proc/12"), Some(Name::Folder(Whose::Of(12))));
        let comm = within(Whose::Threads, "comm");
        assert_eq!(name("/proc/thread-self/comm"), comm);
        let uuid = "sys/kernel/random/uuid";
        let general = Some(Name::General(uuid.to_owned()));
        assert_eq!(name(&format!("/proc/{uuid}")), general);
    }

    #[test]
    fn other_names_mean_nothing() {
        for path in [
            "/",
            "",
            "proc/self",
            "/proc",
            "/process",
            "/dev",
            "/dev/null/x",
            "/dev/../dev/null",
            "dev/null",
            "/proc/kcore",
            "/proc/+1",
            "/proc/01/status",
            "/proc/self/../1/root",
            "/proc/keys",
            "/proc/sysrq-trigger",
            "/etc/proc",
        ] {
            assert_eq!(name(path), None, "{path}");
        }
    }

    #[test]
    fn nothing_is_shown_that_leads_elsewhere_or_could_be_written() {
        for path in [
            "",
            "ns/net",
            "mem",
            "root/etc",
            "cwd/x",
            "fd/1/x",
            "map_files/1",
            "attr/current",
            "task/1/task/1/exe",
            "clear_refs",
            "net/stat/x",
            "fd/+1",
            "pagemap",
        ] {
            assert_eq!(Kind::of(path), None, "{path}");
        }
        for path in ["fd", "task", "task/7", "task/7/fd", "net"] {
            assert_eq!(Kind::of(path), Some(Kind::Folder), "{path}");
        }
        assert_eq!(Kind::of("task/7/comm"), Some(Kind::Public));
        assert_eq!(Kind::of("task/7/fd/0"), Some(Kind::Link));
        assert_eq!(Kind::of("maps"), Some(Kind::File));
    }
}
