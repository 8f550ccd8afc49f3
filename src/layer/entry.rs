//! Reading the entries of a tar: ustar, PAX, GNU long names, and whatever else Go's reader takes.

use std::collections::HashMap;
use std::io;
use std::io::BufRead;
use std::path::PathBuf;

use tar::EntryType;
use tar::Header;

use crate::layer::Error;
use crate::layer::Result;
use crate::layer::header::BLOCK;
use crate::layer::pax;
use crate::sys::Timestamp;

/// No extension header is larger, as in Go's reader: a longer one only serves to fill the memory.
const EXTENSION_MAX: u64 = 1 << 20;

/// One entry, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: EntryType,
    /// The path as written, with any leading slash and `..`.
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) modified: Timestamp,
    pub(super) device: (u32, u32),
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The entries of a tar, one after the other.
pub(super) struct Entries<R> {
    tar: R,
    /// What is left of the last entry's content, and the padding after it.
    left: u64,
    padding: u64,
    /// How many entries were read.
    pub(super) count: u64,
}

/// What the extension headers before an entry said of it.
#[derive(Default)]
struct Extensions {
    records: HashMap<Vec<u8>, Vec<u8>>,
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
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
        loop {
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            match header.entry_type() {
                EntryType::XHeader => {
                    let records = self.extension(&header)?;
                    let parsed = pax::parse(&records);
                    extensions.records =
                        parsed.ok_or_else(|| self.invalid("malformed PAX record"))?;
                }
                EntryType::XGlobalHeader => drop(self.extension(&header)?),
                EntryType::GNULongName => extensions.long_path = Some(self.long_text(&header)?),
                EntryType::GNULongLink => extensions.long_link = Some(self.long_text(&header)?),
                _ => return self.entry(&header, extensions).map(Some),
            }
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

    /// Gives back the reader, which may have bytes after the end of the tar.
    pub(super) fn into_inner(self) -> R {
        self.tar
    }

    fn header(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_old();
        if !self.block(&mut header)? {
            return Ok(None);
        }
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            // The end is two such blocks; the second may be missing, but nothing else may follow.
            let ended =
                !self.block(&mut header)? || header.as_bytes().iter().all(|byte| *byte == 0);
            return if ended {
                Ok(None)
            } else {
                Err(self.invalid("data after an empty block"))
            };
        }
        self.count += 1;
        let claimed = header.cksum().ok();
        let (before, after) = (&header.as_bytes()[..148], &header.as_bytes()[156..]);
        let sum = before
            .iter()
            .chain(after)
            .map(|byte| u32::from(*byte))
            .sum::<u32>()
            + 8 * 32;
        if claimed != Some(sum) {
            return Err(self.invalid("wrong checksum: it may be no tar"));
        }
        Ok(Some(header))
    }

