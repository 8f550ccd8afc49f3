//! A layer as a blob into a change set as a directory; also any archive into a root file system.

use std::io::BufRead;
use std::io::Read;
use std::path::PathBuf;

use crate::layer::Error;
use crate::layer::Result;
use crate::layer::ahead::read_ahead;
use crate::layer::decompress::decompress;
use crate::layer::decompress::decompress_checked;
use crate::layer::entries::Entries;
use crate::layer::extract::Extractor;
use crate::oci::DiffId;
use crate::sys::Owner;
use crate::sys::Root;

/// What an archive is, which decides how its entries are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A layer, to become a change set in an empty directory: whiteouts become what overlayfs
    /// takes for them.
    Layer,
    /// Files for an existing tree, as `ADD` extracts them: nothing is a whiteout.
    Archive {
        /// Who owns every entry; none keeps the owners of the archive.
        owner: Option<Owner>,
    },
}

/// How an archive is unpacked.
#[derive(Debug, Clone, Copy)]
pub struct UnpackOptions {
    /// What it is.
    pub content: Content,
    /// The diff id its tar must have.
    pub expected: Option<DiffId>,
    /// How many entries it may have.
    pub entries_max: u64,
    /// How many bytes its tar may have.
    pub bytes_max: u64,
}

/// What a layer or archive may come to when it is unpacked. More is taken for a bomb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many bytes its tar may have.
    pub layer_bytes: u64,
    /// How many entries it may have.
    pub layer_entries: u64,
}

impl Default for Bounds {
    /// What no honest layer reaches.
    fn default() -> Self {
        Self {
            layer_bytes: 1 << 38,
            layer_entries: 10_000_000,
        }
    }
}

impl UnpackOptions {
    /// A layer with this diff id, in the usual bounds.
    #[must_use]
    pub fn layer(expected: Option<DiffId>) -> Self {
        let bounds = Bounds::default();
        Self {
            content: Content::Layer,
            expected,
            entries_max: bounds.layer_entries,
            bytes_max: bounds.layer_bytes,
        }
    }

    /// The same in other bounds.
    #[must_use]
    pub fn within(self, bounds: Bounds) -> Self {
        Self {
            entries_max: bounds.layer_entries,
            bytes_max: bounds.layer_bytes,
            ..self
        }
    }

    /// An archive, in the same bounds.
    #[must_use]
    pub fn archive(owner: Option<Owner>) -> Self {
        Self {
            content: Content::Archive { owner },
            ..Self::layer(None)
        }
    }
}

/// An archive that was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The digest of its tar.
    pub diff_id: DiffId,
    /// The size of its tar.
    pub diff_size: u64,
    /// The directories that were made because an entry lies in them, though the archive does not
    /// have them: in a layer, their metadata is whatever lies below says.
    pub implied: Vec<PathBuf>,
}

/// Extracts an archive into `target`, decompressing it if need be.
///
/// No entry reaches outside `target`, whatever its path, the links before it, or the tree say. An
/// entry for the root itself is passed over. On failure what was extracted stays.
pub fn unpack(blob: impl Read + Send, target: &Root, options: &UnpackOptions) -> Result<Unpacked> {
    let tar = match options.expected {
        Some(_) => decompress_checked(blob),
        None => decompress(blob),
    };
    let tar = tar.map_err(|source| Error::ReadBlob { entries: 0, source })?;
    // One byte more than allowed is enough to know.
    let tar = tar.take(options.bytes_max.saturating_add(1));
    let read = read_ahead(tar, |tar| extract(tar, target, options));
    let (extracted, total) = read.map_err(|source| Error::ReadBlob { entries: 0, source })?;
    if total.size > options.bytes_max {
        return Err(Error::Limit {
            what: "bytes",
            limit: options.bytes_max,
        });
    }
    let implied = extracted?;
    match options.expected {
        Some(expected) if expected != total.diff_id => Err(Error::DiffId {
            expected,
            found: total.diff_id,
        }),
        _ => Ok(Unpacked {
            diff_id: total.diff_id,
            diff_size: total.size,
            implied,
        }),
    }
}

fn extract(tar: impl BufRead, target: &Root, options: &UnpackOptions) -> Result<Vec<PathBuf>> {
    let mut extractor = Extractor::new(target, options.content);
    let mut entries = Entries::new(tar);
    while let Some(entry) = entries.next()? {
        if entries.count > options.entries_max {
            return Err(Error::Limit {
                what: "entries",
                limit: options.entries_max,
            });
        }
        // Space is reserved for what an entry claims, so the claim must keep the limit, too.
        if entry.size > options.bytes_max {
            return Err(Error::Limit {
                what: "bytes",
                limit: options.bytes_max,
            });
        }
        extractor.add(&entry, &mut entries)?;
    }
    let count = entries.count;
    drain(entries.into_inner(), count)?;
    extractor.finish()
}

/// Reads what comes after the end of the tar: the digest is of that, too.
fn drain(mut tar: impl BufRead, entries: u64) -> Result<()> {
    loop {
        let rest = tar.fill_buf();
        match rest
            .map_err(|source| Error::ReadBlob { entries, source })?
            .len()
        {
            0 => return Ok(()),
            length => tar.consume(length),
        }
    }
}
