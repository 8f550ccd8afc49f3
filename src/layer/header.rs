//! Entry headers as Go's `archive/tar` writes them when asked for PAX.
//!
//! The same header means the same layer digest as BuildKit's, so the rules are Go's: plain ustar
//! where all fits, else a PAX header before it, never GNU's own extensions.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;

use tar::EntryType;
use tar::Header;

use crate::layer::attribute::Attributes;
use crate::sys::FileKind;
use crate::sys::Stat;

/// One block of a tar.
pub(super) const BLOCK: usize = 512;

const NAME_MAX: usize = 100;
const PREFIX_MAX: usize = 155;

/// What is written ahead of a file's content.
#[derive(Debug, Clone)]
pub(super) struct EntryHeader {
    /// What the entry is.
    pub(super) kind: EntryType,
    /// The path, relative, with a slash at the end of a directory's.
    pub(super) path: Vec<u8>,
    /// Where a link leads; else empty.
    pub(super) link: Vec<u8>,
    /// The low twelve mode bits.
    pub(super) mode: u32,
    /// The user's number.
    pub(super) uid: u32,
    /// The group's number.
    pub(super) gid: u32,
    /// How many bytes of content follow.
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) mtime: i64,
    /// The major and minor number of a device.
    pub(super) device: (u32, u32),
    /// Extended attributes by name.
    pub(super) xattrs: Attributes,
}

impl EntryHeader {
    /// Makes the header of an empty file that nobody owns, as a whiteout is.
    pub(super) fn empty(path: Vec<u8>) -> Self {
        Self {
            kind: EntryType::Regular,
            path,
            link: Vec::new(),
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: 0,
            device: (0, 0),
            xattrs: Vec::new(),
        }
    }

    /// Makes the header of a file from its metadata. A link's target and attributes are to be added.
    pub(super) fn of(mut path: Vec<u8>, stat: &Stat, newest: i64) -> Self {
        if stat.is_dir() {
            path.push(b'/');
        }
        Self {
            kind: entry_type(stat.kind),
            mode: stat.mode,
            uid: stat.owner.uid,
            gid: stat.owner.gid,
            size: if stat.kind == FileKind::File {
                stat.size
            } else {
                0
            },
            mtime: stat.modified.seconds.min(newest),
            device: stat.device,
            ..Self::empty(path)
        }
    }

    /// Makes it that of a hard link to another entry.
    pub(super) fn become_link(&mut self, first: Vec<u8>) {
        self.kind = EntryType::Link;
        self.link = first;
        self.size = 0;
    }

    /// Gives the blocks that stand before the content.
    pub(super) fn encode(&self) -> Vec<u8> {
        let records = self.records();
        let split = split_path(&self.path);
        let long = self.path.len() > NAME_MAX || !is_ascii(&self.path);
        // The only record that ustar can do without is the path of a name it can split.
        let fits = records
            .keys()
            .all(|key| key == b"path" && (!long || split.is_some()));
        let mut blocks = Vec::with_capacity(BLOCK);
        let mut header = self.fixed_fields();
        let ustar = header.as_ustar_mut().expect("made as ustar");
        match split {
            Some((prefix, name)) if fits => {
                put_text(&mut ustar.prefix, prefix);
                put_text(&mut ustar.name, name);
            }
            _ => put_text(&mut ustar.name, &ascii(&self.path)),
        }
        if !fits {
            self.encode_records(&records, &mut blocks);
        }
        put_checksum(&mut header);
        blocks.extend_from_slice(header.as_bytes());
        blocks
    }

    fn fixed_fields(&self) -> Header {
        let mut header = Header::new_ustar();
        header.set_entry_type(self.kind);
        let ustar = header.as_ustar_mut().expect("made as ustar");
        put_text(&mut ustar.linkname, &ascii(&self.link));
        put_number(&mut ustar.mode, i64::from(self.mode));
        put_number(&mut ustar.uid, i64::from(self.uid));
        put_number(&mut ustar.gid, i64::from(self.gid));
        put_number(&mut ustar.size, self.size.cast_signed());
        put_number(&mut ustar.mtime, self.mtime);
        put_number(&mut ustar.dev_major, i64::from(self.device.0));
        put_number(&mut ustar.dev_minor, i64::from(self.device.1));
        header
    }

