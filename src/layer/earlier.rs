//! The compressed pieces of an earlier layer, to be used again.
//!
//! Compression always gives the same bytes for the same piece, so it makes no difference to a
//! layer whether its pieces were compressed or taken over.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// A piece of a layer, by what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The blake3 digest of its part of the tar.
    pub tar: [u8; 32],
    /// The blake3 digest of its part of the blob.
    pub blob: [u8; 32],
    /// How many bytes of the blob it takes.
    pub length: u32,
}

/// An earlier blob, and its pieces by their parts of the tar.
#[derive(Debug)]
pub struct Earlier {
    blob: File,
    pieces: HashMap<[u8; 32], (u64, Piece)>,
}

impl Earlier {
    /// Takes a blob and all its pieces, in order.
    #[must_use]
    pub fn new(blob: File, pieces: &[Piece]) -> Self {
        let mut offset = 0;
        let mut placed = HashMap::with_capacity(pieces.len());
        for piece in pieces {
            placed.insert(piece.tar, (offset, *piece));
            offset += u64::from(piece.length);
        }
        Self {
            blob,
            pieces: placed,
        }
    }

    /// Reads a piece into an empty buffer, if there is one and it is not damaged.
    pub(super) fn read(&self, tar: &[u8; 32], out: &mut Vec<u8>) -> Option<Piece> {
        let (offset, piece) = self.pieces.get(tar)?;
        out.resize(usize::try_from(piece.length).ok()?, 0);
        let read = self.blob.read_exact_at(out, *offset);
        let is_whole = read.is_ok() && blake3::hash(out).as_bytes() == &piece.blob;
        if !is_whole {
            out.clear();
        }
        is_whole.then_some(*piece)
    }
}
