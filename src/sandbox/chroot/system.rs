//! What stands in for `/proc` and `/dev` where nothing can be mounted.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::Path;

use crate::sandbox::inside::system;
use crate::sys::Dir;
use crate::sys::Error;
use crate::sys::MakeDirs;
use crate::sys::Node;
use crate::sys::Result;
use crate::sys::Root;
use crate::sys::Symlinks;

/// Parts of `/proc` that say the same to every process, shown as they are now.
const PROC_FILES: [&str; 8] = [
    "cpuinfo",
    "filesystems",
    "loadavg",
    "meminfo",
    "stat",
    "uptime",
    "version",
    "sys/kernel/osrelease",
];

/// Makes a `/proc` that says the least.
pub(super) fn make_proc(dir: &Dir, name: &OsStr) -> Result<()> {
    dir.make_dir(name, 0o755)?;
    let root = Root::new(dir.open_dir(name)?);
    let options = MakeDirs {
        mode: 0o555,
        owner: None,
        modified: None,
        symlinks: Symlinks::Refuse,
    };
    for path in PROC_FILES {
        // Not every kernel has all of them.
        let Ok(content) = fs::read(Path::new("/proc").join(path)) else {
            continue;
        };
        let path = Path::new(path);
        let made = root.make_dirs(path.parent().unwrap_or(Path::new("")), &options)?;
        let mut file = made
            .dir
            .create_file(path.file_name().unwrap_or_default(), 0o444)?;
        let written = file.write_all(&content);
        written.map_err(|source| Error::new(format!("write({path:?})"), source))?;
    }
    dir.set_mode(name, 0o555)
}

/// Makes a `/dev` without terminals; tells whether its devices are there.
pub(super) fn make_dev(dir: &Dir, name: &OsStr) -> Result<bool> {
    dir.make_dir(name, 0o755)?;
    let dev = dir.open_dir(name)?;
    let missing = system::make_devices(&dev)?;
    missing.iter().try_for_each(|name| stand_in(&dev, name))?;
    system::make_links_and_folders(&dev)?;
    Ok(missing.is_empty())
}

/// Makes what is seen of a device that is not there, for who only looks and for whom nobody opens it.
fn stand_in(dev: &Dir, name: &str) -> Result<()> {
    match name {
        // Few read what they wrote there, and hardly anything works without it.
        "null" => dev.create_file(name, 0o666).map(drop),
        // Without a terminal it could not be opened either; `sudo` takes a file for one.
        "tty" => Ok(()),
        // Nobody can open the name of a socket, whoever he is: a file that is empty would be taken for
        // random numbers.
        _ => dev.make_node(name, Node::Socket, 0o666),
    }
}

#[cfg(test)]
mod tests {
    use crate::sandbox::inside::system::CONSTANTS;

    use super::*;

    #[test]
    fn what_stands_in_for_random_numbers_cannot_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let dev = Dir::open(folder.path()).unwrap();
        for (name, ..) in CONSTANTS {
            stand_in(&dev, name).unwrap();
            let path = folder.path().join(name);
            let is_opened = fs::File::open(&path).is_ok();
            assert_eq!(is_opened, *name == "null", "{name}");
            assert!(path.exists(), "{name}");
        }
        stand_in(&dev, "tty").unwrap();
        assert!(!folder.path().join("tty").exists());
    }
}
