//! Deflate without a search for repetitions, for bytes that have none.
//!
//! Text in base 16 or 64, keys, pictures and what is compressed already gain nothing from that
//! search, which is most of a compressor's work. Here bytes are only written by codes as long as
//! they are rare, and as they are where that saves nothing. Of repetitions those of a single byte
//! are made use of, since the padding of a tar consists of them.

mod bits;
mod huffman;
mod runs;
mod sample;

use crate::layer::literals::bits::Bits;
use crate::layer::literals::huffman::Code;
use crate::layer::literals::huffman::lengths;
use crate::layer::literals::runs::Segment;
use crate::layer::literals::runs::segments;

pub(super) use crate::layer::literals::sample::has_few_repetitions;

/// How many bytes are written by one set of codes. A block that is written as it is can be no
/// longer than 65,535 bytes.
const BLOCK: usize = 60 << 10;

/// RFC 1951, 3.2.5: bytes, the end of the block, and lengths of repetitions.
const SYMBOLS: usize = 286;
const END: usize = 256;

/// Four codes of this length and what is left of a byte fit into 64 bits; RFC 1951 allows 15.
const CODE_MAX: u8 = 14;

/// RFC 1951, 3.2.7: the order in which the lengths of the codes for lengths are written.
const LENGTHS_ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
const LENGTHS_CODE_MAX: u8 = 7;

/// Adds `input` to `out` as a whole deflate stream.
pub(super) fn deflate(input: &[u8], out: &mut Vec<u8>) {
    let mut bits = Bits::new(out);
    let mut at = 0;
    loop {
        let end = input.len().min(at + BLOCK);
        let is_last = end == input.len();
        put_block(&mut bits, input, (at, end), is_last);
        if is_last {
            break;
        }
        at = end;
    }
    bits.finish();
}

/// Writes a block, in the shorter of the two ways.
fn put_block(bits: &mut Bits<'_>, input: &[u8], (from, to): (usize, usize), is_last: bool) {
    let segments = segments(input, from, to);
    let counts = count(input, &segments);
    let codes = Codes::new(&counts);
    if codes.bits(&counts, &segments) < 8 * (to - from) as u64 {
        bits.reserve(2 * (to - from) + 1024);
        bits.put(u64::from(is_last) | 0b10 << 1, 3);
        codes.put(bits);
        put_segments(bits, &codes.symbols, input, &segments);
    } else {
        bits.put(u64::from(is_last), 3);
        bits.put_bytes(&input[from..to]);
    }
}

/// Counts how often each symbol is written.
fn count(input: &[u8], segments: &[Segment]) -> [u32; SYMBOLS] {
    // Neighbours are often equal: counting them in turns keeps one from waiting for the other.
    let mut lanes = [[0_u32; 256]; 4];
    let mut counts = [0; SYMBOLS];
    for segment in segments {
        let literals = &input[segment.literals.clone()];
        let mut fours = literals.chunks_exact(4);
        for four in &mut fours {
            for (lane, byte) in lanes.iter_mut().zip(four) {
                lane[usize::from(*byte)] += 1;
            }
        }
        for byte in fours.remainder() {
            lanes[0][usize::from(*byte)] += 1;
        }
        for length in segment.lengths() {
            counts[length.symbol] += 1;
        }
    }
    for lane in lanes {
        counts
            .iter_mut()
            .zip(lane)
            .for_each(|(sum, more)| *sum += more);
    }
    counts[END] = 1;
    counts
}

fn put_segments(bits: &mut Bits<'_>, codes: &[Code], input: &[u8], segments: &[Segment]) {
    let bytes: &[Code; 256] = codes
        .first_chunk()
        .expect("there are more symbols than bytes");
    for segment in segments {
        let mut fours = input[segment.literals.clone()].chunks_exact(4);
        for four in &mut fours {
            for byte in four {
                bits.add(bytes[usize::from(*byte)]);
            }
            bits.flush();
        }
        for byte in fours.remainder() {
            bits.put_code(bytes[usize::from(*byte)]);
        }
        for length in segment.lengths() {
            bits.put_code(codes[length.symbol]);
            bits.put(length.extra.0, length.extra.1);
            // The only distance there is: that of the byte before.
            bits.put(0, 1);
        }
    }
    bits.put_code(codes[END]);
}

/// The codes of a block, and how they are written.
struct Codes {
    symbols: Vec<Code>,
    /// The lengths of the codes, in the symbols that RFC 1951, 3.2.7, has for them, with what
    /// follows these.
    lengths: Vec<(usize, (u64, u32))>,
    lengths_codes: Vec<Code>,
}

