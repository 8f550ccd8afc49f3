//! The records of PAX extension headers.

use std::collections::HashMap;

use crate::sys::Timestamp;

/// What the key of an extended attribute begins with.
pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";

/// Reads records `length key=value\n`; the value may hold any byte. The last of a key counts.
pub(super) fn parse(mut data: &[u8]) -> Option<HashMap<Vec<u8>, Vec<u8>>> {
    let mut records = HashMap::new();
    while !data.is_empty() {
        let blank = data.iter().take(20).position(|byte| *byte == b' ')?;
        let length: usize = str::from_utf8(&data[..blank]).ok()?.parse().ok()?;
        if length <= blank + 1 || length > data.len() {
            return None;
        }
        let (record, rest) = data.split_at(length);
        let text = record[blank + 1..].strip_suffix(b"\n")?;
        let equals = text.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&text[..equals], &text[equals + 1..]);
        records.insert(key.to_vec(), value.to_vec());
        data = rest;
    }
    Some(records)
}

/// Reads a decimal number.
pub(super) fn number(text: &[u8]) -> Option<i64> {
    str::from_utf8(text).ok()?.parse().ok()
}

/// Reads seconds with a fraction of any length, such as `-1.5`.
pub(super) fn time(text: &[u8]) -> Option<Timestamp> {
    let text = str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanoseconds = digits.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    if whole.starts_with('-') && nanoseconds > 0 {
        // The fraction leads away from zero, but file systems count it forward.
        return Some(Timestamp {
            seconds: seconds.checked_sub(1)?,
            nanoseconds: 1_000_000_000 - nanoseconds,
        });
    }
    Some(Timestamp {
        seconds,
        nanoseconds,
    })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use super::time;
    use crate::sys::Timestamp;

    #[test]
    fn a_value_may_hold_any_byte() {
        let records = parse(b"14 a.b=x\ny\n=z\n6 c=1\n6 c=2\n5 d=\n").unwrap();
        assert_eq!(records[b"a.b".as_slice()], b"x\ny\n=z");
        assert_eq!(records[b"c".as_slice()], b"2");
        assert_eq!(records[b"d".as_slice()], b"");
    }

    #[test]
    fn refuses_wrong_lengths() {
        for data in [
            "5 a=1",
            "7 a=1\n",
            "99999999999999999999999 a=1\n",
            "0 ",
            "3 a\n",
            "x a=1\n",
            "2 ",
        ] {
            assert!(parse(data.as_bytes()).is_none(), "{data:?}");
        }
    }

    #[test]
    fn reads_times() {
        for (text, seconds, nanoseconds) in [
            ("1350244992.023960108", 1_350_244_992, 23_960_108),
            ("1.5", 1, 500_000_000),
            ("1.9999999999", 1, 999_999_999),
            ("-1", -1, 0),
            ("-1.25", -2, 750_000_000),
            ("-0.5", -1, 500_000_000),
        ] {
            assert_eq!(
                time(text.as_bytes()),
                Some(Timestamp {
                    seconds,
                    nanoseconds
                }),
                "{text}"
            );
        }
        for text in ["", ".5", "1.x", "1.-5", "1e3"] {
            assert_eq!(time(text.as_bytes()), None, "{text}");
        }
    }
}
