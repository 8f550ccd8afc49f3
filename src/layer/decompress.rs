//! A blob into tar bytes: what a layer or an archive is compressed with shows in its first bytes.

use std::io;
use std::io::BufReader;
use std::io::Cursor;
use std::io::Read;

use crate::layer::entries::Entries;

/// The longest magic number there is here.
const MAGIC_MAX: usize = 6;

const BUFFER: usize = 128 << 10;

/// Reads what a blob holds, decompressed if it is gzip, bzip2, xz or zstd.
pub fn decompress<'a>(mut blob: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut head = Vec::with_capacity(MAGIC_MAX);
    (&mut blob).take(MAGIC_MAX as u64).read_to_end(&mut head)?;
    let magic = head.clone();
    let whole = BufReader::with_capacity(BUFFER, Cursor::new(head).chain(blob));
    Ok(match magic.as_slice() {
        // A file of many members, as our own layers are, is read as one.
        [0x1f, 0x8b, 8, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(whole)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(whole))
        }
        // A frame, or a skippable one before it.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Box::new(zstd::stream::read::Decoder::with_buffer(whole)?)
        }
        _ => Box::new(whole),
    })
}

/// Tells whether a file is a tar, compressed or not: whether it can be read up to a first entry.
///
/// Its name does not count, and a compressed file of another kind is none.
#[must_use]
pub fn is_archive(file: impl Read + Send) -> bool {
    let Ok(tar) = decompress(file) else {
        return false;
    };
    matches!(Entries::new(BufReader::new(tar)).next(), Ok(Some(_)))
}
