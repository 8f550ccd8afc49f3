//! A change set as a directory into a layer as a blob.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::layer::Below;
use crate::layer::Change;
use crate::layer::ChangeKind;
use crate::layer::Compression;
use crate::layer::Earlier;
use crate::layer::Extent;
use crate::layer::Piece;
use crate::layer::Result;
use crate::layer::change::cannot_read;
use crate::layer::change::changes;
use crate::layer::header::EntryHeader;
use crate::layer::item::Item;
use crate::layer::item::Source;
use crate::layer::pipeline::Pipeline;
use crate::layer::whiteout;
use crate::oci::DiffId;
use crate::sys::Root;
use crate::sys::Stat;

/// How a layer is written.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// The time, in seconds since 1970, that no entry may be newer than; newer ones get it.
    pub clamp_epoch: Option<i64>,
    /// How the tar is compressed.
    pub compression: Compression,
    /// A layer that may have many of the same pieces. It changes no byte of the new one.
    pub earlier: Option<Arc<Earlier>>,
}

impl PackOptions {
    /// Keeps all times and knows of no earlier layer.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        Self {
            clamp_epoch: None,
            compression,
            earlier: None,
        }
    }
}

/// A layer that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The digest of its tar.
    pub diff_id: DiffId,
    /// The size of its tar.
    pub diff_size: u64,
    /// What the blob consists of, in order; nothing if it is not compressed by gzip.
    pub pieces: Vec<Piece>,
    /// Whether unpacking it gives the change set again, but for fractions of a second.
    pub extent: Extent,
}

/// Writes the changes that `tree` makes to `below` as a layer.
///
/// Same inputs, same bytes: entries come in the order of their paths, owners as numbers, times as
/// whole seconds. Reading, compression, digests and writing overlap; memory does not grow with the
/// layer's files.
pub fn pack(
    tree: &Root,
    below: Below<'_>,
    options: &PackOptions,
    out: impl Write,
) -> Result<Packed> {
    let top = tree.dir().try_clone().map_err(cannot_read(Path::new("")))?;
    let root = Arc::new(Root::new(top));
    let mut packer = Packer::new(options, out)?;
    let extent = changes(tree, below, |change| packer.add(&root, change))?;
    packer.finish(extent)
}

/// A tree that is written with others, and the folder that its files get.
#[derive(Debug)]
pub struct Placed<'a> {
    /// The folder, relative; empty for the top.
    pub folder: PathBuf,
    /// The tree.
    pub tree: &'a Root,
}

