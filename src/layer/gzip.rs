//! Gzip, a piece of the tar at a time.
//!
//! Each piece becomes a gzip member of its own: RFC 1952 allows many members in a file, and readers
//! of layers (Go, GNU gzip, zlib) take them as one.

use std::io;

use libdeflater::CompressionLvl;
use libdeflater::Compressor;
use libdeflater::Crc;

use crate::layer::literals;

/// RFC 1952: magic, deflate, no flags, no time, no hint about the level, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

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
