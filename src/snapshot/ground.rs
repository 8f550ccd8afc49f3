//! The lower part of a high chain, mounted once for all that lies on it.
//!
//! A mount takes as long as it has layers, and each of the instructions that make a high chain
//! needs several.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::snapshot::Error;
use crate::snapshot::Result;
use crate::snapshot::hold::Held;
use crate::sys::Overlay;
use crate::sys::Root;

/// How many layers at least are mounted together. Half as many again may lie on them one by one.
const STEP: usize = 32;

/// How many grounds are kept; as many stages can be built side by side.
const GROUNDS_MAX: usize = 4;

/// Mounts of the lower parts of chains.
#[derive(Debug, Default)]
pub(super) struct Grounds {
    known: Mutex<Vec<Arc<Ground>>>,
    /// Set once the kernel refused one: where the store lies on an overlay itself, or it cannot lay
    /// directories on a mount that is attached nowhere.
    refused: AtomicBool,
}

#[derive(Debug)]
struct Ground {
    trees: Vec<PathBuf>,
    root: Root,
    held: Vec<Arc<Held>>,
}

impl Grounds {
    /// Mounts what `overlay` says, on a ground if its chain is high. `held` keeps the chain.
    pub(super) fn mount(
        &self,
        overlay: &Overlay<'_>,
        place: &Path,
        held: &[Arc<Held>],
    ) -> Result<Root> {
        if overlay.lowers.len() >= 2 * STEP && !self.refused.load(Ordering::Relaxed) {
            match self.mount_on_ground(overlay, place, held) {
                Ok(root) => return Ok(root),
                Err(error) if is_refusal(&error) => self.refused.store(true, Ordering::Relaxed),
                // Such as no more memory or open files: this once, it goes without.
                Err(_) => {}
            }
        }
        mount(overlay, place)
    }

    /// Forgets the grounds that keep the directory of a number from being removed.
    pub(super) fn let_go(&self, number: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|ground| !ground.held.iter().any(|held| held.is_of(number)));
    }

    fn mount_on_ground(
        &self,
        overlay: &Overlay<'_>,
        place: &Path,
        held: &[Arc<Held>],
    ) -> Result<Root> {
        let ground = match self.find(overlay.lowers) {
            Some(ground) => ground,
            None => self.make(overlay.lowers, place, held)?,
        };
        let on_ground = Overlay {
            ground: Some(ground.root.dir()),
            lowers: &overlay.lowers[ground.trees.len()..],
            ..*overlay
        };
        mount(&on_ground, place)
    }

    fn find(&self, trees: &[PathBuf]) -> Option<Arc<Ground>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |ground: &&Arc<Ground>| {
            let on_it = trees.strip_prefix(ground.trees.as_slice());
            on_it.is_some_and(|on_it| !on_it.is_empty() && on_it.len() <= STEP + STEP / 2)
        };
        known.iter().find(fits).cloned()
    }

    /// Leaves some layers out that a mount of a few layers less may have on the same ground.
    fn make(&self, trees: &[PathBuf], place: &Path, held: &[Arc<Held>]) -> Result<Arc<Ground>> {
        let below = (trees.len() - STEP / 2).next_multiple_of(STEP) - STEP;
        let trees = &trees[..below.max(STEP)];
        let overlay = Overlay {
            ground: None,
            lowers: trees,
            upper: None,
            options: &[],
        };
        let made = Arc::new(Ground {
            trees: trees.to_vec(),
            root: mount(&overlay, place)?,
            held: held.to_vec(),
        });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = (known.len() == GROUNDS_MAX).then(|| known.remove(0));
        known.push(Arc::clone(&made));
        drop(known);
        drop(oldest);
        Ok(made)
    }
}

/// Tells whether the kernel does not do at all what was asked for: that is an invalid argument.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Mount { source, .. } if source.kind() == io::ErrorKind::InvalidInput)
}

/// Mounts directories over each other, attached nowhere unless the kernel is too old for that.
pub(super) fn mount(overlay: &Overlay<'_>, place: &Path) -> Result<Root> {
    let mounted = overlay.mount_apart(place).and_then(|mount| mount.dir());
    let layers = overlay.lowers.len();
    mounted
        .map(Root::new)
        .map_err(|source| Error::Mount { layers, source })
}