/// Writes all files of several trees as one tar. A directory that more than one of them has at the
/// same place is written once, as the first has it.
pub fn pack_trees(trees: &[Placed<'_>], options: &PackOptions, out: impl Write) -> Result<Packed> {
    let mut packer = Packer::new(options, out)?;
    let mut directories = HashSet::new();
    for placed in trees {
        let top = placed.tree.dir();
        let root = top.try_clone().map_err(cannot_read(Path::new("")))?;
        let root = Arc::new(Root::new(root));
        // Equal identities in another tree are no names of one file.
        packer.names.clear();
        packer.folder.clear();
        if !placed.folder.as_os_str().is_empty() {
            let stat = root.stat(Path::new("/"));
            let stat = stat.map_err(cannot_read(Path::new("/")))?;
            packer.add_file(&placed.folder, &stat, Source::Nothing, true)?;
        }
        packer.folder.clone_from(&placed.folder);
        changes(placed.tree, Below::Nothing, |change| {
            let is_directory = matches!(change.kind, ChangeKind::Written(stat) if stat.is_dir());
            match is_directory && !directories.insert(placed.folder.join(change.path)) {
                true => Ok(()),
                false => packer.add(&root, change),
            }
        })?;
    }
    packer.finish(Extent::Whole)
}

/// A file of a layer that is packed without a change set on disk.
#[derive(Debug)]
pub struct NewFile {
    /// The path inside the root file system, relative.
    pub path: PathBuf,
    /// The metadata it has there. Names of one identity and several links are one file.
    pub stat: Stat,
    /// Where its content and attributes are.
    pub source: Source,
}

/// Writes files as a layer: the same as if they were a change set with nothing below. They come
/// in the order of their paths, component by component, with the directories they are in.
pub fn pack_files(
    files: impl IntoIterator<Item = NewFile>,
    options: &PackOptions,
    out: impl Write,
) -> Result<Packed> {
    let mut packer = Packer::new(options, out)?;
    for file in files {
        packer.add_file(&file.path, &file.stat, file.source, true)?;
    }
    packer.finish(Extent::Whole)
}

/// A file's identity: its device and its number there.
type Identity = (u64, u64);

struct Packer<W: Write> {
    pipeline: Pipeline<W>,
    /// The folder that everything is put into; empty for the top.
    folder: PathBuf,
    clamp_epoch: i64,
    /// Whether an entry is newer than it may be.
    is_clamped: bool,
    /// The first name of each file that has several.
    names: HashMap<Identity, Vec<u8>>,
    /// Unchanged names of files that may yet turn out to be written under another name.
    waiting: HashMap<Identity, Vec<Vec<u8>>>,
}

impl<W: Write> Packer<W> {
    fn new(options: &PackOptions, out: W) -> Result<Self> {
        Ok(Self {
            pipeline: Pipeline::new(options, out)?,
            folder: PathBuf::new(),
            clamp_epoch: options.clamp_epoch.unwrap_or(i64::MAX),
            is_clamped: false,
            names: HashMap::new(),
            waiting: HashMap::new(),
        })
    }

    fn finish(self, told: Extent) -> Result<Packed> {
        let extent = match self.is_clamped {
            true => Extent::Part,
            false => told,
        };
        self.pipeline.finish(extent)
    }

    fn add(&mut self, root: &Arc<Root>, change: &Change<'_>) -> Result<()> {
        let source = || Source::Tree {
            root: Arc::clone(root),
            path: change.path.to_owned(),
            has_capabilities: true,
        };
        match change.kind {
            ChangeKind::Written(stat) => self.add_file(change.path, &stat, source(), true),
            ChangeKind::Linked(stat) => self.add_file(change.path, &stat, source(), false),
            ChangeKind::Deleted => {
                let hiding = whiteout::hiding(change.name);
                self.add_whiteout(&change.path.with_file_name(hiding))
            }
            ChangeKind::Emptied => self.add_whiteout(&change.path.join(whiteout::OPAQUE_NAME)),
        }
    }

    /// Gives the path that an entry is written under.
    fn place<'p>(&self, path: &'p Path) -> Cow<'p, Path> {
        match self.folder.as_os_str().is_empty() {
            true => Cow::Borrowed(path),
            false => Cow::Owned(self.folder.join(path)),
        }
    }

    fn add_whiteout(&mut self, path: &Path) -> Result<()> {
        self.pipeline.add(Item {
            header: EntryHeader::empty(bytes(&self.place(path))),
            source: Source::Nothing,
        })
    }

    fn add_file(&mut self, path: &Path, stat: &Stat, source: Source, written: bool) -> Result<()> {
        self.is_clamped |= stat.modified.seconds > self.clamp_epoch;
        let mut item = Item {
            header: EntryHeader::of(bytes(&self.place(path)), stat, self.clamp_epoch),
            source,
        };
        let header = &mut item.header;
        let several = stat.links > 1 && !stat.is_dir();
        if several && let Some(first) = self.names.get(&stat.identity) {
            header.become_link(first.clone());
        } else if !written {
            let waiting = self.waiting.entry(stat.identity).or_default();
            waiting.push(std::mem::take(&mut header.path));
            return Ok(());
        } else if several {
            self.names.insert(stat.identity, header.path.clone());
        }
        let waiting = self.waiting.remove(&stat.identity);
        let links = waiting.map(|paths| (paths, item.clone()));
        self.pipeline.add(item)?;
        let Some((paths, mut link)) = links else {
            return Ok(());
        };
        let first = link.header.path.clone();
        link.header.become_link(first);
        for path in paths {
            link.header.path = path;
            self.pipeline.add(link.clone())?;
        }
        Ok(())
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    OsStr::new(path).as_bytes().to_vec()
}
