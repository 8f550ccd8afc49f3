//! Which files a `COPY` reads.
//!
//! A selection is a tree of names with their metadata; no file is opened to make it. What the
//! ignore file leaves out does not exist here. The rules are those of BuildKit's file operations
//! and of its context transfer.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use crate::graph;
use crate::graph::Patterns;
use crate::sys::Dir;
use crate::sys::Root;
use crate::sys::Stat;
use crate::worker::Error;
use crate::worker::files::filter::Filter;
use crate::worker::files::filter::is_ignored;

/// A file that is copied, or a directory with what is copied of it.
#[derive(Clone, Debug)]
pub(in crate::worker) struct Node {
    /// Its name.
    pub(in crate::worker) name: OsString,
    /// Its metadata.
    pub(in crate::worker) stat: Stat,
    /// Whether it is copied for its own sake; a directory may only be there for what is in it.
    pub(in crate::worker) wanted: bool,
    /// What of it is copied, by name.
    pub(in crate::worker) children: Vec<Node>,
}

/// One file or directory that a source names.
#[derive(Clone, Debug)]
pub(in crate::worker) struct Selected {
    /// Where it is, without symbolic links, relative to the source's root; empty for the root.
    pub(in crate::worker) path: PathBuf,
    /// The last name of the path that the source gave, before links were followed.
    pub(in crate::worker) base_name: OsString,
    /// What is copied of it.
    pub(in crate::worker) node: Node,
}

/// What a source asks for.
#[derive(Clone, Copy, Debug)]
pub(in crate::worker) struct Wish<'a> {
    /// The path or pattern, as the Dockerfile has it.
    pub(in crate::worker) path: &'a str,
    /// Whether the path is no pattern, whatever characters it has.
    pub(in crate::worker) literal: bool,
    /// `--exclude`.
    pub(in crate::worker) excludes: &'a [String],
    /// `--parents`.
    pub(in crate::worker) parents: bool,
    /// What the ignore file leaves out of the source.
    pub(in crate::worker) ignore: Option<&'a Patterns>,
    /// What of that is left out for being rbuild's own store.
    pub(in crate::worker) store: Option<&'a Patterns>,
}

impl<'a> Wish<'a> {
    /// Asks for one path and all below it, whatever characters it has.
    pub(in crate::worker) fn exactly(path: &'a str) -> Self {
        Self {
            path,
            literal: true,
            excludes: &[],
            parents: false,
            ignore: None,
            store: None,
        }
    }
}

/// Finds what `wish` asks for below `root`. A pattern may match nothing; a plain path may not.
pub(in crate::worker) fn select(root: &Root, wish: &Wish<'_>) -> Result<Vec<Selected>, Error> {
    let (path, include) = pivot(wish);
    let filter = Filter::new(wish.ignore)
        .including(include.as_deref())?
        .excluding(wish.excludes)?;
    let mut all = Vec::new();
    for found in matches(root, &path, wish)? {
        let real = root.real_path(&found)?;
        let Some(stat) = real.found else {
            return Err(missing(wish, &found, &real.path));
        };
        let base_name = found.file_name().unwrap_or_default().to_owned();
        let mut node = Node {
            name: base_name.clone(),
            stat,
            wanted: true,
            children: Vec::new(),
        };
        if stat.is_dir() {
            let dir = root.open_dir(&real.path)?;
            node.children = filter.children(&dir, &real.path, Path::new(""))?;
        }
        // An ignored directory is there if something in it is not ignored.
        if node.children.is_empty() && is_ignored(wish.ignore, &real.path) {
            return Err(missing(wish, &found, &real.path));
        }
        all.push(Selected {
            path: real.path,
            base_name,
            node,
        });
    }
    if let Some(pattern) = include.filter(|pattern| !graph::has_wildcards(pattern)) {
        require(wish, &path, &pattern, &all)?;
    }
    Ok(all)
}

/// Splits the path of a `--parents` copy into the directory whose contents are copied and the
/// pattern below it: at `/./`, or else at the root.
fn pivot(wish: &Wish<'_>) -> (String, Option<String>) {
    if !wish.parents {
        return (graph::clean_path(wish.path), None);
    }
    let (base, pattern) = wish.path.split_once("/./").unwrap_or(("/", wish.path));
    let pattern = graph::clean_path(pattern);
    (
        graph::clean_path(base),
        Some(pattern.trim_start_matches('/').to_owned()),
    )
}

