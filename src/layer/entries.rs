//! Reading a tar, entry by entry.

use std::io;
use std::io::BufRead;
use std::path::PathBuf;

use tar::EntryType;
use tar::Header;

use crate::layer::Error;
use crate::layer::Result;
use crate::layer::entry;
use crate::layer::entry::Entry;
use crate::layer::entry::Extensions;
use crate::layer::entry::Reason;
use crate::layer::header::BLOCK;
use crate::layer::pax;
use crate::layer::sparse;

/// No extension header is larger, as in Go's reader: a longer one only serves to fill the memory.
const EXTENSION_MAX: u64 = 1 << 20;

/// The entries of a tar, one after the other.
pub(super) struct Entries<R> {
    tar: R,
    /// What is left of the last entry's content, and the padding after it.
    left: u64,
    padding: u64,
    /// How many entries were read.
    pub(super) count: u64,
}

impl<R: BufRead> Entries<R> {
    pub(super) fn new(tar: R) -> Self {
        Self {
            tar,
            left: 0,
            padding: 0,
            count: 0,
        }
    }

    /// Reads up to the next entry; none at the end of the tar.
    pub(super) fn next(&mut self) -> Result<Option<Entry>> {
        self.skip_content()?;
        let mut extensions = Extensions::default();
        let mut extended = false;
        loop {
            let Some(header) = self.header()? else {
                return match extended {
                    true => Err(self.invalid("extension header of no entry")),
                    false => Ok(None),
                };
            };
            match header.entry_type() {
                EntryType::XHeader => {
                    let records = pax::parse(&self.extension(&header)?);
                    extensions.records =
                        records.ok_or_else(|| self.invalid("malformed PAX record"))?;
                }
                EntryType::XGlobalHeader => {
                    self.extension(&header)?;
                    continue;
                }
                EntryType::GNULongName => extensions.long_path = Some(self.long_text(&header)?),
                EntryType::GNULongLink => extensions.long_link = Some(self.long_text(&header)?),
                _ => return self.entry(&header, extensions).map(Some),
            }
            extended = true;
        }
    }

    /// Hands out the content of the last entry piece by piece, as it comes.
    pub(super) fn content(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while self.left > 0 {
            let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
            let available = fill(&mut self.tar, self.count)?;
            let piece = &available[..available.len().min(wanted)];
            take(piece)?;
            let length = piece.len();
            self.tar.consume(length);
            self.left -= length as u64;
        }
        Ok(())
    }

    /// Gives the reader, which stands where the last entry's content begins.
    pub(super) fn tar(&mut self) -> &mut R {
        &mut self.tar
    }

    /// Gives back the reader, which may have bytes after the end of the tar.
    pub(super) fn into_inner(self) -> R {
        self.tar
    }

