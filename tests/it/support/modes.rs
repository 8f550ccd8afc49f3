//! rbuild in the modes that another user or a container makes it take, for real.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::lchown;
use std::path::Path;
use std::process::Command;

use super::guard::paths;
use super::home::Home;
use super::home::RBUILD;
use super::program;
use super::takers::podman;

/// A user whom nothing belongs to.
pub(crate) const NOBODY: u32 = 65534;

/// The line that gives [`NOBODY`] numbers of other users.
pub(crate) const RANGES: &str = "nobody:700000:65536\n";

/// A user's folder, with the binary in it: that of the tests may lie where no user gets to.
pub(crate) fn users_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(path.join("context")).unwrap();
    fs::write(path.join("rbuild.toml"), "").unwrap();
    program::copy(Path::new(RBUILD), &path.join("rbuild"));
    fs::create_dir(path.join("root")).unwrap();
    give(path, NOBODY);
    folder
}

/// Gives a folder and all in it to a user.
pub(crate) fn give(folder: &Path, user: u32) {
    for path in paths(folder) {
        lchown(path, Some(user), Some(user)).unwrap();
    }
}

/// rbuild as `nobody`, who has these ranges of numbers, in a folder of [`users_folder`].
pub(crate) fn as_user(folder: &Path, ranges: &str) -> Command {
    as_user_with(folder, ranges, ranges)
}

/// The same, with other ranges for groups than for users.
pub(crate) fn as_user_with(folder: &Path, users: &str, groups: &str) -> Command {
    fs::write(folder.join("users"), users).unwrap();
    fs::write(folder.join("groups"), groups).unwrap();
    let script = "mount --bind \"$0/users\" /etc/subuid && mount --bind \"$0/groups\" /etc/subgid \
                  && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0/rbuild\" \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", script])
        .arg(folder)
        .current_dir(folder)
        .env("HOME", folder)
        .env("RBUILD_ROOT", folder.join("root"))
        .env("RBUILD_CONFIG", folder.join("rbuild.toml"));
    command
}

/// The same command, started by a program that confines it first.
pub(crate) fn within<'a>(outer: impl IntoIterator<Item = &'a str>, inner: &Command) -> Command {
    let mut words = outer.into_iter();
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .arg(inner.get_program())
        .args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = inner.get_current_dir() {
        command.current_dir(folder);
    }
    command
}

/// A container with the rights that docker gives by default, to be told the command: the binary is
/// `/rbuild`, the folder of `home` is `/home`, and the store is below it.
pub(crate) fn container(home: &Home, more: &[String]) -> Command {
    contain(home, "--cap-add=MKNOD", more)
}

/// The same with those that podman gives by default.
pub(crate) fn container_of_podman(home: &Home, more: &[String]) -> Command {
    contain(home, "--cap-drop=MKNOD", more)
}

fn contain(home: &Home, devices: &str, more: &[String]) -> Command {
    fs::create_dir_all(home.path("store")).unwrap();
    // The binary of the tests needs the libraries of the machine.
    let rootfs = home.path("rootfs");
    for name in ["usr", "etc", "tmp", "proc", "sys", "dev", "home", "store"] {
        fs::create_dir_all(rootfs.join(name)).unwrap();
    }
    for name in ["lib", "lib64", "bin"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), rootfs.join(name)).unwrap();
    }
    program::copy(Path::new(RBUILD), &rootfs.join("rbuild"));
    let mut run = podman(home);
    run.args(["run", "--rm", "--network=host", devices])
        .args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"])
        .arg(format!("-v={}:/home:ro", home.path("").display()))
        .arg(format!("-v={}:/store", home.path("store").display()))
        .args(["-v=/usr:/usr:ro", "-e=RBUILD_ROOT=/store"])
        .args(["-e=RBUILD_CONFIG=/home/rbuild.toml"])
        .args(more)
        .arg("--rootfs")
        .arg(&rootfs);
    run
}
