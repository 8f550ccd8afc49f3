//! Sizes and times as BuildKit shows them.

use std::time::Duration;

use crate::progress::Transfer;

/// Writes a size in decimal units with two places: `137B`, `3.15MB`.
pub(in crate::cli) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count}B");
    }
    #[expect(clippy::cast_precision_loss, reason = "two places are shown")]
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    // 999.995 would be shown as 1000.00.
    while value >= 999.995 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.2}{}", UNITS[unit])
}

/// Writes a time in seconds with one place: `1.2s`.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}

/// Says what happens to bytes, for the front of what they are; of a download the bytes say it.
pub(super) fn verb(transfer: Transfer) -> &'static str {
    match transfer {
        Transfer::Download => "",
        Transfer::Unpack => "extracting ",
        Transfer::Pack => "packing ",
        Transfer::Upload => "pushing ",
        Transfer::Context => "transferring ",
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn units_are_decimal() {
        assert_eq!(bytes(0), "0B");
        assert_eq!(bytes(999), "999B");
        assert_eq!(bytes(2100), "2.10kB");
        assert_eq!(bytes(3_145_728), "3.15MB");
        assert_eq!(bytes(999_999_999), "1.00GB");
        assert_eq!(bytes(u64::MAX), "18446.74PB");
    }
}
