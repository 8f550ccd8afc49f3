//! `ADD` of a git repository: the commit that a reference stands for, checked out by `git` itself.

mod program;

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use crate::cache::ContentHasher;
use crate::graph::GitOp;
use crate::progress::Step;
use crate::progress::Stream;
use crate::snapshot::Stack;
use crate::solver::Cancel;
use crate::solver::Made;
use crate::solver::Task;
use crate::sys;
use crate::sys::Root;
use crate::worker::Error;
use crate::worker::Worker;
use crate::worker::blocking;
use crate::worker::files;
use crate::worker::files::Manner;
use crate::worker::files::Wish;
use crate::worker::source::git::program::Program;
use crate::worker::source::secrets;

const COMMIT: &str = "commit";

/// Checks the repository out into a snapshot.
pub(in crate::worker) async fn run(worker: &Worker, op: GitOp, task: &Task) -> Result<Made, Error> {
    let (worker, step) = (worker.clone(), task.step.clone());
    let cancel = task.cancel.clone();
    blocking(move || {
        let scratch = worker.snapshots.prepare(&[])?;
        let (Stack::Overlay { upper: folder, .. } | Stack::Directory(folder)) = scratch.stack();
        let fetching = Fetching {
            secrets: &worker.options.secrets,
            ssh: &worker.options.ssh,
            step: &step,
            cancel: &cancel,
        };
        let folder = folder.join("repository");
        let commit = check_out(&op, &fetching, &folder)?;
        let active = worker.snapshots.prepare(&[])?;
        let target = active.mount()?;
        copy(&folder, &op, &target)?;
        drop(target);
        let mut hasher = ContentHasher::new();
        let subdir = op.subdir.as_deref().unwrap_or_default();
        let reference = op
            .reference
            .as_deref()
            .filter(|_| op.keep_git_dir)
            .unwrap_or_default();
        for part in [&commit, &op.remote, subdir, reference] {
            hasher.update_sized(part.as_bytes());
        }
        let flags = [op.keep_git_dir, op.submodules, op.commit_mtime];
        hasher.update(&flags.map(u8::from));
        Ok(Made {
            change_set: worker.snapshots.commit(active, None)?,
            content: Some(hasher.finish()),
            times: None,
            facts: vec![(COMMIT.to_owned(), commit)],
            layer: None,
        })
    })
    .await
}

/// Copies the directory that is wanted out of the checkout. It cannot lead outside.
fn copy(checkout: &Path, op: &GitOp, target: &Root) -> Result<(), Error> {
    let source = Root::open(checkout)?;
    let path = op.subdir.as_deref().unwrap_or("/");
    let manner = Manner::plain(Some(sys::Owner::ROOT));
    for selected in files::select(&source, &Wish::exactly(path))? {
        files::place(&selected, &source, target, "/", &manner)?;
    }
    Ok(())
}

/// What fetching a repository needs besides its name.
#[derive(Debug)]
pub struct Fetching<'a> {
    /// Secrets by id; of them, those that git is authorised by.
    pub secrets: &'a BTreeMap<String, Vec<u8>>,
    /// Sockets of ssh agents by id; `default` is git's.
    pub ssh: &'a BTreeMap<String, PathBuf>,
    /// Is told what git says.
    pub step: &'a Step,
    /// The wish to stop.
    pub cancel: &'a Cancel,
}

/// Checks a repository out into `folder`, which must not exist; gives the commit. The subdirectory
/// that is wanted is not looked at.
///
/// # Errors
/// [`Error::Git`] with what git says, [`Error::GitChecksum`], [`Error::GitMissing`], or
/// [`Error::Canceled`].
pub fn check_out(op: &GitOp, fetching: &Fetching<'_>, folder: &Path) -> Result<String, Error> {
    let (remote, own) = secrets::parted(&op.remote);
    let lent = secrets::git_authorization(fetching.secrets, &op.remote);
    let git = Git {
        folder: folder.to_owned(),
        remote: &remote,
        authorization: own.or(lent),
        ssh_agent: fetching.ssh.get("default"),
        step: fetching.step,
        cancel: fetching.cancel,
    };
    git.check_out(op)
}

/// One repository on this machine, and how to reach the one it comes from.
struct Git<'a> {
    folder: PathBuf,
    remote: &'a str,
    authorization: Option<String>,
    ssh_agent: Option<&'a PathBuf>,
    step: &'a Step,
    cancel: &'a Cancel,
}

