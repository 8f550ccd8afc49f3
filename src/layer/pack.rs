//! A change set as a directory into a layer as a blob.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tar::EntryType;

use crate::layer::Below;
use crate::layer::Change;
use crate::layer::ChangeKind;
use crate::layer::Compression;
use crate::layer::Error;
use crate::layer::Extent;
use crate::layer::Result;
use crate::layer::attribute;
use crate::layer::change::cannot_read;
use crate::layer::change::changes;
use crate::layer::compress::BLOCK;
use crate::layer::compress::Encoder;
use crate::layer::header;
use crate::layer::header::EntryHeader;
use crate::layer::whiteout;
use crate::oci::Descriptor;
use crate::oci::DiffId;
use crate::oci::Digester;
use crate::oci::Layer;
use crate::sys::FileKind;
use crate::sys::Root;
use crate::sys::Stat;

/// How a layer is written.
#[derive(Debug, Clone, Copy)]
pub struct PackOptions {
    /// The time, in seconds since 1970, that no entry may be newer than; newer ones get it.
    pub clamp_epoch: Option<i64>,
    /// How the tar is compressed.
    pub compression: Compression,
}

/// A layer that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Its diff id, and the blob's digest, size and media type.
    pub layer: Layer,
    /// The size of the uncompressed tar.
    pub diff_size: u64,
    /// Whether unpacking it gives the change set again, but for fractions of a second.
    pub extent: Extent,
}

/// Writes the changes that `tree` makes to `below` as a layer.
///
/// Same inputs, same bytes: entries come in the order of their paths, owners as numbers, times as
/// whole seconds. Digests, compression and writing overlap; memory does not grow with the layer.
pub fn pack(
    tree: &Root,
    below: Below<'_>,
    options: &PackOptions,
    out: impl Write,
) -> Result<Packed> {
    let mut packer = Packer {
        tar: TarStream::new(options.compression, out)?,
        clamp_epoch: options.clamp_epoch.unwrap_or(i64::MAX),
        is_clamped: false,
        names: HashMap::new(),
        waiting: HashMap::new(),
    };
    let told = changes(tree, below, |change| packer.add(change))?;
    let extent = match packer.is_clamped {
        true => Extent::Part,
        false => told,
    };
    packer.tar.finish(options.compression, extent)
}

/// A file's identity: its device and its number there.
type Identity = (u64, u64);

struct Packer<W: Write> {
    tar: TarStream<W>,
    clamp_epoch: i64,
    /// Whether an entry is newer than it may be.
    is_clamped: bool,
    /// The first name of each file that has several.
    names: HashMap<Identity, Vec<u8>>,
    /// Unchanged names of files that may yet turn out to be written under another name.
    waiting: HashMap<Identity, Vec<Vec<u8>>>,
}

impl<W: Write> Packer<W> {
    fn add(&mut self, change: &Change<'_>) -> Result<()> {
        match change.kind {
            ChangeKind::Written(stat) => self.add_file(change, &stat, true),
            ChangeKind::Linked(stat) => self.add_file(change, &stat, false),
            ChangeKind::Deleted => {
                let hiding = whiteout::hiding(change.name);
                let path = change.path.with_file_name(hiding);
                self.tar.entry(&EntryHeader::empty(bytes(&path)))
            }
            ChangeKind::Emptied => {
                let path = change.path.join(whiteout::OPAQUE_NAME);
                self.tar.entry(&EntryHeader::empty(bytes(&path)))
            }
        }
    }

    fn add_file(&mut self, change: &Change<'_>, stat: &Stat, written: bool) -> Result<()> {
        self.is_clamped |= stat.modified.seconds > self.clamp_epoch;
        let mut header = self.header(change, stat)?;
        let several = stat.links > 1 && !stat.is_dir();
        if several && let Some(first) = self.names.get(&stat.identity) {
            header.kind = EntryType::Link;
            header.link.clone_from(first);
            header.size = 0;
        } else if !written {
            let waiting = self.waiting.entry(stat.identity).or_default();
            waiting.push(header.path);
            return Ok(());
        } else if several {
            self.names.insert(stat.identity, header.path.clone());
        }
        self.tar.entry(&header)?;
        if header.kind == EntryType::Regular {
            self.tar.content(change, header.size)?;
        }
        self.add_waiting(&mut header, stat)
    }

    fn add_waiting(&mut self, header: &mut EntryHeader, stat: &Stat) -> Result<()> {
        let Some(waiting) = self.waiting.remove(&stat.identity) else {
            return Ok(());
        };
        header.kind = EntryType::Link;
        header.link.clone_from(&header.path);
        header.size = 0;
        for path in waiting {
            header.path = path;
            self.tar.entry(header)?;
        }
        Ok(())
    }

