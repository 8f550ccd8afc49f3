//! Content digested in parts, as several threads can. The digest is that of a tree, whose branches
//! do not depend on each other.

use blake3::Hasher;
use blake3::hazmat::ChainingValue;
use blake3::hazmat::HasherExt;
use blake3::hazmat::Mode;
use blake3::hazmat::merge_subtrees_non_root;
use blake3::hazmat::merge_subtrees_root;

use crate::cache::ContentDigest;

/// What a part of some content adds to its digest.
#[derive(Clone, Copy, Debug)]
pub struct PartDigest(ChainingValue);

impl PartDigest {
    /// How long each part is but the last, which may be shorter: a power of two, as the branches
    /// of the tree, and so few that they stay in a processor's own cache.
    pub const BYTES: usize = 128 << 10;

    /// Digests the part of this number.
    ///
    /// # Panics
    /// If it is empty or too long.
    #[must_use]
    pub fn of(number: u64, part: &[u8]) -> Self {
        assert!((1..=Self::BYTES).contains(&part.len()));
        let mut hasher = Hasher::new();
        hasher.set_input_offset(number * Self::BYTES as u64);
        Self(hasher.update(part).finalize_non_root())
    }
}

impl ContentDigest {
    /// Gives the digest of content of which these are all parts, in order; none if there are not
    /// at least two.
    #[must_use]
    pub fn of_parts(parts: &[PartDigest]) -> Option<Self> {
        if parts.len() < 2 {
            return None;
        }
        let (left, right) = parts.split_at(left(parts));
        let root = merge_subtrees_root(&merge(left), &merge(right), Mode::Hash);
        Some(Self::from_bytes(root.into()))
    }
}

/// Merges the parts of a branch.
fn merge(parts: &[PartDigest]) -> ChainingValue {
    match parts {
        [part] => part.0,
        _ => {
            let (left, right) = parts.split_at(left(parts));
            merge_subtrees_non_root(&merge(left), &merge(right), Mode::Hash)
        }
    }
}

/// Gives how many of several parts are in the left branch: the most that make a power of two and
/// leave some.
fn left(parts: &[PartDigest]) -> usize {
    parts.len().next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use super::PartDigest;
    use crate::cache::ContentDigest;

    #[test]
    fn parts_have_the_digest_of_the_whole() {
        let words = (0_u32..).flat_map(u32::to_le_bytes);
        let bytes: Vec<u8> = words.take(9 * PartDigest::BYTES).collect();
        for whole in 0..9 {
            for more in [0, 1, 1024, PartDigest::BYTES - 1] {
                let bytes = &bytes[..whole * PartDigest::BYTES + more];
                let parts = (0..).zip(bytes.chunks(PartDigest::BYTES));
                let parts: Vec<_> = parts.map(|(n, part)| PartDigest::of(n, part)).collect();
                let expected = (parts.len() > 1).then(|| ContentDigest::of(bytes));
                assert_eq!(ContentDigest::of_parts(&parts), expected, "{}", bytes.len());
            }
        }
    }
}
