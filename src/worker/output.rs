//! A root filesystem without its image: as a directory, or as an archive.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::layer;
use crate::layer::Below;
use crate::layer::Compression;
use crate::layer::PackOptions;
use crate::snapshot::View;
use crate::solver::Cancel;
use crate::sys;
use crate::sys::Owner;
use crate::sys::Root;
use crate::worker::Error;
use crate::worker::place;
use crate::worker::place::Manner;
use crate::worker::select;
use crate::worker::select::Wish;

/// Copies all files of a root filesystem into a directory, which is made if it is missing. What is
/// there already and not in the root filesystem stays.
///
/// # Errors
/// [`Error::System`] if a file cannot be written.
pub fn copy_tree(tree: &View, directory: &Path) -> Result<(), Error> {
    fs::create_dir_all(directory)
        .map_err(|source| sys::Error::new(format!("mkdir({directory:?})"), source))?;
    let target = Root::open(directory)?;
    let root = Owner { uid: 0, gid: 0 };
    let manner = Manner {
        owner: None,
        parent_owner: root,
        mode: None,
        keeps_paths: false,
        cancel: Cancel::new(),
    };
    let all = Wish {
        path: "/",
        literal: true,
        excludes: &[],
        parents: false,
        ignore: None,
    };
    for selected in select::select(tree.root(), &all)? {
        place::place(&selected, tree.root(), &target, "/", &manner)?;
    }
    Ok(())
}

/// Writes all files of a root filesystem as a tar.
///
/// # Errors
/// [`Error::Layer`] if the archive cannot be written.
pub fn write_tree(tree: &View, out: impl Write) -> Result<(), Error> {
    let options = PackOptions::new(Compression::None);
    layer::pack(tree.root(), Below::Nothing, &options, out)?;
    Ok(())
}
