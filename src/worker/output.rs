//! Root filesystems without their images: as a directory, or as an archive.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::layer;
use crate::layer::Below;
use crate::layer::ChangeKind;
use crate::layer::Compression;
use crate::layer::PackOptions;
use crate::layer::Placed;
use crate::snapshot::View;
use crate::sys;
use crate::sys::Root;
use crate::worker::Error;
use crate::worker::files;
use crate::worker::files::Manner;
use crate::worker::files::Wish;

/// A root filesystem that is written, maybe beside others.
#[derive(Debug)]
pub struct Tree {
    /// The folder that its files get; empty for the top.
    pub folder: String,
    /// Its files.
    pub view: View,
}

/// Copies all files of root filesystems into a directory, which is made if it is missing. What is
/// there already and in none of them stays.
///
/// # Errors
/// [`Error::FilesCollide`] if two would be written to one place, or [`Error::System`] if a file
/// cannot be written.
pub fn copy_trees(trees: &[Tree], directory: &Path) -> Result<(), Error> {
    check_places(trees)?;
    trees
        .iter()
        .try_for_each(|tree| copy_tree(&tree.view, &directory.join(&tree.folder)))
}

fn copy_tree(tree: &View, directory: &Path) -> Result<(), Error> {
    fs::create_dir_all(directory)
        .map_err(|source| sys::Error::new(format!("mkdir({directory:?})"), source))?;
    let target = Root::open(directory)?;
    let manner = Manner {
        replaces: true,
        ..Manner::plain(None)
    };
    for selected in files::select(tree.root(), &Wish::exactly("/"))? {
        files::place(&selected, tree.root(), &target, "/", &manner)?;
    }
    Ok(())
}

/// Writes all files of root filesystems as a tar.
///
/// # Errors
/// [`Error::FilesCollide`] if two would be written to one place, or [`Error::Layer`] if the archive
/// cannot be written.
pub fn write_trees(trees: &[Tree], out: impl Write) -> Result<(), Error> {
    check_places(trees)?;
    let placed = trees.iter().map(|tree| Placed {
        folder: PathBuf::from(&tree.folder),
        tree: tree.view.root(),
    });
    let placed: Vec<Placed<'_>> = placed.collect();
    layer::pack_trees(&placed, &PackOptions::new(Compression::None), out)?;
    Ok(())
}

/// Refuses files of several root filesystems that would take each other's place.
fn check_places(trees: &[Tree]) -> Result<(), Error> {
    if trees.len() < 2 {
        return Ok(());
    }
    let mut taken = HashSet::new();
    for tree in trees {
        let folder = Path::new(&tree.folder);
        let mut collision = None;
        layer::changes(tree.view.root(), Below::Nothing, |change| {
            let is_file = matches!(change.kind, ChangeKind::Written(stat) if !stat.is_dir());
            let path = folder.join(change.path);
            if is_file && collision.is_none() && !taken.insert(path.clone()) {
                collision = Some(path);
            }
            Ok(())
        })?;
        if let Some(path) = collision {
            return Err(Error::FilesCollide { path });
        }
    }
    Ok(())
}