impl Codes {
    fn new(counts: &[u32; SYMBOLS]) -> Self {
        let mut all = lengths(counts, CODE_MAX);
        let symbols = huffman::codes(&all);
        // One distance is a code of one bit.
        all.push(1);
        let lengths_used = pack_lengths(&all);
        let mut counts = [0; LENGTHS_ORDER.len()];
        for (symbol, _) in &lengths_used {
            counts[*symbol] += 1;
        }
        let lengths_codes = huffman::codes(&lengths(&counts, LENGTHS_CODE_MAX));
        Self {
            symbols,
            lengths: lengths_used,
            lengths_codes,
        }
    }

    /// How many bits a block takes with them.
    fn bits(&self, counts: &[u32; SYMBOLS], segments: &[Segment]) -> u64 {
        let symbols = counts.iter().zip(&self.symbols);
        let symbols: u64 = symbols
            .map(|(count, code)| u64::from(*count) * u64::from(code.length))
            .sum();
        let repetitions = segments.iter().flat_map(Segment::lengths);
        let repetitions: u64 = repetitions
            .map(|length| u64::from(length.extra.1) + 1)
            .sum();
        let lengths = self.lengths.iter();
        let lengths: u64 = lengths
            .map(|(symbol, extra)| {
                u64::from(self.lengths_codes[*symbol].length) + u64::from(extra.1)
            })
            .sum();
        symbols + repetitions + lengths + 3 + 14 + 3 * LENGTHS_ORDER.len() as u64
    }

    fn put(&self, bits: &mut Bits<'_>) {
        bits.put((SYMBOLS - 257) as u64, 5);
        bits.put(0, 5);
        bits.put((LENGTHS_ORDER.len() - 4) as u64, 4);
        for symbol in LENGTHS_ORDER {
            bits.put(self.lengths_codes[symbol].length.into(), 3);
        }
        for (symbol, extra) in &self.lengths {
            bits.put_code(self.lengths_codes[*symbol]);
            bits.put(extra.0, extra.1);
        }
    }
}

/// Shortens zeros that follow each other: most bytes may not occur at all.
fn pack_lengths(lengths: &[u8]) -> Vec<(usize, (u64, u32))> {
    let mut packed = Vec::with_capacity(lengths.len());
    let mut rest = lengths;
    while let Some(first) = rest.first() {
        let zeros = rest.iter().take(138).take_while(|length| **length == 0);
        let (taken, symbol) = match zeros.count() {
            zeros @ 11.. => (zeros, (18, (zeros as u64 - 11, 7))),
            zeros @ 3.. => (zeros, (17, (zeros as u64 - 3, 3))),
            _ => (1, (usize::from(*first), (0, 0))),
        };
        packed.push(symbol);
        rest = &rest[taken..];
    }
    packed
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::BLOCK;
    use super::deflate;

    fn check(input: &[u8]) -> usize {
        let mut out = vec![7];
        deflate(input, &mut out);
        let mut back = Vec::new();
        let mut reader = flate2::read::DeflateDecoder::new(&out[1..]);
        reader.read_to_end(&mut back).unwrap();
        assert_eq!(reader.total_in(), out.len() as u64 - 1);
        assert!(back == input);
        out.len() - 1
    }

    /// Bytes below a limit, in no order.
    pub(super) fn noise(length: usize, limit: u64) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            u8::try_from((state >> 33) % limit).unwrap()
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn comes_out_as_it_went_in() {
        for length in [0, 1, 2, 3, 8, 15, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            for limit in [1, 2, 3, 16, 64, 256] {
                check(&noise(length, limit));
            }
        }
    }

    #[test]
    fn bytes_take_as_much_as_they_tell() {
        let length = 1 << 20;
        // One of the sixteen has a longer code, to leave one for the end of the block.
        assert!(check(&noise(length, 16)) < length / 2 + length / 50);
        assert!(check(&noise(length, 256)) < length + length / 1000);
        assert!(check(&vec![0; length]) < length / 500);
    }

    proptest! {
        // The same bytes in every run.
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_come_out_as_they_went_in(
            parts in prop::collection::vec((any::<u8>(), 0..700_usize, prop::collection::vec(any::<u8>(), 0..40)), 0..60)
        ) {
            let mut input = Vec::new();
            for (byte, times, literals) in parts {
                input.extend(literals);
                input.resize(input.len() + times, byte);
            }
            check(&input);
        }
    }
}
