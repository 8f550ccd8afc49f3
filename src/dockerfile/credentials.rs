//! Keeping the user and password of URLs out of the lines that are shown.

/// Hides what stands before the host in each URL of a text; every place in the text stays where it
/// is.
#[must_use]
pub fn blank_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let is_end = |c: char| c.is_whitespace() || "/?#\"'`<>".contains(c);
        let authority = &after[..after.find(is_end).unwrap_or(after.len())];
        let length = authority.rfind('@').unwrap_or(0);
        out.push_str(&"x".repeat(length));
        rest = &after[length..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::blank_credentials;

    #[test]
    fn only_what_stands_before_the_host_is_hidden() {
        for (text, blank) in [
            ("ADD http://u:p@h/f /", "ADD http://xxx@h/f /"),
            ("https://token@h/x.git", "https://xxxxx@h/x.git"),
            ("a://b@c d://é@f", "a://x@c d://xx@f"),
            ("http://h/a@b", "http://h/a@b"),
            ("http://h", "http://h"),
            ("git@h:x.git ://", "git@h:x.git ://"),
        ] {
            assert_eq!(blank_credentials(text), blank);
        }
    }
}