    fn header(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes())? {
            return Ok(None);
        }
        let is_empty = |header: &Header| header.as_bytes().iter().all(|byte| *byte == 0);
        if is_empty(&header) {
            // The end is two such blocks; the second may be missing, but nothing else may follow.
            let ended = !self.block(header.as_mut_bytes())? || is_empty(&header);
            return match ended {
                true => Ok(None),
                false => Err(self.invalid("data after an empty block")),
            };
        }
        self.count += 1;
        let claimed = header.cksum().ok();
        let (before, after) = (&header.as_bytes()[..148], &header.as_bytes()[156..]);
        let sum: u32 = before
            .iter()
            .chain(after)
            .map(|byte| u32::from(*byte))
            .sum();
        // The field of the sum itself counts as blanks.
        if claimed != Some(sum + 8 * u32::from(b' ')) {
            return Err(self.invalid("wrong checksum: it may be no tar"));
        }
        Ok(Some(header))
    }

    /// Reads one block; tells whether there was one.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool> {
        let entries = self.count;
        let failed = |source| Error::ReadBlob { entries, source };
        let mut length = 0;
        while length < BLOCK {
            match self.tar.read(&mut block[length..]) {
                Ok(0) if length == 0 => return Ok(false),
                Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(true)
    }

    fn extension(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = entry::number(&header.as_old().size).and_then(entry::size);
        let size = size.map_err(|reason| self.invalid(reason))?;
        if size > EXTENSION_MAX {
            return Err(self.invalid("extension header larger than 1 MiB"));
        }
        self.expect_content(size);
        let mut data = Vec::new();
        self.content(|piece| {
            data.extend_from_slice(piece);
            Ok(())
        })?;
        self.skip_content()?;
        Ok(data)
    }

    fn long_text(&mut self, header: &Header) -> Result<Vec<u8>> {
        let mut text = self.extension(header)?;
        if let Some(end) = text.iter().position(|byte| *byte == 0) {
            text.truncate(end);
        }
        Ok(text)
    }

    fn entry(&mut self, header: &Header, extensions: Extensions) -> Result<Entry> {
        let entry = Entry::read(header, extensions);
        let mut entry = entry.map_err(|reason| self.invalid(reason))?;
        if entry.kind == EntryType::GNUSparse {
            self.read_map_of_headers(header, &mut entry)?;
        }
        self.expect_content(entry.stored);
        if entry.pieces.as_ref().is_some_and(Vec::is_empty) && entry.stored > 0 {
            self.read_map_of_content(&mut entry)?;
        }
        Ok(entry)
    }

    /// Reads where the pieces of a file with holes go: in GNU's form, from headers of their own.
    fn read_map_of_headers(&mut self, header: &Header, entry: &mut Entry) -> Result<()> {
        let mut map = sparse::Headers::new(header).map_err(|reason| self.invalid(reason))?;
        while map.goes_on {
            let mut block = [0; BLOCK];
            if !self.block(&mut block)? {
                return Err(self.invalid("sparse file without its map"));
            }
            map.extend(&block).map_err(|reason| self.invalid(reason))?;
        }
        map.finish(entry).map_err(|reason| self.invalid(reason))
    }

    /// The same in PAX form 1.0, where the map is the first of the content.
    fn read_map_of_content(&mut self, entry: &mut Entry) -> Result<()> {
        let mut map = sparse::Text::default();
        while map.goes_on() {
            let mut block = [0; BLOCK];
            if self.left < BLOCK as u64 || !self.block(&mut block)? {
                return Err(self.invalid("sparse file without its map"));
            }
            self.left -= BLOCK as u64;
            map.extend(&block).map_err(|reason| self.invalid(reason))?;
        }
        entry.stored = self.left;
        map.finish(entry).map_err(|reason| self.invalid(reason))
    }

    fn expect_content(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    /// Gives how many bytes there are up to the next entry, for who passes over them himself.
    pub(super) fn pass_content(&mut self) -> u64 {
        let passed = self.left.saturating_add(self.padding);
        (self.left, self.padding) = (0, 0);
        passed
    }

    fn skip_content(&mut self) -> Result<()> {
        let mut skip = self.pass_content();
        while skip > 0 {
            let available = fill(&mut self.tar, self.count)?.len() as u64;
            let taken = available.min(skip);
            self.tar
                .consume(usize::try_from(taken).expect("no more than a buffer has"));
            skip -= taken;
        }
        Ok(())
    }

    /// Makes the error of an entry that is broken before its path is known.
    fn invalid(&self, reason: Reason) -> Error {
        Error::Archive {
            entry: self.count,
            path: PathBuf::new(),
            reason,
        }
    }
}

/// Gives the bytes at hand, at least one.
fn fill(tar: &mut impl BufRead, entries: u64) -> Result<&[u8]> {
    let failed = |source| Error::ReadBlob { entries, source };
    let available = tar.fill_buf().map_err(failed)?;
    if available.is_empty() {
        return Err(failed(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(available)
}
