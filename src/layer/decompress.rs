//! A blob into tar bytes: what a layer or an archive is compressed with shows in its first bytes.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Chain;
use std::io::Cursor;
use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use crate::layer::entries::Entries;
use crate::layer::members::Members;

/// The longest magic number there is here.
const MAGIC_MAX: usize = 6;

const BUFFER: usize = 128 << 10;

/// How far back zstd may reach: 512 MiB, as with BuildKit.
const ZSTD_WINDOW_LOG: u32 = 29;

/// A blob with its first bytes put back.
type Whole<R> = BufReader<Chain<Cursor<Vec<u8>>, R>>;

/// What a blob holds.
type Tar<'a> = Box<dyn Read + Send + 'a>;

/// Reads what a blob holds, decompressed if it is gzip, bzip2, xz or zstd.
pub fn decompress<'a>(blob: impl Read + Send + 'a) -> io::Result<Tar<'a>> {
    // A file of many members, as our own layers are, is read as one.
    by_magic(blob, |whole| Box::new(MultiGzDecoder::new(whole)))
}

/// The same for a blob of which the digest of what it holds is known, and will be compared: where
/// a member ends is then found out faster than is quite sure.
pub(super) fn decompress_checked<'a>(blob: impl Read + Send + 'a) -> io::Result<Tar<'a>> {
    by_magic(blob, |whole| Box::new(Members::new(whole)))
}

fn by_magic<'a, R: Read + Send + 'a>(
    mut blob: R,
    gzip: impl FnOnce(Whole<R>) -> Tar<'a>,
) -> io::Result<Tar<'a>> {
    let mut head = Vec::with_capacity(MAGIC_MAX);
    (&mut blob).take(MAGIC_MAX as u64).read_to_end(&mut head)?;
    let magic = head.clone();
    let whole = BufReader::with_capacity(BUFFER, Cursor::new(head).chain(blob));
    Ok(match magic.as_slice() {
        [0x1f, 0x8b, 8, ..] => gzip(whole),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(whole)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(whole))
        }
        // A frame, or a skippable one before it.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Box::new(unzstd(whole)?)
        }
        _ => Box::new(whole),
    })
}

/// Reads zstd; what it may reach back to is in memory.
fn unzstd<R: BufRead>(packed: R) -> io::Result<zstd::Decoder<'static, R>> {
    let mut decoder = zstd::Decoder::with_buffer(packed)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
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
