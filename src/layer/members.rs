//! A blob of gzip members as our own layers are, decompressed a member at a time.
//!
//! To decompress a member as a whole takes half as long as to do so from one buffer to the next.
//! Where a member ends is not written in it, so the next one's header is searched for; what comes
//! out is held against the member's checksum. From the first member on that is another one's, is
//! too large, or is not what it seems, the blob is read as any other.

use std::io;
use std::io::BufRead;
use std::io::Cursor;
use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use libdeflater::Decompressor;

use crate::layer::gzip;

/// How many zeros there are in a row in a header, and where the first is.
const ZEROS: usize = 6;
const ZEROS_AT: usize = 3;

/// Reads such a blob.
pub(super) struct Members<R> {
    /// None once another reader took over.
    blob: Option<R>,
    /// What was read of the blob, and where the next member begins in it: what lies before is
    /// dropped only when more is read, since many members may have come at once.
    read: Vec<u8>,
    from: usize,
    decompressor: Decompressor,
    tar: Vec<u8>,
    at: usize,
    rest: Option<MultiGzDecoder<io::Chain<Cursor<Vec<u8>>, R>>>,
}

impl<R: BufRead> Members<R> {
    pub(super) fn new(blob: R) -> Self {
        Self {
            blob: Some(blob),
            read: Vec::new(),
            from: 0,
            decompressor: Decompressor::new(),
            tar: Vec::new(),
            at: 0,
            rest: None,
        }
    }

    /// Decompresses the next member, or leaves it and all others to another reader; says whether
    /// there is any.
    fn next(&mut self) -> io::Result<bool> {
        let Some(length) = self.length()? else {
            self.hand_over();
            return Ok(true);
        };
        if length == 0 {
            return Ok(false);
        }
        let member = &self.read[self.from..self.from + length];
        match gzip::decompress(&mut self.decompressor, member, &mut self.tar) {
            Some(()) => {
                self.at = 0;
                self.from += length;
            }
            None => self.hand_over(),
        }
        Ok(true)
    }

    /// Reads the next member and tells its length; none if it is too large.
    fn length(&mut self) -> io::Result<Option<usize>> {
        let mut from = gzip::HEADER.len();
        loop {
            let read = &self.read[self.from..];
            if let Some(found) = read.get(from..).and_then(find_header) {
                return Ok(Some(from + found));
            }
            if read.len() > gzip::MEMBER_MAX {
                return Ok(None);
            }
            // A header may have come in part.
            from = from.max(read.len().saturating_sub(gzip::HEADER.len() - 1));
            let Some(blob) = &mut self.blob else {
                return Ok(None);
            };
            let more = blob.fill_buf()?;
            if more.is_empty() {
                return Ok(Some(read.len()));
            }
            self.read.drain(..std::mem::take(&mut self.from));
            self.read.extend_from_slice(more);
            let taken = more.len();
            blob.consume(taken);
        }
    }

    fn hand_over(&mut self) {
        let mut read = Cursor::new(std::mem::take(&mut self.read));
        read.set_position(self.from as u64);
        let blob = self.blob.take();
        self.rest = blob.map(|blob| MultiGzDecoder::new(read.chain(blob)));
        self.tar.clear();
        self.at = 0;
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(rest) = &mut self.rest {
                return rest.read(buffer);
            }
            let left = &self.tar[self.at..];
            if !left.is_empty() {
                let length = left.len().min(buffer.len());
                buffer[..length].copy_from_slice(&left[..length]);
                self.at += length;
                return Ok(length);
            }
            if !self.next()? {
                return Ok(0);
            }
        }
    }
}

/// Finds the first header. One of its zeros lies at a multiple of their number, so that few bytes
/// have to be looked at.
fn find_header(bytes: &[u8]) -> Option<usize> {
    let looked_at = (0..bytes.len()).step_by(ZEROS);
    let mut zeros = looked_at.filter(|at| bytes[*at] == 0);
    zeros.find_map(|at| {
        let from = at.saturating_sub(ZEROS_AT + ZEROS - 1);
        let to = bytes.len().min(at + gzip::HEADER.len() - ZEROS_AT);
        let mut windows = bytes.get(from..to)?.windows(gzip::HEADER.len());
        let found = windows.position(|window| window == gzip::HEADER)?;
        Some(from + found)
    })
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;
    use std::io::Read;
    use std::io::Write;

    use libdeflater::CompressionLvl;
    use libdeflater::Compressor;

    use super::Members;
    use super::find_header;
    use crate::layer::gzip;

    fn ours(parts: &[&[u8]]) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::default());
        let mut blob = Vec::new();
        for part in parts {
            let mut member = Vec::new();
            gzip::compress(&mut compressor, part, &mut member);
            blob.extend(member);
        }
        blob
    }

    fn others(part: &[u8]) -> Vec<u8> {
        let builder = flate2::GzBuilder::new().mtime(7).filename("name");
        let mut encoder = builder.write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    }

    fn read(blob: &[u8], buffer: usize) -> std::io::Result<Vec<u8>> {
        let mut tar = Vec::new();
        let mut reader = Members::new(BufReader::with_capacity(buffer, blob));
        reader.read_to_end(&mut tar).map(|_| tar)
    }

    #[test]
    fn reads_members_of_any_origin() {
        let long = vec![0; 3 << 20];
        let cube = |n: u32| n.wrapping_pow(3).wrapping_mul(0x9e37_79b9) >> 8;
        let large: Vec<u8> = (0..800_000).flat_map(|n| cube(n).to_le_bytes()).collect();
        let headers = gzip::HEADER.repeat(3);
        let blobs = [
            (vec![], vec![]),
            (ours(&[b""]), vec![]),
            (ours(&[b"one", b"", b"two"]), b"onetwo".to_vec()),
            (ours(&[b"".as_slice(); 3000]), vec![]),
            (
                [ours(&[b"one".as_slice(); 3000]), others(b"two")].concat(),
                [b"one".repeat(3000), b"two".to_vec()].concat(),
            ),
            (ours(&[&headers, b"x"]), [headers.as_slice(), b"x"].concat()),
            (ours(&[&large, b"x"]), [large.as_slice(), b"x"].concat()),
            (ours(&[b"x", &long]), [b"x", long.as_slice()].concat()),
            (
                [ours(&[b"one"]), others(b"two"), ours(&[b"3"])].concat(),
                b"onetwo3".to_vec(),
            ),
            (
                [others(b"one"), ours(&[b"two"])].concat(),
                b"onetwo".to_vec(),
            ),
        ];
        for (blob, expected) in blobs {
            for buffer in [7, 4096] {
                assert!(read(&blob, buffer).unwrap() == expected, "{}", blob.len());
            }
        }
    }

    #[test]
    fn what_is_damaged_or_cut_off_is_an_error() {
        let blob = ours(&[b"some bytes", b"and more"]);
        for length in 1..blob.len() {
            let cut = read(&blob[..length], 5);
            assert!(
                cut.is_err() || length == ours(&[b"some bytes"]).len(),
                "{length}"
            );
        }
        for at in [12, blob.len() - 2] {
            let mut damaged = blob.clone();
            damaged[at] ^= 1;
            assert!(read(&damaged, 4096).is_err(), "{at}");
        }
    }

    #[test]
    fn finds_headers_wherever_they_are() {
        for before in 0..30 {
            let bytes = [vec![0; before], gzip::HEADER.to_vec(), vec![0; 3]].concat();
            assert_eq!(find_header(&bytes), Some(before));
            assert_eq!(find_header(&bytes[..before + 9]), None);
        }
    }
}
