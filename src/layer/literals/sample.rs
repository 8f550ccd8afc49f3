//! Whether bytes are worth a search for repetitions.
//!
//! What comes again after a few bytes shows in samples. What comes again only after many, as copies
//! of a file do, is looked for everywhere, but from few places.

/// How many bytes are looked at in one place, and how many are passed over then.
const SAMPLE: usize = 16 << 10;
const PASSED: usize = 48 << 10;

/// So many bytes that come again are a repetition: fewer do by chance, also in base 16.
const REPETITION: usize = 6;

/// A sample with more repetitions than one in so many bytes is worth a search.
const RARE: usize = 32;

/// How many of the places that bytes were seen at are remembered.
const PLACES_BITS: u32 = 12;

/// How far back deflate can refer.
const WINDOW: usize = 32 << 10;

/// One place of so many is an anchor, from which repetitions are looked for everywhere. It is one
/// for what is there, so that a copy has the same ones. The first of so many is one for where it
/// is, since what repeats within a few bytes may have none of the other kind.
const GROUP: usize = 32;

/// A part of so many bytes is worth a search if more of its anchors than one in so many are
/// repetitions; the headers of files of a few KB alone do not count.
const PART: usize = 64 << 10;
const RARE_FAR: usize = 16;

/// Says whether a search would find hardly any repetition. Of what has some, little is read.
pub(in crate::layer) fn has_few_repetitions(input: &[u8]) -> bool {
    let mut samples = input.chunks(SAMPLE + PASSED);
    samples.all(|sample| has_few(&sample[..sample.len().min(SAMPLE)])) && has_few_far(input)
}

fn has_few(sample: &[u8]) -> bool {
    let most = sample.len() / RARE;
    let mut places = [0_u16; 1 << PLACES_BITS];
    let mut found = 0;
    for (at, window) in sample.windows(8).enumerate() {
        let place = &mut places[slot(hash(word(window) << (64 - 8 * REPETITION)))];
        let before = usize::from(std::mem::replace(place, at as u16));
        let repeated = &window[..REPETITION];
        let is_found = before < at && sample[before..].starts_with(repeated);
        if is_found && repeated.iter().any(|byte| *byte != repeated[0]) {
            found += 1;
            if found > most {
                return false;
            }
        }
    }
    true
}

/// The same of all that deflate can refer to.
fn has_few_far(input: &[u8]) -> bool {
    // Of either kind there is one in a group.
    let most = 2 * (PART / GROUP) / RARE_FAR;
    let mut places = [0_u32; 1 << PLACES_BITS];
    let mut found = 0;
    for from in (0..input.len()).step_by(GROUP) {
        let Some(group) = input[from..].first_chunk() else {
            break;
        };
        if from % PART == 0 {
            found = 0;
        }
        let mut left = anchors(group);
        while left != 0 {
            let at = from + left.trailing_zeros() as usize;
            left &= left - 1;
            found += usize::from(is_repetition(input, at, &mut places));
        }
        if found > most {
            return false;
        }
    }
    true
}

/// Finds the anchors of a group: a bit for each place.
fn anchors(group: &[u8; GROUP + 7]) -> u32 {
    // No branches: where the next one is cannot be foreseen.
    (0..GROUP).fold(1, |anchors, at| {
        let is_anchor = hash(word(&group[at..])) << PLACES_BITS >> (64 - GROUP.ilog2()) == 0;
        anchors | u32::from(is_anchor) << at
    })
}

/// Says whether the bytes at a place come again there, and remembers the place.
fn is_repetition(input: &[u8], at: usize, places: &mut [u32; 1 << PLACES_BITS]) -> bool {
    let here = word(&input[at..]);
    // One byte again and again is no repetition here.
    if here == here.rotate_left(8) {
        return false;
    }
    let before = std::mem::replace(&mut places[slot(hash(here))], at as u32) as usize;
    before < at && at - before <= WINDOW && word(&input[before..]) == here
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk().expect("there are as many bytes"))
}

fn hash(word: u64) -> u64 {
    word.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The slot of what has this hash: the bits that most of the word has a part in.
fn slot(hash: u64) -> usize {
    (hash >> (64 - PLACES_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::PASSED;
    use super::SAMPLE;
    use super::WINDOW;
    use super::has_few_repetitions;
    use crate::layer::literals::tests::noise;

    #[test]
    fn only_bytes_without_repetitions_pass() {
        let line = |number: u32| format!("line {number} of a text\n").into_bytes();
        let text: Vec<u8> = (0..3000).flat_map(line).collect();
        assert!(!has_few_repetitions(&text));
        for limit in [16, 64, 256] {
            let mut bytes = noise(3 * (SAMPLE + PASSED), limit);
            assert!(has_few_repetitions(&bytes), "{limit}");
            // The padding between files does not count.
            bytes[SAMPLE / 2..SAMPLE].fill(0);
            assert!(has_few_repetitions(&bytes), "{limit}");
            bytes[2 * (SAMPLE + PASSED)..][..SAMPLE].copy_from_slice(&text[..SAMPLE]);
            assert!(!has_few_repetitions(&bytes), "{limit}");
        }
    }
    #[test]
    fn what_comes_again_from_afar_is_found() {
        let random = noise(WINDOW - 512, 256);
        let cycle = |length: usize| random[..length].iter().copied().cycle();
        for length in [3, 7, 500, 20_480, 24 << 10, random.len()] {
            let repeated: Vec<u8> = cycle(length).take(1 << 20).collect();
            assert!(!has_few_repetitions(&repeated), "{length}");
            // Only between the samples.
            let mut bytes = noise(4 * (SAMPLE + PASSED), 256);
            let passed = &mut bytes[2 * SAMPLE + PASSED..][..PASSED];
            let copies = cycle(length).zip(passed);
            copies.for_each(|(byte, passed)| *passed = byte);
            assert!(!has_few_repetitions(&bytes), "{length}");
        }
        // No reference reaches so far.
        let repeated = noise(2 * WINDOW, 256).repeat(4);
        assert!(has_few_repetitions(&repeated));
    }
}
