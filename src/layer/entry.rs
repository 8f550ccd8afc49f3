//! What the header of a tar entry says, with the extension headers before it: ustar, PAX, GNU's
//! long names, and whatever else Go's reader takes.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use tar::EntryType;
use tar::Header;

use crate::layer::pax;
use crate::layer::sparse;
use crate::layer::sparse::Piece;
use crate::sys::Timestamp;

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
    /// The size of a file.
    pub(super) size: u64,
    pub(super) modified: Timestamp,
    pub(super) device: (u32, u32),
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many bytes of content the archive has.
    pub(super) stored: u64,
    /// Where they go in a file with holes; with none, they are the file from its start.
    pub(super) pieces: Option<Vec<Piece>>,
}

/// What the extension headers before an entry said of it.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub(super) records: HashMap<Vec<u8>, Vec<u8>>,
    pub(super) long_path: Option<Vec<u8>>,
    pub(super) long_link: Option<Vec<u8>>,
}

/// What is wrong with an entry.
pub(super) type Reason = &'static str;

const MALFORMED_RECORD: Reason = "malformed PAX record";

impl Entry {
    /// Says whether it has nothing but content, mode, owner and time.
    pub(super) fn is_plain(&self) -> bool {
        self.xattrs.is_empty() && self.pieces.is_none()
    }

    pub(super) fn read(header: &Header, extensions: Extensions) -> Result<Entry, Reason> {
        let fields = header.as_old();
        let stored = size(number(&fields.size)?)?;
        let mut entry = Entry {
            kind: header.entry_type(),
            path: header.path_bytes().into_owned(),
            link: header.link_name_bytes().unwrap_or_default().into_owned(),
            // The bits above are the file's type again, in old archives.
            mode: u32::try_from(number(&fields.mode)? & 0o7777).unwrap_or(0),
            uid: id(number(&fields.uid)?)?,
            gid: id(number(&fields.gid)?)?,
            size: stored,
            modified: Timestamp {
                seconds: number(&fields.mtime)?,
                nanoseconds: 0,
            },
            device: device(header)?,
            xattrs: Vec::new(),
            stored,
            pieces: None,
        };
        let Extensions {
            records,
            long_path,
            long_link,
        } = extensions;
        let mut sparse_records = HashMap::new();
        for (key, value) in records {
            match key.strip_prefix(b"GNU.sparse.") {
                Some(key) => drop(sparse_records.insert(key.to_vec(), value)),
                None => entry.apply(&key, value)?,
            }
        }
        entry.xattrs.sort();
        entry.path = long_path.unwrap_or(entry.path);
        entry.link = long_link.unwrap_or(entry.link);
        entry.finish_kind(fields.linkflag[0] == 0)?;
        sparse::apply_records(&mut entry, &sparse_records)?;
        if entry.path.contains(&0) || entry.link.contains(&0) {
            return Err("NUL in a path");
        }
        Ok(entry)
    }

    /// Takes over a PAX record.
    fn apply(&mut self, key: &[u8], value: Vec<u8>) -> Result<(), Reason> {
        let number = || pax::number(&value).ok_or(MALFORMED_RECORD);
        match key {
            // An empty value takes back what a global header said, and those are not heeded.
            _ if value.is_empty() && !key.starts_with(pax::XATTR) => {}
            b"path" => self.path = value,
            b"linkpath" => self.link = value,
            b"uid" => self.uid = id(number()?)?,
            b"gid" => self.gid = id(number()?)?,
            b"size" => {
                self.stored = size(number()?)?;
                self.size = self.stored;
            }
            b"mtime" => self.modified = pax::time(&value).ok_or(MALFORMED_RECORD)?,
            _ => {
                if let Some(name) = key.strip_prefix(pax::XATTR) {
                    self.xattrs.push((name.to_vec(), value));
                }
            }
        }
        Ok(())
    }

    /// Brings the kinds of old and odd archives to those that are extracted.
    fn finish_kind(&mut self, old: bool) -> Result<(), Reason> {
        match self.kind {
            // Before there was a kind for directories, they were files with a slash at the end.
            EntryType::Regular if old && self.path.ends_with(b"/") => {
                self.kind = EntryType::Directory;
            }
            EntryType::Continuous => self.kind = EntryType::Regular,
            EntryType::Regular
            | EntryType::GNUSparse
            | EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo => {}
            _ => return Err("unknown kind of entry"),
        }
        if !matches!(self.kind, EntryType::Regular | EntryType::GNUSparse) {
            // Some archivers write the size of the file that a hard link leads to.
            (self.size, self.stored) = (0, 0);
        }
        Ok(())
    }
}

/// Reads octal digits among blanks, or the binary numbers GNU tar writes where those do not fit.
pub(super) fn number(field: &[u8]) -> Result<i64, Reason> {
    let malformed = "malformed number";
    if field[0] & 0x80 != 0 {
        // Two's complement in big endian; the highest bit is only the mark.
        let negative = field[0] & 0x40 != 0;
        let first = if negative { field[0] } else { field[0] & 0x7f };
        let start: i64 = if negative { -1 } else { 0 };
        let mut bytes = std::iter::once(first).chain(field[1..].iter().copied());
        let add = |number: i64, byte| Some(number.checked_mul(256)? | i64::from(byte));
        return bytes.try_fold(start, add).ok_or(malformed);
    }
    let end = field.iter().position(|byte| *byte == 0);
    let digits = field[..end.unwrap_or(field.len())].trim_ascii();
    if digits.is_empty() {
        return Ok(0);
    }
    let text = str::from_utf8(digits).map_err(|_| malformed)?;
    i64::from_str_radix(text, 8).map_err(|_| malformed)
}

pub(super) fn size(number: i64) -> Result<u64, Reason> {
    u64::try_from(number).map_err(|_| "negative size")
}

fn id(number: i64) -> Result<u32, Reason> {
    u32::try_from(number).map_err(|_| "user or group number out of range")
}

fn device(header: &Header) -> Result<(u32, u32), Reason> {
    let bytes = header.as_bytes();
    if !bytes[257..].starts_with(b"ustar") {
        return Ok((0, 0));
    }
    let part = |at: usize| {
        let number = number(&bytes[at..at + 8])?;
        u32::try_from(number).map_err(|_| "device number out of range")
    };
    Ok((part(329)?, part(337)?))
}

/// Brings a path to plain names, relative to the root, that `..` cannot leave.
pub(super) fn clean(path: &[u8]) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(path)).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn reads_numbers_in_digits_and_in_bytes() {
        for (field, expected) in [
            (b"0000644\0".as_slice(), 0o644),
            (b"   644 \0", 0o644),
            (b"644\0\0\0\0\0", 0o644),
            (b"\0\0\0\0\0\0\0\0", 0),
            (b"        ", 0),
            (b"77777777", 0o77_777_777),
            (b"\x80\0\0\0\0\x20\0\0", 0x20_0000),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
            (b"\x80\0\0\0\x01\0\0\0\0\0\0\0", 1 << 56),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", i64::MAX),
        ] {
            assert_eq!(number(field), Ok(expected), "{field:?}");
        }
        for field in [
            b"8\0\0\0\0\0\0\0".as_slice(),
            b"6 4\0\0\0\0\0",
            b"\x80\0\0\x01\0\0\0\0\0\0\0\0",
            b"\xc0\0\0\0\0\0\0\0\0\0\0\0",
        ] {
            assert!(number(field).is_err(), "{field:?}");
        }
    }
}
