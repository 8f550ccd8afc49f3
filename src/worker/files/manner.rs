//! What becomes of files on their way: whose they are then, and with which modes.

use crate::graph::FileMode;
use crate::solver::Cancel;
use crate::sys::MakeDirs;
use crate::sys::Owner;
use crate::sys::Stat;
use crate::sys::Symlinks;
use crate::worker::files::mode;

/// What a `COPY` says of the files it makes.
#[derive(Clone, Debug)]
pub(in crate::worker) struct Manner {
    /// Whose they become; none to keep the source's owners.
    pub(in crate::worker) owner: Option<Owner>,
    /// Whose directories become that are made on the way.
    pub(in crate::worker) parent_owner: Owner,
    /// `--chmod`.
    pub(in crate::worker) mode: Option<FileMode>,
    /// Whether paths are kept: `--parents`. The directory that a copy goes to is then only there
    /// for what is in it, and does not take the source's time.
    pub(in crate::worker) keeps_paths: bool,
    /// Whether they keep their capabilities: BuildKit's contexts arrive without.
    pub(in crate::worker) capabilities: bool,
    /// Whether a directory takes the place of what is none, as where BuildKit writes files for its
    /// user. The other way round, what may be a user's own work is kept: BuildKit removes it.
    pub(in crate::worker) replaces: bool,
    /// The wish to stop, heeded before each file.
    pub(in crate::worker) cancel: Cancel,
}

impl Manner {
    /// Says that files keep all they have, but become `owner`'s if there is one.
    pub(in crate::worker) fn plain(owner: Option<Owner>) -> Self {
        Self {
            owner,
            parent_owner: owner.unwrap_or(Owner::ROOT),
            mode: None,
            keeps_paths: false,
            capabilities: true,
            replaces: false,
            cancel: Cancel::new(),
        }
    }

    /// Says how an archive is unpacked: what `--chmod` says is not for it, nor for the directories
    /// that are made for it.
    pub(in crate::worker) fn of_archive(&self) -> Self {
        Self {
            mode: None,
            ..self.clone()
        }
    }

    /// Says how missing directories above the destination are made. BuildKit gives them an octal
    /// `--chmod` too, even one that makes them impassable.
    pub(in crate::worker) fn parents(&self) -> MakeDirs {
        let mode = match self.mode {
            Some(FileMode::Octal(bits)) => bits,
            _ => 0o755,
        };
        MakeDirs {
            mode,
            owner: Some(self.parent_owner),
            modified: None,
            symlinks: Symlinks::Follow,
        }
    }

    /// Says whose a file becomes.
    pub(in crate::worker) fn owner_of(&self, stat: &Stat) -> Owner {
        self.owner.unwrap_or(stat.owner)
    }

    /// Says which mode a file gets.
    pub(in crate::worker) fn mode_of(&self, stat: &Stat) -> u32 {
        match &self.mode {
            Some(mode) => mode::apply(mode, stat.mode, stat.is_dir()),
            None => stat.mode,
        }
    }
}
