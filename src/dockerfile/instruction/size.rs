//! Sizes in bytes as docker writes them: `64m`, `1.5GiB`.

/// Parses a size; units are powers of 1024.
pub(super) fn parse(text: &str) -> Option<i64> {
    let end = text.rfind(|char: char| char == '.' || char.is_ascii_digit())? + 1;
    let (number, unit) = text.split_at(end);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    let number = number.parse::<f64>().ok().filter(|number| *number >= 0.0)?;
    Some((number * 1024_f64.powi(power)) as i64)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn units_are_powers_of_1024() {
        assert_eq!(parse("64m"), Some(64 << 20));
        assert_eq!(parse("1.5 GiB"), Some(3 << 29));
        assert_eq!(parse("100"), Some(100));
        for bad in ["", "m", "-1m", "1x", "1 2"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
