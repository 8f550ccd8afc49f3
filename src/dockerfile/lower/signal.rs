//! What `STOPSIGNAL` may say.

use crate::oci::signal_number;

/// Says whether `text` is a signal of Linux: a number, or a name in any case with or without
/// `SIG`.
pub(super) fn is_signal(text: &str) -> bool {
    match text.parse::<i64>() {
        Ok(number) => number != 0,
        Err(_) => signal_number(text).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_signal;

    #[test]
    fn names_and_numbers() {
        for text in ["SIGTERM", "term", "9", "64", "-1"] {
            assert!(is_signal(text), "{text}");
        }
        for text in ["", "0", "SIGNOPE", "9x"] {
            assert!(!is_signal(text), "{text}");
        }
    }
}