/// A plain path of a `--parents` copy must have led to something.
fn require(wish: &Wish<'_>, base: &str, pattern: &str, all: &[Selected]) -> Result<(), Error> {
    let is_there = |selected: &Selected| {
        let mut nodes = std::slice::from_ref(&selected.node);
        pattern
            .split('/')
            .filter(|name| !name.is_empty())
            .all(|name| {
                let children = nodes.iter().flat_map(|node| &node.children);
                let found = children.into_iter().find(|child| child.name == name);
                nodes = found.map_or(&[], std::slice::from_ref);
                found.is_some()
            })
    };
    if pattern.is_empty() || wish.excludes.iter().len() > 0 || all.iter().any(is_there) {
        return Ok(());
    }
    let path = Path::new(base.trim_start_matches('/')).join(pattern);
    Err(missing(wish, &path, &path))
}

/// The error for a path that leads to nothing: says so if it is of rbuild's store, or an ignore
/// pattern is the reason.
fn missing(wish: &Wish<'_>, path: &Path, real: &Path) -> Error {
    let text = real.to_string_lossy();
    if wish.store.is_some_and(|store| store.matches(&text)) {
        return Error::SourceIsStore {
            path: path.to_owned(),
        };
    }
    let pattern = wish.ignore.and_then(|patterns| patterns.reason(&text));
    match pattern {
        Some(pattern) => Error::SourceIgnored {
            path: path.to_owned(),
            pattern: pattern.to_owned(),
        },
        None => Error::SourceMissing {
            path: path.to_owned(),
        },
    }
}

/// Finds the paths that a path or pattern names. Links are followed up to the first part with a
/// wildcard; below it, names are matched as they are.
fn matches(root: &Root, path: &str, wish: &Wish<'_>) -> Result<Vec<PathBuf>, Error> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    let is_plain = |part: &&&str| wish.literal || !graph::has_wildcards(part);
    let plain = parts.iter().take_while(is_plain).count();
    let base: PathBuf = parts[..plain].iter().collect();
    if plain == parts.len() {
        return Ok(vec![base]);
    }
    let mut found = Vec::new();
    let real = root.real_path(&base)?;
    if real.found.is_some_and(|stat| stat.is_dir()) {
        let dir = root.open_dir(&real.path)?;
        match_below(&dir, &real.path, (&parts[plain..], wish.ignore), &mut found)?;
    }
    Ok(found)
}

fn match_below(
    dir: &Dir,
    path: &Path,
    (pattern, ignore): (&[&str], Option<&Patterns>),
    found: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    let (first, rest) = pattern
        .split_first()
        .expect("a pattern ends before it is followed down");
    let mut entries = dir.entries()?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    for entry in entries {
        let entry_path = path.join(&entry.name);
        if !graph::glob_matches(first, &entry.name.to_string_lossy()) {
            continue;
        }
        if rest.is_empty() {
            if exists(dir, &entry.name, &entry_path, ignore)? {
                found.push(entry_path);
            }
        } else if dir.stat(&entry.name)?.is_dir() {
            match_below(
                &dir.open_dir(&entry.name)?,
                &entry_path,
                (rest, ignore),
                found,
            )?;
        }
    }
    Ok(())
}

/// Says whether a name is there once the ignore file has been applied: an ignored directory is if
/// something in it is.
fn exists(
    dir: &Dir,
    name: &OsString,
    path: &Path,
    ignore: Option<&Patterns>,
) -> Result<bool, Error> {
    if !is_ignored(ignore, path) {
        return Ok(true);
    }
    let may_hold =
        ignore.is_some_and(|patterns| patterns.may_unmatch_below(&path.to_string_lossy()));
    if !may_hold || !dir.stat(name)?.is_dir() {
        return Ok(false);
    }
    let children = Filter::new(ignore).children(&dir.open_dir(name)?, path, Path::new(""))?;
    Ok(!children.is_empty())
}
