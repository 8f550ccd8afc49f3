//! The walk of a directory that selects what of it is copied.
//!
//! It costs one listing a directory and one look at each name. A small tree is walked by the
//! calling thread alone; as soon as many names were seen, the rest is walked by several.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use rayon::prelude::*;

use crate::graph::Patterns;
use crate::sys::Dir;
use crate::worker::Error;
use crate::worker::files::select::Node;

/// Directories deeper than this are refused; no path of the kernel's is as long.
const DEPTH_MAX: usize = 1024;

/// So many names are looked at by one thread: to start others costs as much.
const SEQUENTIAL_MAX: usize = 1000;

/// How many names of one directory are not worth to be shared out.
const SHARE_MIN: usize = 32;

/// What decides which names of a directory are copied.
pub(super) struct Filter<'a> {
    /// By path from the root of the source: these do not exist.
    ignore: Option<&'a Patterns>,
    /// By path below the copied directory: only these.
    include: Option<Patterns>,
    /// By path below the copied directory: not these.
    exclude: Option<Patterns>,
    /// How many names were seen.
    seen: AtomicUsize,
}

impl<'a> Filter<'a> {
    /// Leaves out what the ignore file says.
    pub(super) fn new(ignore: Option<&'a Patterns>) -> Self {
        Self {
            ignore,
            include: None,
            exclude: None,
            seen: AtomicUsize::new(0),
        }
    }

    pub(super) fn including(mut self, pattern: Option<&str>) -> Result<Self, Error> {
        self.include = pattern
            .map(|pattern| Patterns::new([pattern]))
            .transpose()?;
        Ok(self)
    }

    pub(super) fn excluding(mut self, patterns: &[String]) -> Result<Self, Error> {
        if !patterns.is_empty() {
            self.exclude = Some(Patterns::new(patterns)?);
        }
        Ok(self)
    }

    fn excludes(&self, path: &str) -> bool {
        self.exclude
            .as_ref()
            .is_some_and(|patterns| patterns.matches(path))
    }

    /// Selects what of a directory is copied: `path` is its place in the source, `below` its place
    /// in the copied directory.
    pub(super) fn children(
        &self,
        dir: &Dir,
        path: &Path,
        below: &Path,
    ) -> Result<Vec<Node>, Error> {
        if below.components().count() > DEPTH_MAX {
            return Err(Error::SourceTooDeep {
                path: path.to_owned(),
            });
        }
        let mut names: Vec<OsString> = dir.entries()?.into_iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        let mut nodes = Vec::with_capacity(names.len());
        let mut names = names.into_iter();
        while let Some(name) = names.next() {
            nodes.extend(self.child(dir, name, path, below)?);
            let seen = self.seen.fetch_add(1, Ordering::Relaxed);
            if seen >= SEQUENTIAL_MAX && names.len() >= SHARE_MIN {
                nodes.extend(self.share_out(dir, names.as_slice(), (path, below))?);
                break;
            }
        }
        Ok(nodes)
    }

    /// Looks at the rest of a directory's names with several threads.
    fn share_out(
        &self,
        dir: &Dir,
        names: &[OsString],
        (path, below): (&Path, &Path),
    ) -> Result<Vec<Node>, Error> {
        let found = names
            .par_iter()
            .map(|name| self.child(dir, name.clone(), path, below))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    fn child(
        &self,
        dir: &Dir,
        name: OsString,
        path: &Path,
        below: &Path,
    ) -> Result<Option<Node>, Error> {
        if self.takes_all() {
            return self.take(dir, name, path, below).map(Some);
        }
        let path = path.join(&name);
        let below = below.join(&name);
        let ignored = is_ignored(self.ignore, &path);
        let text = path.to_string_lossy();
        if ignored
            && !self
                .ignore
                .is_some_and(|patterns| patterns.may_unmatch_below(&text))
        {
            return Ok(None);
        }
        let stat = dir.stat(&name)?;
        let below_text: Cow<'_, str> = below.to_string_lossy();
        let included = self
            .include
            .as_ref()
            .is_none_or(|patterns| patterns.matches(&below_text));
        let wanted = included && !self.excludes(&below_text);
        let mut node = Node {
            name,
            stat,
            wanted,
            children: Vec::new(),
        };
        if !stat.is_dir() {
            return Ok(Some(node).filter(|_| wanted && !ignored));
        }
        node.children = self.children(&dir.open_dir(&node.name)?, &path, &below)?;
        let kept = (wanted && !ignored) || !node.children.is_empty();
        Ok(kept.then_some(node))
    }

    /// Says whether every name is copied.
    fn takes_all(&self) -> bool {
        self.ignore.is_none() && self.include.is_none() && self.exclude.is_none()
    }

    /// Selects a name with all below it.
    fn take(&self, dir: &Dir, name: OsString, path: &Path, below: &Path) -> Result<Node, Error> {
        let stat = dir.stat(&name)?;
        let children = if stat.is_dir() {
            let inner = dir.open_dir(&name)?;
            self.children(&inner, &path.join(&name), &below.join(&name))?
        } else {
            Vec::new()
        };
        Ok(Node {
            name,
            stat,
            wanted: true,
            children,
        })
    }
}

/// Says whether the ignore file leaves a path out.
pub(super) fn is_ignored(ignore: Option<&Patterns>, path: &Path) -> bool {
    let text = path.to_string_lossy();
    !text.is_empty() && ignore.is_some_and(|patterns| patterns.matches(&text))
}
