//! What copying one source makes.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use crate::layer::Source;
use crate::sys::FileKind;
use crate::sys::Root;
use crate::sys::Stat;
use crate::worker::copy::draft::Entry;
use crate::worker::copy::draft::Folder;
use crate::worker::copy::draft::Ground;
use crate::worker::files::Manner;
use crate::worker::files::Node;
use crate::worker::files::Selected;
use crate::worker::files::xattr;

/// One source being copied.
pub(super) struct Copy<'a> {
    pub(super) ground: Ground<'a>,
    pub(super) source: &'a Arc<Root>,
    pub(super) manner: &'a Manner,
    /// What stands for each file with several names.
    pub(super) links: HashMap<(u64, u64), (u64, u64)>,
    pub(super) numbered: u64,
}

impl Copy<'_> {
    /// The directory that a source names: what is in it is copied, and it gives its time.
    pub(super) fn top(
        &mut self,
        folder: &mut Folder,
        path: &Path,
        selected: &Selected,
    ) -> Option<()> {
        self.fill(folder, path, &selected.node, &selected.path)?;
        if !selected.path.as_os_str().is_empty() && !self.manner.keeps_paths {
            folder.stat.modified = selected.node.stat.modified;
        }
        Some(())
    }

    fn fill(&mut self, folder: &mut Folder, path: &Path, node: &Node, from: &Path) -> Option<()> {
        for child in &node.children {
            let (path, from) = (path.join(&child.name), from.join(&child.name));
            if child.stat.is_dir() {
                self.directory(folder, &path, child, &from)?;
            } else {
                self.file(folder, &path, child, &from)?;
            }
        }
        Some(())
    }

    fn directory(
        &mut self,
        parent: &mut Folder,
        path: &Path,
        node: &Node,
        from: &Path,
    ) -> Option<()> {
        let ground = self.ground;
        let is_new = ground.enter(parent, path)?.is_none();
        if is_new {
            let mut made = ground.folder(node.stat.mode, node.stat.owner);
            made.source = self.source_at(from);
            parent.add(node.name.clone(), Entry::Folder(made), ground.now);
        }
        let folder = ground.enter(parent, path)??;
        self.fill(folder, path, node, from)?;
        if !is_new && !node.wanted {
            return Some(());
        }
        if !is_new && self.has_attributes(from)? {
            return None;
        }
        folder.stat.mode = self.manner.mode_of(&node.stat);
        folder.stat.owner = self.manner.owner_of(&node.stat);
        if node.wanted {
            folder.stat.modified = node.stat.modified;
        }
        Some(())
    }

    pub(super) fn file(
        &mut self,
        parent: &mut Folder,
        path: &Path,
        node: &Node,
        from: &Path,
    ) -> Option<()> {
        let name = path.file_name()?;
        let is_replaced = matches!(parent.entries.get(name), Some(Entry::File(..)));
        if !is_replaced && !self.ground.is_free(parent, path)? {
            return None;
        }
        let mut stat = node.stat;
        let is_whiteout = stat.kind == FileKind::CharDevice && stat.device == (0, 0);
        if stat.kind == FileKind::Socket || is_whiteout {
            return None;
        }
        if stat.kind != FileKind::Symlink {
            stat.mode = self.manner.mode_of(&node.stat);
        }
        stat.owner = self.manner.owner_of(&node.stat);
        stat.identity = self.number(&node.stat);
        let entry = Entry::File(stat, self.source_at(from));
        parent.add(name.to_owned(), entry, self.ground.now);
        Some(())
    }

    /// Names a file with several names, so that it is another in each source.
    fn number(&mut self, stat: &Stat) -> (u64, u64) {
        if stat.links == 1 {
            return (0, 0);
        }
        let numbered = &mut self.numbered;
        *self.links.entry(stat.identity).or_insert_with(|| {
            *numbered += 1;
            (0, *numbered)
        })
    }

    fn has_attributes(&self, from: &Path) -> Option<bool> {
        let dir = self.source.open_dir(from).ok()?;
        Some(!xattr::read(&dir, OsStr::new(".")).is_empty())
    }

    fn source_at(&self, from: &Path) -> Source {
        Source::Tree {
            root: Arc::clone(self.source),
            path: from.to_owned(),
            has_capabilities: self.manner.capabilities,
        }
    }
}
