//! Gzip, a piece of the tar at a time.
//!
//! Each piece becomes a gzip member of its own: RFC 1952 allows many members in a file, and readers
//! of layers (Go, GNU gzip, zlib) take them as one.

use std::io;

use libdeflater::CompressionLvl;
use libdeflater::Compressor;
use libdeflater::Crc;
use libdeflater::Decompressor;
use libdeflater::crc32;

use crate::layer::literals;

/// RFC 1952: magic, deflate, no flags, no time, no hint about the level, unknown system.
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// No member of ours is larger, before or after, unless files in it have very long attributes.
pub(super) const MEMBER_MAX: usize = 2 << 20;

/// Checks a level of compression.
pub(super) fn level(level: u8) -> io::Result<CompressionLvl> {
    CompressionLvl::new(level.into()).map_err(|_| {
        let text = format!("gzip has levels from 1 to 12, not {level}");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}

/// Writes `input` as a member into the empty buffer `out`.
pub(super) fn compress(compressor: &mut Compressor, input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&HEADER);
    if literals::has_few_repetitions(input) {
        literals::deflate(input, out);
    } else {
        deflate(compressor, input, out);
    }
    let mut crc = Crc::new();
    crc.update(input);
    let size = u32::try_from(input.len()).expect("a piece is smaller than 4 GiB");
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&size.to_le_bytes());
}

fn deflate(compressor: &mut Compressor, input: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let bound = compressor.deflate_compress_bound(input.len());
    out.resize(start + bound, 0);
    let length = compressor.deflate_compress(input, &mut out[start..]);
    let length = length.expect("the buffer has the size the library asks for");
    out.truncate(start + length);
}

/// Puts what a member holds in place of what is in `out`; none if it is no member as we write them,
/// or a damaged one.
pub(super) fn decompress(
    decompressor: &mut Decompressor,
    member: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    let body = member.strip_prefix(&HEADER)?;
    let (body, size) = body.split_last_chunk()?;
    let (body, sum) = body.split_last_chunk()?;
    let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
    if size > MEMBER_MAX {
        return None;
    }
    out.resize(size, 0);
    let length = decompressor.deflate_decompress(body, out).ok()?;
    let is_whole = length == size && crc32(out) == u32::from_le_bytes(*sum);
    is_whole.then_some(())
}
