//! Spans of time.

use std::time::Duration;

/// Reads a span of time with its unit: `90s`, `30m`, `12h`, `7d`.
pub(in crate::cli) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a number with a unit: 90s, 30m, 12h or 7d".to_owned();
    let split = text.len().saturating_sub(1);
    if !text.is_char_boundary(split) {
        return Err(wrong());
    }
    let (number, unit) = text.split_at(split);
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let total = number.checked_mul(seconds);
    total
        .map(Duration::from_secs)
        .ok_or_else(|| "the time is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn a_unit_is_needed() {
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for text in ["", "7", "d", "-1h", "1.5h", "7é", "99999999999999999999d"] {
            assert!(duration(text).is_err(), "{text:?} was accepted");
        }
        assert!(duration("9999999999999999999d").is_err());
    }
}
