//! Names that sound like secrets.

/// Words that a secret's name has.
const SECRET: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];

/// Words that tell that a name is no secret's after all.
const HARMLESS: [&str; 3] = ["public", "file", "version"];

/// Says whether a variable of this name is likely to hold a secret: one of the words between its
/// underscores is in the list.
pub(in crate::dockerfile) fn sounds_secret(name: &str) -> bool {
    let has = |words: &[&str]| {
        let mut parts = name.split('_');
        parts.any(|part| words.iter().any(|word| word.eq_ignore_ascii_case(part)))
    };
    has(&SECRET) && !has(&HARMLESS)
}

#[cfg(test)]
mod tests {
    use super::sounds_secret;

    #[test]
    fn whole_words_count() {
        for name in ["auth", "GITHUB_TOKEN", "a_Secret_b", "_key_", "DB_PASSWD"] {
            assert!(sounds_secret(name), "{name}");
        }
        for name in [
            "keyboard",
            "tokens",
            "PUBLIC_KEY",
            "PASSWORD_FILE",
            "AUTH_VERSION",
            "author",
            "",
        ] {
            assert!(!sounds_secret(name), "{name}");
        }
    }
}
