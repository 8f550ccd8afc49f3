//! Files with holes, in the forms that GNU tar writes: an archive has only what is not a hole, and
//! a map of where it goes
//! ([forms](https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html)).

use std::collections::HashMap;

use tar::EntryType;
use tar::GnuExtSparseHeader;
use tar::GnuSparseHeader;
use tar::Header;

use crate::layer::entry::Entry;
use crate::layer::entry::Reason;
use crate::layer::entry::number;
use crate::layer::entry::size;
use crate::layer::header::BLOCK;
use crate::layer::pax;

/// Bytes that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where in the file.
    pub(super) offset: u64,
    /// How many.
    pub(super) length: u64,
}

const MALFORMED: Reason = "malformed map of a sparse file";

/// A file in so many pieces would only serve to fill the memory.
const PIECES_MAX: usize = 1 << 20;

/// Takes over the records of the PAX forms. Form 1.0 has its map at the start of the content: the
/// entry then has an empty one, to be filled from there.
pub(super) fn apply_records(
    entry: &mut Entry,
    records: &HashMap<Vec<u8>, Vec<u8>>,
) -> Result<(), Reason> {
    let record = |key: &str| records.get(key.as_bytes());
    if records.is_empty() {
        return Ok(());
    }
    if entry.kind != EntryType::Regular {
        return Err(MALFORMED);
    }
    if let Some(path) = record("name") {
        entry.path.clone_from(path);
    }
    let real_size = record("realsize")
        .or_else(|| record("size"))
        .ok_or(MALFORMED)?;
    entry.size = pax::number(real_size).ok_or(MALFORMED).and_then(size)?;
    let form = [record("major"), record("minor")].map(|part| part.map(Vec::as_slice));
    match form {
        [Some(b"1"), Some(b"0")] => {
            entry.pieces = Some(Vec::new());
            Ok(())
        }
        [None, None] | [Some(b"0"), Some(b"1")] => {
            let map = record("map").ok_or("sparse files in PAX form 0.0 are not supported")?;
            let numbers = map
                .split(|byte| *byte == b',')
                .filter(|text| !text.is_empty());
            let numbers = numbers.map(|text| pax::number(text).ok_or(MALFORMED).and_then(size));
            set_pieces(entry, &numbers.collect::<Result<Vec<_>, _>>()?)
        }
        _ => Err("unknown form of a sparse file"),
    }
}

/// Checks that the pieces come in order, lie in the file and are what the archive has.
fn set_pieces(entry: &mut Entry, numbers: &[u64]) -> Result<(), Reason> {
    if !numbers.len().is_multiple_of(2) || numbers.len() / 2 > PIECES_MAX {
        return Err(MALFORMED);
    }
    let piece = |pair: &[u64]| Piece {
        offset: pair[0],
        length: pair[1],
    };
    let pieces: Vec<Piece> = numbers.chunks_exact(2).map(piece).collect();
    let (mut end, mut stored) = (0, 0_u64);
    for piece in &pieces {
        if piece.offset < end {
            return Err(MALFORMED);
        }
        end = piece.offset.checked_add(piece.length).ok_or(MALFORMED)?;
        stored += piece.length;
    }
    if end > entry.size || stored != entry.stored {
        return Err(MALFORMED);
    }
    entry.kind = EntryType::Regular;
    entry.pieces = Some(pieces);
    Ok(())
}

/// The map of GNU's own form: four pieces in the header, more in blocks after it.
pub(super) struct Headers {
    numbers: Vec<u64>,
    real_size: u64,
    /// Whether another block follows.
    pub(super) goes_on: bool,
}

impl Headers {
    pub(super) fn new(header: &Header) -> Result<Self, Reason> {
        let header = header.as_gnu().ok_or(MALFORMED)?;
        let mut map = Self {
            numbers: Vec::new(),
            real_size: size(number(&header.realsize)?)?,
            goes_on: header.isextended[0] != 0,
        };
        map.add(&header.sparse)?;
        Ok(map)
    }

    pub(super) fn extend(&mut self, block: &[u8; BLOCK]) -> Result<(), Reason> {
        let mut header = GnuExtSparseHeader::new();
        header.as_mut_bytes().copy_from_slice(block);
        self.goes_on = header.isextended[0] != 0;
        self.add(&header.sparse)
    }

    pub(super) fn finish(self, entry: &mut Entry) -> Result<(), Reason> {
        entry.size = self.real_size;
        set_pieces(entry, &self.numbers)
    }

    fn add(&mut self, pieces: &[GnuSparseHeader]) -> Result<(), Reason> {
        for piece in pieces.iter().filter(|piece| piece.offset[0] != 0) {
            self.numbers.push(size(number(&piece.offset)?)?);
            self.numbers.push(size(number(&piece.numbytes)?)?);
        }
        if self.numbers.len() / 2 > PIECES_MAX {
            return Err(MALFORMED);
        }
        Ok(())
    }
}

/// The map of PAX form 1.0: lines of one number each, the first of which counts the pieces.
#[derive(Default)]
pub(super) struct Text {
    numbers: Vec<u64>,
    line: Vec<u8>,
}

impl Text {
    pub(super) fn goes_on(&self) -> bool {
        match self.numbers.first() {
            None => true,
            Some(pieces) => (self.numbers.len() as u64 - 1) / 2 < *pieces,
        }
    }

    pub(super) fn extend(&mut self, block: &[u8; BLOCK]) -> Result<(), Reason> {
        for byte in block {
            if !self.goes_on() {
                return Ok(());
            }
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let number = pax::number(&self.line).ok_or(MALFORMED).and_then(size)?;
            self.line.clear();
            self.numbers.push(number);
            if self.numbers[0] > PIECES_MAX as u64 {
                return Err(MALFORMED);
            }
        }
        // A number has twenty digits at most, so a line does not go on through a block.
        if self.line.len() > 20 {
            Err(MALFORMED)
        } else {
            Ok(())
        }
    }

    pub(super) fn finish(self, entry: &mut Entry) -> Result<(), Reason> {
        set_pieces(entry, &self.numbers[1..])
    }
}
