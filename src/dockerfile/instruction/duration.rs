//! Durations as Go writes them: `1h15m30.5s`.

use std::time::Duration;

/// Parses a duration that is not negative and fits in 64 bits of nanoseconds.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned == "0" {
        return Some(Duration::ZERO);
    }
    let mut total: u64 = 0;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let (nanos, behind) = element(rest)?;
        total = total.checked_add(nanos)?;
        rest = behind;
    }
    let negative = text.starts_with('-') && total > 0;
    (!unsigned.is_empty() && !negative && i64::try_from(total).is_ok())
        .then(|| Duration::from_nanos(total))
}

/// One number with its unit, in nanoseconds, and what follows.
fn element(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest
        .find(|char: char| char == '.' || char.is_ascii_digit())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let unit: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut nanos = whole.checked_mul(unit)?;
    // Each digit behind the point is worth a tenth of the one before.
    let mut worth = unit as f64;
    let mut part = 0.0;
    for digit in fraction.bytes() {
        worth /= 10.0;
        part += worth * f64::from(digit - b'0');
    }
    nanos = nanos.checked_add(part.round() as u64)?;
    Some((nanos, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn units_add_up() {
        assert_eq!(parse("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse("1.5h"), Some(Duration::from_secs(5400)));
        assert_eq!(parse(".5s"), Some(Duration::from_millis(500)));
        assert_eq!(parse("0"), Some(Duration::ZERO));
        assert_eq!(parse("-0s"), Some(Duration::ZERO));
        assert_eq!(parse("+2us"), Some(Duration::from_micros(2)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for bad in ["", "+", "5", "s", "1x", "1s ", "-1s", ".s", "9223372037s"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
