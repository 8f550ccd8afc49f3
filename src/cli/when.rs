//! Times as people say them.

use jiff::Timestamp;

/// Says how long ago an RFC 3339 time was, as docker does: `3 hours ago`; the text itself if it is
/// no time.
pub(super) fn ago(text: &str, now_ns: i128) -> String {
    let Ok(then) = text.parse::<Timestamp>() else {
        return text.to_owned();
    };
    let seconds = (now_ns - then.as_nanosecond()) / 1_000_000_000;
    if seconds < 0 {
        return "in the future".to_owned();
    }
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    let days = hours / 24;
    match () {
        () if seconds < 2 => "now".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds ago"),
        () if minutes == 1 => "a minute ago".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes ago"),
        () if hours == 1 => "an hour ago".to_owned(),
        () if hours < 48 => format!("{hours} hours ago"),
        () if days < 14 => format!("{days} days ago"),
        () if days < 60 => format!("{} weeks ago", days / 7),
        () if days < 730 => format!("{} months ago", days / 30),
        () => format!("{} years ago", days / 365),
    }
}

/// Writes a time as RFC 3339 has it.
pub(super) fn rfc3339(now_ns: i128) -> String {
    Timestamp::from_nanosecond(now_ns)
        .unwrap_or_default()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::ago;

    #[test]
    fn times_are_told_roughly() {
        let at = |seconds: i128| ago("1970-01-01T00:00:00Z", seconds * 1_000_000_000);
        assert_eq!(at(1), "now");
        assert_eq!(at(59), "59 seconds ago");
        assert_eq!(at(61), "a minute ago");
        assert_eq!(at(3599), "59 minutes ago");
        assert_eq!(at(3600), "an hour ago");
        assert_eq!(at(86400), "24 hours ago");
        assert_eq!(at(86400 * 3), "3 days ago");
        assert_eq!(at(86400 * 365), "12 months ago");
        assert_eq!(at(86400 * 365 * 50), "50 years ago");
        assert_eq!(at(-5), "in the future");
        assert_eq!(ago("soon", 0), "soon");
    }
}
