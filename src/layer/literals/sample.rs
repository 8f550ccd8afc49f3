//! Whether bytes are worth a search for repetitions.

/// How many bytes are looked at in one place, and how many are passed over then.
const SAMPLE: usize = 16 << 10;
const PASSED: usize = 48 << 10;

/// So many bytes that come again are a repetition: fewer do by chance, also in base 16.
const REPETITION: usize = 6;

/// A sample with more repetitions than one in so many bytes is worth a search.
const RARE: usize = 32;

/// How many of the places that bytes were seen at are remembered.
const PLACES_BITS: u32 = 12;

/// Says whether a search would find hardly any repetition. Of what has some, little is read.
pub(in crate::layer) fn has_few_repetitions(input: &[u8]) -> bool {
    let mut samples = input.chunks(SAMPLE + PASSED);
    samples.all(|sample| has_few(&sample[..sample.len().min(SAMPLE)]))
}

fn has_few(sample: &[u8]) -> bool {
    let most = sample.len() / RARE;
    let mut places = [0_u16; 1 << PLACES_BITS];
    let mut found = 0;
    for (at, window) in sample.windows(8).enumerate() {
        let word = u64::from_le_bytes(*window.first_chunk().expect("a window has its length"));
        let word = word << (64 - 8 * REPETITION);
        let place =
            &mut places[(word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PLACES_BITS)) as usize];
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

#[cfg(test)]
mod tests {
    use super::PASSED;
    use super::SAMPLE;
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
}
