//! Users and passwords in URLs, which no key, name or record may tell.

/// What stands for a user or a password, as in BuildKit.
const MASK: &str = "xxxxx";

/// Masks what stands before the `@` of each web address in a text.
#[must_use]
pub fn mask_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        rest = behind;
        if !before.ends_with("http") && !before.ends_with("https") {
            continue;
        }
        let end = behind.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c));
        let authority = &behind[..end.unwrap_or(behind.len())];
        if let Some(at) = authority.rfind('@') {
            out.push_str(MASK);
            if authority[..at].contains(':') {
                out.push(':');
                out.push_str(MASK);
            }
            rest = &behind[at..];
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::mask_userinfo;

    #[test]
    fn only_users_and_passwords_are_masked() {
        for (text, masked) in [
            (
                "ADD https://u:p@host/x /y",
                "ADD https://xxxxx:xxxxx@host/x /y",
            ),
            ("https://token@host", "https://xxxxx@host"),
            ("http://a:b@c@host/d@e", "http://xxxxx:xxxxx@host/d@e"),
            (
                "[\"https://u:p@h\", \"http://v@i\"]",
                "[\"https://xxxxx:xxxxx@h\", \"http://xxxxx@i\"]",
            ),
            ("https://host/x?a=b@c", "https://host/x?a=b@c"),
            ("ssh://git@host/x", "ssh://git@host/x"),
            ("git@host:x://y", "git@host:x://y"),
            ("", ""),
        ] {
            assert_eq!(mask_userinfo(text), masked);
        }
    }
}
