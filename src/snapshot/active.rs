//! A root file system that an instruction is about to change.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::layer;
use crate::layer::UnpackOptions;
use crate::layer::Unpacked;
use crate::snapshot::Error;
use crate::snapshot::Result;
use crate::snapshot::copy::Base;
use crate::snapshot::error::cannot;
use crate::snapshot::error::on_tree;
use crate::snapshot::ground::Grounds;
use crate::snapshot::ground::mount;
use crate::snapshot::hold::Held;
use crate::snapshot::implied;
use crate::snapshot::scratch::Scratch;
use crate::snapshot::scratch::remove_tree;
use crate::sys::CHANGE_SET_OPTIONS;
use crate::sys::Overlay;
use crate::sys::Root;

/// A change set under way on top of a chain. Dropping it without a commit removes it.
#[derive(Debug)]
pub struct Active {
    pub(super) scratch: Scratch,
    pub(super) stack: Stack,
    /// What it was when it began, where the stack does not tell.
    pub(super) base: Option<Base>,
    /// Keeps the chain from being removed.
    pub(super) held: Vec<Arc<Held>>,
    /// The trees that were made for this chain only.
    pub(super) _covers: Option<Scratch>,
    /// What mounts it; nothing if no other chain has trees in common with this one.
    pub(super) grounds: Option<Arc<Grounds>>,
}

/// What a sandbox makes the root file system of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stack {
    /// Directories laid over each other.
    Overlay {
        /// The layers below, the bottom one first; with none, `upper` alone is the root.
        lowers: Vec<PathBuf>,
        /// Where changes go.
        upper: PathBuf,
        /// An empty directory beside `upper`, for the kernel.
        work: PathBuf,
    },
    /// A directory as it is; changes go into it.
    Directory(PathBuf),
}

impl Active {
    /// What a sandbox makes its root file system of.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The root file system, to be written through from here. It is attached nowhere, and gone
    /// when the handle is dropped, which must be before another is taken, before a sandbox uses the
    /// stack, and before the commit.
    pub fn mount(&self) -> Result<Root> {
        match &self.stack {
            Stack::Overlay {
                lowers,
                upper,
                work,
            } if !lowers.is_empty() => self.mount_overlay(lowers, upper, work),
            Stack::Overlay { upper: path, .. } | Stack::Directory(path) => {
                Root::open(path).map_err(on_tree(path))
            }
        }
    }

    /// Unpacks a layer, to stand alone as the change set it is.
    pub fn unpack(&self, blob: impl Read + Send, options: &UnpackOptions) -> Result<Unpacked> {
        let (Stack::Overlay { upper: path, .. } | Stack::Directory(path)) = &self.stack;
        let target = Root::open(path).map_err(on_tree(path))?;
        let unpacked = layer::unpack(blob, &target, options);
        let unpacked = unpacked.map_err(|source| Error::Unpack { source })?;
        implied::note(self.scratch.path(), &unpacked.implied)?;
        Ok(unpacked)
    }

    fn mount_overlay(&self, lowers: &[PathBuf], upper: &Path, work: &Path) -> Result<Root> {
        // A volatile mount leaves a mark there that forbids another.
        remove_tree(work)?;
        fs::create_dir(work).map_err(cannot("create", work))?;
        let overlay = Overlay {
            ground: None,
            lowers,
            upper: Some((upper, work)),
            options: &CHANGE_SET_OPTIONS,
        };
        let place = self.scratch.path();
        match &self.grounds {
            Some(grounds) => grounds.mount(&overlay, place, &self.held),
            None => mount(&overlay, place),
        }
    }
}
