//! The signals that `STOPSIGNAL` can name, by the numbers that Linux gives them.

const NUMBERS: [(&str, i32); 36] = [
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("RTMIN", RTMIN),
    ("RTMAX", RTMAX),
];

/// The first real-time signal that the C library leaves to programs.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// Gives the number of a signal that is named in any case, with or without `SIG`.
#[must_use]
pub fn signal_number(name: &str) -> Option<i32> {
    let name = name.to_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let known = NUMBERS.iter().find(|(known, _)| *known == name);
    let after = |prefix, most| between(name.strip_prefix(prefix)?, most);
    // The C library keeps two of the 32 real-time signals for itself.
    known
        .map(|(_, number)| *number)
        .or_else(|| Some(RTMIN + after("RTMIN+", 15)?))
        .or_else(|| Some(RTMAX - after("RTMAX-", 14)?))
}

fn between(text: &str, most: i32) -> Option<i32> {
    (1..=most).find(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::signal_number;

    #[test]
    fn names_have_numbers() {
        for (text, number) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("SigKill", 9),
            ("RTMIN", 34),
            ("RTMIN+15", 49),
            ("SIGRTMAX-1", 63),
            ("SIGRTMAX-14", 50),
        ] {
            assert_eq!(signal_number(text), Some(number), "{text}");
        }
        for text in [
            "",
            "9",
            "SIGNOPE",
            "RTMIN+16",
            "RTMAX-15",
            "RTMIN+01",
            "SIGSIGTERM",
        ] {
            assert_eq!(signal_number(text), None, "{text}");
        }
    }
}
