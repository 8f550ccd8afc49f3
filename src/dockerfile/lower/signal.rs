//! The signals that `STOPSIGNAL` can name.

const NAMES: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// Says whether `text` is a signal of Linux: a number, or a name in any case with or without
/// `SIG`.
pub(super) fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let name = text.to_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    // The C library keeps two of the 32 real-time signals for itself.
    NAMES.contains(&name) || is_between(name, "RTMIN+", 15) || is_between(name, "RTMAX-", 14)
}

fn is_between(name: &str, prefix: &str, most: u32) -> bool {
    let number = name.strip_prefix(prefix).unwrap_or_default();
    (1..=most).any(|known| known.to_string() == number)
}

#[cfg(test)]
mod tests {
    use super::is_signal;

    #[test]
    fn names_and_numbers() {
        for text in [
            "SIGTERM",
            "term",
            "9",
            "SigKill",
            "RTMIN+15",
            "SIGRTMAX-1",
            "64",
            "-1",
        ] {
            assert!(is_signal(text), "{text}");
        }
        for text in [
            "",
            "0",
            "SIGNOPE",
            "RTMIN+16",
            "RTMAX-15",
            "RTMIN+01",
            "SIGSIGTERM",
            "9x",
        ] {
            assert!(!is_signal(text), "{text}");
        }
    }
}