    /// Everything the fixed fields have no room for, in the order it is written.
    fn records(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut records = BTreeMap::new();
        let mut texts = |key: &str, text: &[u8]| {
            if text.len() > NAME_MAX || !is_ascii(text) {
                records.insert(key.as_bytes().to_vec(), text.to_vec());
            }
        };
        texts("path", &self.path);
        texts("linkpath", &self.link);
        let mut numbers = |key: &str, field: usize, number: i64| {
            if !fits_octal(field, number) {
                records.insert(key.as_bytes().to_vec(), number.to_string().into_bytes());
            }
        };
        numbers("uid", 8, i64::from(self.uid));
        numbers("gid", 8, i64::from(self.gid));
        numbers("size", 12, self.size.cast_signed());
        numbers("mtime", 12, self.mtime);
        for (key, value) in &self.xattrs {
            records.insert([b"SCHILY.xattr.", key.as_bytes()].concat(), value.clone());
        }
        records
    }

    fn encode_records(&self, records: &BTreeMap<Vec<u8>, Vec<u8>>, blocks: &mut Vec<u8>) {
        let mut data = Vec::new();
        for (key, value) in records {
            put_record(&mut data, key, value);
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        let ustar = header.as_ustar_mut().expect("made as ustar");
        put_text(&mut ustar.name, &self.records_name());
        for field in [&mut ustar.mode, &mut ustar.uid, &mut ustar.gid] {
            put_number(field, 0);
        }
        put_number(
            &mut ustar.size,
            i64::try_from(data.len()).expect("a buffer is smaller"),
        );
        put_number(&mut ustar.mtime, 0);
        put_checksum(&mut header);
        blocks.extend_from_slice(header.as_bytes());
        blocks.extend_from_slice(&data);
        blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
    }

    /// Where the PAX records seem to lie, for readers that take them for a file.
    fn records_name(&self) -> Vec<u8> {
        let slash = self.path.iter().rposition(|byte| *byte == b'/');
        let (dir, file) = self.path.split_at(slash.map_or(0, |at| at + 1));
        let mut name = [dir, b"PaxHeaders.0/", file].concat();
        if file.is_empty() {
            name.pop();
        }
        let mut name = ascii(&name);
        name.truncate(NAME_MAX);
        while name.last() == Some(&b'/') {
            name.pop();
        }
        name
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

/// Splits a long path into the two fields ustar has for it, at the last slash that suits both.
fn split_path(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME_MAX || !is_ascii(path) {
        return None;
    }
    let mut length = path.len();
    if length > PREFIX_MAX + 1 {
        length = PREFIX_MAX + 1;
    } else if path.ends_with(b"/") {
        length -= 1;
    }
    let slash = path[..length].iter().rposition(|byte| *byte == b'/')?;
    let name = &path[slash + 1..];
    let suits = slash > 0 && slash <= PREFIX_MAX && !name.is_empty() && name.len() <= NAME_MAX;
    suits.then_some((&path[..slash], name))
}

/// Writes `length key=value\n`, where the length counts its own digits.
fn put_record(data: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    // Its own digits may make the number one digit longer.
    length = rest + length.to_string().len();
    data.extend_from_slice(length.to_string().as_bytes());
    for part in [b" ".as_slice(), key, b"=", value, b"\n"] {
        data.extend_from_slice(part);
    }
}

fn is_ascii(text: &[u8]) -> bool {
    text.is_ascii()
}

/// Leaves out what is not ASCII.
fn ascii(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii).collect()
}

fn put_text(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field.fill(0);
    field[..length].copy_from_slice(&text[..length]);
    // Some readers take a file for a directory if the cut leaves a slash at the end.
    if text.len() > field.len() && field.ends_with(b"/") {
        let kept = field.iter().rposition(|byte| *byte != b'/');
        field[kept.map_or(0, |at| at + 1)..].fill(0);
    }
}

fn fits_octal(field: usize, number: i64) -> bool {
    let bits = (field - 1) * 3;
    number >= 0 && number >> bits == 0
}

/// Writes zero where the number does not fit: a PAX record then has it.
fn put_number(field: &mut [u8], number: i64) {
    let number = if fits_octal(field.len(), number) {
        number
    } else {
        0
    };
    let digits = format!("{number:0width$o}\0", width = field.len() - 1);
    field.copy_from_slice(digits.as_bytes());
}

/// Six digits, a NUL and a blank, unlike all other numbers.
fn put_checksum(header: &mut Header) {
    let field = 148..156;
    header.as_mut_bytes()[field.clone()].fill(b' ');
    let sum: u32 = header.as_bytes().iter().map(|byte| u32::from(*byte)).sum();
    let digits = format!("{sum:06o}\0 ");
    header.as_mut_bytes()[field].copy_from_slice(digits.as_bytes());
}
