//! Runs of one byte, which repeat the byte before them.

use std::ops::Range;

/// A shorter run may stay one of literals.
const RUN_MIN: usize = 8;

/// RFC 1951, 3.2.5.
const REPEAT_MIN: usize = 3;
const REPEAT_MAX: usize = 258;

/// Literals, and then so many times the last of them once more.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) literals: Range<usize>,
    repeats: usize,
}

/// The length of a repetition: its symbol, and the number that follows with its bits.
#[derive(Debug)]
pub(super) struct Length {
    pub(super) symbol: usize,
    pub(super) extra: (u64, u32),
}

/// Divides a part of the input into literals and runs.
pub(super) fn segments(input: &[u8], from: usize, to: usize) -> Vec<Segment> {
    let mut segments = Vec::new();
    let (mut start, mut at) = (from, from);
    while at + RUN_MIN <= to {
        let word: [u8; RUN_MIN] = *input[at..to].first_chunk().expect("so many are left");
        if u64::from_ne_bytes(word) != u64::from_ne_bytes([word[0]; RUN_MIN]) {
            at += RUN_MIN;
            continue;
        }
        let is_same = |byte: &&u8| **byte == word[0];
        at += 1;
        let mut repeats = input[at..to].iter().take_while(is_same).count();
        // What is too short for a repetition is left to the literals.
        let last = repeats % REPEAT_MAX;
        if last < REPEAT_MIN {
            repeats -= last;
        }
        segments.push(Segment {
            literals: start..at,
            repeats,
        });
        at += repeats;
        start = at;
    }
    segments.push(Segment {
        literals: start..to,
        repeats: 0,
    });
    segments
}

impl Segment {
    /// Gives the repetitions it ends with.
    pub(super) fn lengths(&self) -> impl Iterator<Item = Length> {
        let whole = std::iter::repeat_n(REPEAT_MAX, self.repeats / REPEAT_MAX);
        let last = Some(self.repeats % REPEAT_MAX).filter(|last| *last > 0);
        whole.chain(last).map(length)
    }
}

/// RFC 1951, 3.2.5: above the first eight, each symbol stands for two, four, ... lengths, four
/// symbols for as many each.
fn length(repeats: usize) -> Length {
    let beyond = repeats - REPEAT_MIN;
    if repeats == REPEAT_MAX {
        return Length {
            symbol: 285,
            extra: (0, 0),
        };
    }
    if beyond < 8 {
        return Length {
            symbol: 257 + beyond,
            extra: (0, 0),
        };
    }
    let bits = beyond.ilog2() - 2;
    Length {
        symbol: 257 + 4 * bits as usize + (beyond >> bits),
        extra: ((beyond & ((1 << bits) - 1)) as u64, bits),
    }
}