    /// Reads one block; tells whether there was one.
    fn block(&mut self, header: &mut Header) -> Result<bool> {
        let count = self.count;
        let failed = |source| Error::ReadBlob {
            entries: count,
            source,
        };
        let block = header.as_mut_bytes();
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
        let size = self.number(&header.as_old().size)?;
        let size = u64::try_from(size).unwrap_or(u64::MAX);
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

    fn entry(&mut self, header: &Header, mut extensions: Extensions) -> Result<Entry> {
        let fields = header.as_old();
        let mut entry = Entry {
            kind: header.entry_type(),
            path: header.path_bytes().into_owned(),
            link: header.link_name_bytes().unwrap_or_default().into_owned(),
            // The bits above are the file's type again, in old archives.
            mode: u32::try_from(self.number(&fields.mode)? & 0o7777).unwrap_or(0),
            uid: self.id(self.number(&fields.uid)?)?,
            gid: self.id(self.number(&fields.gid)?)?,
            size: self.size(self.number(&fields.size)?)?,
            modified: Timestamp {
                seconds: self.number(&fields.mtime)?,
                nanoseconds: 0,
            },
            device: self.device(header)?,
            xattrs: Vec::new(),
        };
        self.apply(&mut entry, &mut extensions)?;
        self.finish_kind(&mut entry, header)?;
        let has_content = matches!(entry.kind, EntryType::Regular);
        if !has_content {
            entry.size = 0;
        }
        self.expect_content(entry.size);
        Ok(entry)
    }

    fn apply(&self, entry: &mut Entry, extensions: &mut Extensions) -> Result<()> {
        let malformed = || self.invalid("malformed PAX record");
        for (key, value) in extensions.records.drain() {
            // An empty value takes back what a global header said, and those are not heeded.
            let number = || pax::number(&value).ok_or_else(malformed);
            match key.as_slice() {
                b"GNU.sparse.major" | b"GNU.sparse.map" | b"GNU.sparse.numblocks" => {
                    return Err(self.invalid("sparse files in PAX form are not supported"));
                }
                _ if value.is_empty() && !key.starts_with(pax::XATTR) => {}
                b"path" => entry.path = value,
                b"linkpath" => entry.link = value,
                b"uid" => entry.uid = self.id(number()?)?,
                b"gid" => entry.gid = self.id(number()?)?,
                b"size" => entry.size = self.size(number()?)?,
                b"mtime" => entry.modified = pax::time(&value).ok_or_else(malformed)?,
                _ => {
                    if let Some(name) = key.strip_prefix(pax::XATTR) {
                        entry.xattrs.push((name.to_vec(), value));
                    }
                }
            }
        }
        entry.xattrs.sort();
        entry.path = extensions
            .long_path
            .take()
            .unwrap_or(std::mem::take(&mut entry.path));
        entry.link = extensions
            .long_link
            .take()
            .unwrap_or(std::mem::take(&mut entry.link));
        if entry.path.contains(&0) || entry.link.contains(&0) {
            return Err(self.invalid("NUL in a path"));
        }
        Ok(())
    }

    /// Brings the kinds of old and odd archives to those that are extracted.
    fn finish_kind(&self, entry: &mut Entry, header: &Header) -> Result<()> {
        let old_regular = header.as_old().linkflag[0] == 0;
        match entry.kind {
            // Before there was a kind for directories, they were files with a slash at the end.
            EntryType::Regular if old_regular && entry.path.ends_with(b"/") => {
                entry.kind = EntryType::Directory;
            }
            EntryType::Continuous => entry.kind = EntryType::Regular,
            EntryType::GNUSparse => {
                return Err(self.invalid("sparse files in GNU's form are not supported"));
            }
            EntryType::Regular
            | EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo => {}
            _ => return Err(self.invalid("unknown kind of entry")),
        }
        Ok(())
    }

    fn number(&self, field: &[u8]) -> Result<i64> {
        number(field).ok_or_else(|| self.invalid("malformed number"))
    }

    fn id(&self, number: i64) -> Result<u32> {
        u32::try_from(number).map_err(|_| self.invalid("user or group number out of range"))
    }

    fn size(&self, number: i64) -> Result<u64> {
        u64::try_from(number).map_err(|_| self.invalid("negative size"))
    }

    fn device(&self, header: &Header) -> Result<(u32, u32)> {
        let Some(ustar) = header.as_bytes()[257..]
            .starts_with(b"ustar")
            .then_some(header)
        else {
            return Ok((0, 0));
        };
        let field = |at: usize| {
            let number = self.number(&ustar.as_bytes()[at..at + 8])?;
            u32::try_from(number).map_err(|_| self.invalid("device number out of range"))
        };
        Ok((field(329)?, field(337)?))
    }

    fn expect_content(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    fn skip_content(&mut self) -> Result<()> {
        let mut skip = self.left.saturating_add(self.padding);
        (self.left, self.padding) = (0, 0);
        while skip > 0 {
            let available = fill(&mut self.tar, self.count)?.len() as u64;
            let taken = available.min(skip);
            self.tar
                .consume(usize::try_from(taken).expect("no more than a buffer has"));
            skip -= taken;
        }
        Ok(())
    }

    /// Makes the error of a broken entry whose path is not known yet.
    fn invalid(&self, reason: &'static str) -> Error {
        Error::Archive {
            entry: self.count,
            path: PathBuf::new(),
            reason,
        }
    }
}

/// Reads octal digits among blanks, or the binary numbers GNU tar writes where those do not fit.
fn number(field: &[u8]) -> Option<i64> {
    if field[0] & 0x80 != 0 {
        // Two's complement in big endian, with the highest bit as the mark.
        let negative = field[0] & 0x40 != 0;
        let first = if negative { field[0] } else { field[0] & 0x7f };
        let start = if negative { -1 } else { 0 };
        let bytes = [first].into_iter().chain(field[1..].iter().copied());
        return bytes.into_iter().try_fold(start, |number: i64, byte| {
            let shifted = number.checked_mul(256)?;
            Some(shifted | i64::from(byte))
        });
    }
    let end = field
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(field.len());
    let digits = field[..end].trim_ascii();
    if digits.is_empty() {
        return Some(0);
    }
    i64::from_str_radix(str::from_utf8(digits).ok()?, 8).ok()
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
