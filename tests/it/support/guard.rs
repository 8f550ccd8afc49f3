//! What a test sets beside what it attacks with: a folder that nothing may read from or change.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::modes;

/// What the guarded files hold. Wherever it turns up, something was read that must not be.
pub(crate) const CANARY: &str = "the canary sings outside";

/// A guarded folder: `canary` (a file), `dir/canary`, and `empty`.
#[derive(Debug)]
pub(crate) struct Guard {
    folder: TempDir,
    before: String,
}

impl Guard {
    /// Makes the folder and remembers all of it.
    pub(crate) fn new() -> Guard {
        Guard::of(
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            0,
        )
    }

    /// Makes one that belongs to a user, where every user gets to.
    pub(crate) fn of_user(user: u32) -> Guard {
        Guard::of(tempfile::tempdir().unwrap(), user)
    }

    fn of(folder: TempDir, user: u32) -> Guard {
        let path = folder.path();
        for name in ["dir", "empty"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        for name in ["canary", "dir/canary"] {
            fs::write(path.join(name), CANARY).unwrap();
        }
        modes::give(path, user);
        let before = fingerprint(path);
        Guard { folder, before }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The path as text, to be put into Dockerfiles and scripts.
    pub(crate) fn text(&self) -> &str {
        self.path().to_str().unwrap()
    }

    /// Fails, with the name of the attack, if anything in the folder is not as it was.
    #[track_caller]
    pub(crate) fn assert_untouched(&self, name: &str) {
        let now = fingerprint(self.path());
        assert_eq!(now, self.before, "{name}: something outside was changed");
    }
}

/// Everything about a tree but when it was read: owners, modes, links, times, content.
fn fingerprint(folder: &Path) -> String {
    let mut text = String::new();
    for path in paths(folder) {
        let stat = path.symlink_metadata().unwrap();
        writeln!(
            text,
            "{} {:o} {}:{} links {} size {} modified {}.{} changed {}.{} {}",
            path.display(),
            stat.mode(),
            stat.uid(),
            stat.gid(),
            stat.nlink(),
            stat.size(),
            stat.mtime(),
            stat.mtime_nsec(),
            stat.ctime(),
            stat.ctime_nsec(),
            fs::read_to_string(&path).unwrap_or_default(),
        )
        .unwrap();
    }
    text
}

/// The folder itself, which need not exist, and all below it, in order; no link is followed.
pub(crate) fn paths(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if path.symlink_metadata().is_ok_and(|stat| stat.is_dir()) {
            let entries = fs::read_dir(&path).unwrap();
            found.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
    found.sort();
    found
}

/// Gives the files below a folder that hold the text, in their content or their name.
pub(crate) fn holding(folder: &Path, wanted: &str) -> Vec<PathBuf> {
    let named = |path: &PathBuf| path.to_string_lossy().contains(wanted);
    let mut found: Vec<PathBuf> = paths(folder).into_iter().filter(named).collect();
    // Many times faster than this program, which is not optimised.
    let search = Command::new("grep")
        .args(["-rlaF", "--devices=skip", "-e", wanted])
        .arg(folder)
        .output()
        .unwrap();
    let listed = String::from_utf8_lossy(&search.stdout).into_owned();
    found.extend(listed.lines().map(PathBuf::from));
    found
}
