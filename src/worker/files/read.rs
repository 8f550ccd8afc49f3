//! The digest of a file: a small one by the thread that asks, a large one by all.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rayon::prelude::*;

use crate::cache::ContentDigest;
use crate::cache::ContentHasher;
use crate::cache::PartDigest;

/// How much of a file one thread reads at a time.
const BUFFER_BYTES: usize = 128 << 10;

/// From this size on a file is worth waking other threads for.
const LARGE_BYTES: u64 = 8 << 20;

/// Digests a file's content, its length and `more`; `size` is how large it seems to be.
pub(super) fn digest_file(file: &File, size: u64, more: &[u8]) -> io::Result<ContentDigest> {
    if size >= LARGE_BYTES
        && let Some(digest) = digest_shared(file, size, more)?
    {
        return Ok(digest);
    }
    digest_alone(file, size, more)
}

fn digest_alone(file: &File, size: u64, more: &[u8]) -> io::Result<ContentDigest> {
    let mut hasher = ContentHasher::new();
    // One byte more shows the end of a file that is as large as it seems.
    let length = usize::try_from(size).map_or(BUFFER_BYTES, |size| BUFFER_BYTES.min(size + 1));
    let mut buffer = vec![0; length];
    let mut total = 0;
    loop {
        let count = read_full(file, &mut buffer, total)?;
        hasher.update(&buffer[..count]);
        total += count as u64;
        if count < buffer.len() {
            break;
        }
    }
    hasher.update(&total.to_le_bytes());
    hasher.update(more);
    Ok(hasher.finish())
}

/// The same on all threads; none if the file is not as large as it seems.
fn digest_shared(file: &File, size: u64, more: &[u8]) -> io::Result<Option<ContentDigest>> {
    let end = [&size.to_le_bytes(), more].concat();
    let length = size + end.len() as u64;
    let digest = |buffer: &mut Vec<u8>, number: u64| {
        let offset = number * PartDigest::BYTES as u64;
        let left = |to: u64| usize::try_from(to.saturating_sub(offset)).unwrap_or(usize::MAX);
        let part = &mut buffer[..left(length).min(PartDigest::BYTES)];
        let (content, behind) = part.split_at_mut(left(size).min(part.len()));
        if read_full(file, content, offset)? < content.len() {
            return Ok(None);
        }
        let of_end = &end[end.len() - left(length).min(end.len())..];
        behind.copy_from_slice(&of_end[..behind.len()]);
        Ok(Some(PartDigest::of(number, part)))
    };
    let parts = (0..length.div_ceil(PartDigest::BYTES as u64)).into_par_iter();
    let parts = parts.map_init(|| vec![0; PartDigest::BYTES], digest);
    let parts: Option<Vec<PartDigest>> = parts.collect::<io::Result<_>>()?;
    let has_grown = read_full(file, &mut [0], size)? > 0;
    let parts = parts.filter(|_| !has_grown);
    Ok(parts.and_then(|parts| ContentDigest::of_parts(&parts)))
}

/// Reads until the buffer is full or the file ends; gives how much was read.
fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], offset + length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::BUFFER_BYTES;
    use super::digest_alone;
    use super::digest_shared;

    #[test]
    fn all_threads_digest_a_file_as_one_does() {
        let words = (0_u32..).flat_map(u32::to_le_bytes);
        let bytes: Vec<u8> = words.take(3 * BUFFER_BYTES).collect();
        let long = "x".repeat(2 * BUFFER_BYTES);
        for length in [BUFFER_BYTES - 4, BUFFER_BYTES, bytes.len()] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes[..length]).unwrap();
            let size = length as u64;
            for more in [b"and more".as_slice(), long.as_bytes()] {
                let expected = digest_alone(&file, size, more).unwrap();
                let shared = digest_shared(&file, size, more).unwrap();
                assert_eq!(shared, Some(expected), "{length}");
                // It grew or shrank since it was asked for its size.
                assert_eq!(digest_alone(&file, size / 2, more).unwrap(), expected);
                for other in [size - 1, size + 1] {
                    assert_eq!(digest_shared(&file, other, more).unwrap(), None);
                }
            }
        }
    }
}
