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

/// How long a piece is when it is written down.
const PIECE_BYTES: usize = 32 + 32 + 4;

impl Piece {
    /// Writes pieces down.
    #[must_use]
    pub fn encode(pieces: &[Piece]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity((pieces.len() + 1) * PIECE_BYTES);
        for piece in pieces {
            bytes.extend_from_slice(&piece.tar);
            bytes.extend_from_slice(&piece.blob);
            bytes.extend_from_slice(&piece.length.to_le_bytes());
        }
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        bytes
    }

    /// Reads pieces that were written down; none if they are damaged.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Vec<Piece>> {
        let (bytes, digest) = bytes.split_last_chunk::<32>()?;
        if blake3::hash(bytes).as_bytes() != digest || !bytes.len().is_multiple_of(PIECE_BYTES) {
            return None;
        }
        let piece = |bytes: &[u8]| {
            let (tar, rest) = bytes.split_first_chunk()?;
            let (blob, length) = rest.split_first_chunk()?;
            Some(Piece {
                tar: *tar,
                blob: *blob,
                length: u32::from_le_bytes(length.try_into().ok()?),
            })
        };
        bytes.chunks_exact(PIECE_BYTES).map(piece).collect()
    }
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

#[cfg(test)]
mod tests {
    use super::Piece;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let piece = |byte| Piece {
            tar: [byte; 32],
            blob: [!byte; 32],
            length: u32::from(byte) << 20,
        };
        let pieces = [piece(1), piece(200)];
        let mut bytes = Piece::encode(&pieces);
        assert_eq!(Piece::decode(&bytes).unwrap(), pieces);
        assert_eq!(Piece::decode(&Piece::encode(&[])), Some(Vec::new()));
        assert_eq!(Piece::decode(&bytes[1..]), None);
        bytes[70] ^= 1;
        assert_eq!(Piece::decode(&bytes), None);
        assert_eq!(Piece::decode(b""), None);
    }
}
