//! Sizes as docker writes them.

/// Reads a size in docker's binary units (go-units `RAMInBytes`): `64m`, `1.5g`, `512 KiB`, `1024`.
pub(in crate::cli) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || "expected a size such as 64m, 1.5g or 67108864".to_owned();
    let split = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_lowercase();
    let power = match unit.strip_suffix('b').unwrap_or(&unit) {
        "" | "i" => 0,
        "k" | "ki" => 1,
        "m" | "mi" => 2,
        "g" | "gi" => 3,
        "t" | "ti" => 4,
        "p" | "pi" => 5,
        _ => return Err(wrong()),
    };
    let factor = 1_u64 << (10 * power);
    if let Ok(whole) = number.parse::<u64>() {
        return whole
            .checked_mul(factor)
            .ok_or_else(|| "the size is too large".to_owned());
    }
    let number: f64 = number.parse().map_err(|_| wrong())?;
    #[expect(clippy::cast_precision_loss, reason = "a power of two is exact")]
    let size = number * factor as f64;
    if size >= 2_f64.powi(63) {
        return Err("the size is too large".to_owned());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "digits and dots make no negative number, and the top was checked"
    )]
    Ok(size as u64)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn units_are_binary() {
        assert_eq!(bytes("67108864"), Ok(64 << 20));
        assert_eq!(bytes("64m"), Ok(64 << 20));
        assert_eq!(bytes("64MB"), Ok(64 << 20));
        assert_eq!(bytes("64 MiB"), Ok(64 << 20));
        assert_eq!(bytes("1.5g"), Ok(3 << 29));
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("12b"), Ok(12));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "m", "-1", "1x", "1..5m", "1mm", ".", "99999999p", "1e3"] {
            assert!(bytes(text).is_err(), "{text:?} was accepted");
        }
    }
}
