//! Where a tar is cut into pieces, each compressed for itself.
//!
//! A piece ends between two entries, at a place that the entries around it decide: when a file
//! changes, the pieces before it stay what they are, and those after it soon are again. So they
//! need not be compressed anew. Large files are cut inside, counted from their beginning.
//!
//! Where the cuts lie decides a blob's digest, so it depends on nothing but the entries.

use crate::layer::item::Item;

/// How many bytes of a large file make a piece, and how many a piece of several entries may have
/// (attributes apart).
pub(super) const PIECE_MAX: u64 = 1 << 20;

/// A piece of fewer bytes costs too much of what compression gains.
const PIECE_MIN: u64 = PIECE_MAX / 4;

/// After how many more bytes a piece ends on average.
const SPREAD: u64 = PIECE_MAX / 4;

/// Counts the bytes of a piece.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    bytes: u64,
}

impl Cutter {
    /// Says whether a piece ends before this entry, which then begins the next one.
    pub(super) fn ends_before(&mut self, item: &Item) -> bool {
        let next = item.usual_bytes();
        let together = self.bytes.saturating_add(next);
        let ends = self.bytes > 0
            && (together > PIECE_MAX || self.bytes >= PIECE_MIN && is_chosen(item, next));
        self.bytes = if ends { next } else { together };
        ends
    }

    /// Begins a piece that has so many bytes already.
    pub(super) fn restart(&mut self, bytes: u64) {
        self.bytes = bytes;
    }
}

/// Chooses entries by their paths, large ones more often.
fn is_chosen(item: &Item, bytes: u64) -> bool {
    // FNV-1a, with its bits mixed since those of similar names are similar: any function would do
    // that spreads and never changes.
    let path = item.header.path.iter();
    let hash = path.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed >> 32) % SPREAD < bytes
}

#[cfg(test)]
mod tests {
    use super::Cutter;
    use super::PIECE_MAX;
    use super::PIECE_MIN;
    use crate::layer::header::EntryHeader;
    use crate::layer::item::Item;
    use crate::layer::item::Source;

    fn item(number: u64, size: u64) -> Item {
        let mut header = EntryHeader::empty(format!("dir/{number}").into_bytes());
        header.size = size;
        Item {
            header,
            source: Source::Nothing,
        }
    }

    /// Gives the first entry of each piece.
    fn cuts(sizes: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut cutter = Cutter::default();
        let numbered = (0..).zip(sizes);
        let first = numbered.filter(|(number, size)| cutter.ends_before(&item(*number, *size)));
        first.map(|(number, _)| number).collect()
    }

    #[test]
    fn a_change_moves_few_cuts() {
        let sizes = |number: u64| 3000 + number * 7919 % 20_000;
        let before = cuts((0..3000).map(sizes));
        let changed = |number| if number == 700 { 90_000 } else { sizes(number) };
        let after = cuts((0..3000).map(changed));
        assert!(before.len() > 30, "{}", before.len());
        let moved = after.iter().filter(|cut| !before.contains(cut)).count();
        assert!(moved <= 4, "{moved} of {}", after.len());
    }

    #[test]
    fn pieces_have_their_sizes() {
        let sizes = |number: u64| number * 7919 % 20_000;
        let cuts = cuts((0..3000).map(sizes));
        for pair in cuts.windows(2) {
            let bytes: u64 = (pair[0]..pair[1])
                .map(|number| item(number, sizes(number)).usual_bytes())
                .sum();
            assert!((PIECE_MIN..=PIECE_MAX).contains(&bytes), "{bytes}");
        }
    }
}