impl Git<'_> {
    /// Fetches what `op` names and checks it out; gives the commit.
    fn check_out(&self, op: &GitOp) -> Result<String, Error> {
        let make = std::fs::create_dir(&self.folder);
        make.map_err(|source| sys::Error::new(format!("mkdir({:?})", self.folder), source))?;
        self.run(&["init", "--quiet", "--template="])?;
        self.run(&["remote", "add", "--", "origin", self.remote])?;
        let wanted = op.reference.as_deref().unwrap_or("HEAD");
        // A reference that begins with a dash would be an option.
        if wanted.starts_with('-') {
            return Err(Error::GitReference {
                reference: wanted.to_owned(),
            });
        }
        let shallow = self.run(&[
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "origin",
            wanted,
        ]);
        let fetched = match shallow {
            Ok(_) => "FETCH_HEAD",
            // A server need not give a commit that no reference names; all of it holds it.
            Err(Error::Git { .. }) if is_commit(wanted) => {
                let all = "+refs/heads/*:refs/remotes/origin/*";
                self.run(&["fetch", "--quiet", "--tags", "origin", all])?;
                wanted
            }
            Err(error) => return Err(error),
        };
        self.run(&["checkout", "--quiet", "--detach", fetched])?;
        let commit = self.run(&["rev-parse", "HEAD"])?.trim().to_owned();
        self.verify(op, fetched, &commit)?;
        if op.submodules {
            let update = [
                "submodule",
                "update",
                "--quiet",
                "--init",
                "--recursive",
                "--depth=1",
            ];
            self.run(&update)?;
        }
        let time = op.commit_mtime.then(|| self.commit_time(&commit));
        if !op.keep_git_dir {
            self.remove_git_folders()?;
        }
        // Last, because removing something changes the time of the directory it was in.
        if let Some(time) = time {
            self.set_times(time?)?;
        }
        Ok(commit)
    }

    /// The checksum is the beginning of the commit's id, or of the tag's that names it.
    fn verify(&self, op: &GitOp, fetched: &str, commit: &str) -> Result<(), Error> {
        let Some(expected) = &op.checksum else {
            return Ok(());
        };
        let tag = self.run(&["rev-parse", fetched])?;
        if commit.starts_with(expected.as_str()) || tag.trim().starts_with(expected.as_str()) {
            return Ok(());
        }
        Err(Error::GitChecksum {
            expected: expected.clone(),
            actual: commit.to_owned(),
        })
    }

    fn commit_time(&self, commit: &str) -> Result<sys::Timestamp, Error> {
        let text = self.run(&["show", "--no-patch", "--format=%ct", commit])?;
        Ok(sys::Timestamp {
            seconds: text.trim().parse().unwrap_or(0),
            nanoseconds: 0,
        })
    }

    /// Gives every file and directory `time`.
    fn set_times(&self, time: sys::Timestamp) -> Result<(), Error> {
        let mut folders = vec![sys::Dir::open(&self.folder)?];
        while let Some(folder) = folders.pop() {
            for entry in folder.entries()? {
                if entry.kind == sys::FileKind::Directory && entry.name != ".git" {
                    folders.push(folder.open_dir(&entry.name)?);
                }
                folder.set_modified(&entry.name, time)?;
            }
        }
        Ok(())
    }

    fn remove_git_folders(&self) -> Result<(), Error> {
        let mut folders = vec![sys::Dir::open(&self.folder)?];
        while let Some(folder) = folders.pop() {
            folder.remove_all(".git")?;
            for entry in folder.entries()? {
                if entry.kind == sys::FileKind::Directory {
                    folders.push(folder.open_dir(&entry.name)?);
                }
            }
        }
        Ok(())
    }

    /// Runs git and gives what it prints.
    fn run(&self, arguments: &[&str]) -> Result<String, Error> {
        let program = Program {
            folder: &self.folder,
            authorization: self
                .authorization
                .as_deref()
                .map(|value| (self.remote, value)),
            ssh_agent: self.ssh_agent.map(PathBuf::as_path),
            cancel: self.cancel,
        };
        let said = program.run(arguments)?;
        self.step.output(Stream::Stderr, &said.stderr);
        if said.status.success() {
            return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
        }
        let message = String::from_utf8_lossy(&said.stderr);
        Err(Error::Git {
            remote: secrets::without_secrets(self.remote),
            message: message.trim().to_owned(),
        })
    }
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::is_commit;

    #[test]
    fn only_whole_ids_are_commits() {
        assert!(is_commit(&"a1".repeat(20)));
        assert!(!is_commit("a1b2c3"));
        assert!(!is_commit(&"g".repeat(40)));
    }
}