    fn header(&self, change: &Change<'_>, stat: &Stat) -> Result<EntryHeader> {
        let mut header = EntryHeader {
            kind: entry_type(stat.kind),
            mode: stat.mode,
            uid: stat.owner.uid,
            gid: stat.owner.gid,
            mtime: stat.modified.seconds.min(self.clamp_epoch),
            device: stat.device,
            ..EntryHeader::empty(bytes(change.path))
        };
        match stat.kind {
            FileKind::File => header.size = stat.size,
            FileKind::Directory => header.path.push(b'/'),
            FileKind::Symlink => {
                let target = change.dir.read_link(change.name);
                header.link = bytes(&target.map_err(cannot_read(change.path))?);
            }
            _ => {}
        }
        let attributes = attribute::read(change.dir, change.name);
        header.xattrs = attributes.map_err(cannot_read(change.path))?;
        Ok(header)
    }
}

fn entry_type(kind: FileKind) -> EntryType {
    match kind {
        FileKind::File | FileKind::Socket => EntryType::Regular,
        FileKind::Directory => EntryType::Directory,
        FileKind::Symlink => EntryType::Symlink,
        FileKind::CharDevice => EntryType::Char,
        FileKind::BlockDevice => EntryType::Block,
        FileKind::Fifo => EntryType::Fifo,
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    OsStr::new(path).as_bytes().to_vec()
}

/// Cuts the tar into blocks for the encoder and digests them on the way.
struct TarStream<W: Write> {
    block: Vec<u8>,
    digester: Digester,
    size: u64,
    encoder: Encoder<W>,
}

impl<W: Write> TarStream<W> {
    fn new(compression: Compression, out: W) -> Result<Self> {
        Ok(Self {
            block: Vec::with_capacity(BLOCK),
            digester: Digester::new(),
            size: 0,
            encoder: Encoder::new(compression, out).map_err(cannot_write)?,
        })
    }

    fn entry(&mut self, header: &EntryHeader) -> Result<()> {
        let mut rest = header.encode();
        while !rest.is_empty() {
            let room = BLOCK - self.block.len();
            let later = rest.split_off(room.min(rest.len()));
            self.block.extend_from_slice(&rest);
            self.hand_over_if_full()?;
            rest = later;
        }
        Ok(())
    }

    /// Reads a file straight into the blocks; it must have exactly `size` bytes.
    fn content(&mut self, change: &Change<'_>, size: u64) -> Result<()> {
        if size == 0 {
            return Ok(());
        }
        let failed = |source| Error::Read {
            path: change.path.to_owned(),
            source,
        };
        let changed = || Error::Changed {
            path: change.path.to_owned(),
            size,
        };
        let opened = change.dir.open_file(change.name);
        let mut file = opened.map_err(cannot_read(change.path))?;
        let mut left = size;
        while left > 0 {
            let room = (BLOCK - self.block.len()) as u64;
            let wanted = room.min(left);
            let read = (&mut file)
                .take(wanted)
                .read_to_end(&mut self.block)
                .map_err(failed)? as u64;
            left -= read;
            if read < wanted {
                return Err(changed());
            }
            self.hand_over_if_full()?;
        }
        if file.read(&mut [0]).map_err(failed)? != 0 {
            return Err(changed());
        }
        self.pad(size)
    }

    /// Fills up the tar's last block of a file of this size.
    fn pad(&mut self, size: u64) -> Result<()> {
        let over = usize::try_from(size % header::BLOCK as u64).expect("it is below 512");
        if over > 0 {
            // The encoder's blocks are a multiple of the tar's: what is missing is in the same.
            self.block
                .resize(self.block.len() + header::BLOCK - over, 0);
            self.hand_over_if_full()?;
        }
        Ok(())
    }

    fn hand_over_if_full(&mut self) -> Result<()> {
        if self.block.len() < BLOCK {
            return Ok(());
        }
        self.hand_over()
    }

    fn hand_over(&mut self) -> Result<()> {
        self.digester.update(&self.block);
        self.size += self.block.len() as u64;
        let block = std::mem::take(&mut self.block);
        self.block = self.encoder.write(block).map_err(cannot_write)?;
        self.block.clear();
        Ok(())
    }

    fn finish(mut self, compression: Compression, extent: Extent) -> Result<Packed> {
        // Two empty blocks end a tar.
        for _ in 0..2 {
            self.block.resize(self.block.len() + header::BLOCK, 0);
            self.hand_over_if_full()?;
        }
        if !self.block.is_empty() {
            self.hand_over()?;
        }
        let (digest, size) = self.encoder.finish().map_err(cannot_write)?;
        Ok(Packed {
            layer: Layer {
                diff_id: DiffId(self.digester.finish()),
                blob: Descriptor::new(compression.media_type(), digest, size),
            },
            diff_size: self.size,
            extent,
        })
    }
}

fn cannot_write(source: io::Error) -> Error {
    Error::WriteBlob { source }
}
