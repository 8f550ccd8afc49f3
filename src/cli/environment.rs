//! What the process was started with, read once.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// The process's arguments, variables, clock and terminals as plain values; tests make their own.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    /// The arguments, the program's name first.
    pub arguments: Vec<OsString>,
    /// The environment variables.
    pub variables: HashMap<OsString, OsString>,
    /// When the process started, in nanoseconds since 1970.
    pub now_ns: i128,
    /// The path of this program.
    pub binary: PathBuf,
    /// Whether the process runs as root.
    pub is_root: bool,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
}

impl Environment {
    /// Reads everything; the only place that does.
    pub(super) fn read() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        // The owner of /proc/self is the effective user.
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0);
        Self {
            arguments: std::env::args_os().collect(),
            variables: std::env::vars_os().collect(),
            now_ns: since_1970.map_or(0, |time| i128::try_from(time.as_nanos()).unwrap_or(0)),
            // The link itself still leads to the program after an upgrade replaced its file.
            binary: PathBuf::from("/proc/self/exe"),
            is_root,
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Gives a variable's value if it is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// Gives a variable's value if it is set, not empty and UTF-8.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str()
    }

    /// Gives a variable's value as a path if it is set and not empty.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    /// Gives the user's folder for `kind` of the XDG base directory specification.
    pub(super) fn xdg(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        // The specification says that a relative path is to be ignored.
        self.path(variable)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(self.path("HOME")?.join(below_home)))
    }

    /// Gives the files that credentials for registries are looked up in, in this order: docker's,
    /// then podman's. They need not exist.
    pub(super) fn credential_files(&self) -> Vec<PathBuf> {
        let docker = self
            .path("DOCKER_CONFIG")
            .or_else(|| Some(self.path("HOME")?.join(".docker")))
            .map(|folder| folder.join("config.json"));
        let podman = self.path("REGISTRY_AUTH_FILE").or_else(|| {
            let folder = self.path("XDG_RUNTIME_DIR")?;
            Some(folder.join("containers/auth.json"))
        });
        docker.into_iter().chain(podman).collect()
    }

    /// Gives where the store is when no flag says: `RBUILD_ROOT`, else `/var/lib/rbuild` for root
    /// and the user's data folder for others.
    pub(super) fn default_root(&self) -> PathBuf {
        let system = || PathBuf::from("/var/lib/rbuild");
        if let Some(root) = self.path("RBUILD_ROOT") {
            return root;
        }
        if self.is_root {
            return system();
        }
        self.xdg("XDG_DATA_HOME", ".local/share")
            .map_or_else(system, |home| home.join("rbuild"))
    }
}

#[cfg(test)]
impl Environment {
    /// An environment with only the given variables, at 1970-01-01, without terminals.
    pub(super) fn of(variables: &[(&str, &str)]) -> Self {
        Self {
            arguments: Vec::new(),
            variables: variables
                .iter()
                .map(|(name, value)| (OsString::from(name), OsString::from(value)))
                .collect(),
            now_ns: 0,
            binary: PathBuf::from("/bin/rbuild"),
            is_root: false,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Environment;

    #[test]
    fn the_root_is_found_where_it_belongs() {
        let root = |variables: &[(&str, &str)], is_root| {
            Environment {
                is_root,
                ..Environment::of(variables)
            }
            .default_root()
        };
        let home = ("HOME", "/home/ann");
        assert_eq!(root(&[home], true), Path::new("/var/lib/rbuild"));
        assert_eq!(
            root(&[home], false),
            Path::new("/home/ann/.local/share/rbuild")
        );
        assert_eq!(
            root(&[home, ("XDG_DATA_HOME", "/data")], false),
            Path::new("/data/rbuild")
        );
        assert_eq!(
            root(&[home, ("XDG_DATA_HOME", "relative")], false),
            Path::new("/home/ann/.local/share/rbuild")
        );
        assert_eq!(root(&[home, ("RBUILD_ROOT", "/x")], true), Path::new("/x"));
        assert_eq!(root(&[], false), Path::new("/var/lib/rbuild"));
    }
}
