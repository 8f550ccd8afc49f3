//! What the kernel says of a process in its `status` (`proc_pid_status(5)`).

/// `CAP_DAC_OVERRIDE`.
const OVERRIDE: u64 = 1 << 1;

/// The text of such a file.
pub(super) struct Status<'a> {
    text: &'a str,
}

impl<'a> Status<'a> {
    pub(super) fn new(text: &'a str) -> Status<'a> {
        Status { text }
    }

    /// The number of the process that a thread is of.
    pub(super) fn process(&self) -> Option<u32> {
        self.value("Tgid:")?.trim().parse().ok()
    }

    /// Tells whether it opens files as root does, whosoever they are.
    pub(super) fn opens_as_root(&self) -> bool {
        // The last of four is for files.
        let user = self
            .value("Uid:")
            .and_then(|users| users.split_whitespace().last());
        let capabilities = self.value("CapEff:");
        let capabilities = capabilities.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        user == Some("0") && capabilities.is_some_and(|set| set & OVERRIDE != 0)
    }

    /// Tells whether all its users are root.
    pub(super) fn is_roots(&self) -> bool {
        let users = self.value("Uid:");
        users.is_some_and(|users| users.split_whitespace().all(|user| user == "0"))
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        value(self.text, key)
    }
}

/// What follows a key at the beginning of a line, as the kernel writes such files.
pub(super) fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key))
}

#[cfg(test)]
mod tests {
    use super::Status;

    fn text(users: &str, capabilities: &str) -> String {
        format!("Name:\tx\nTgid:\t12\nPid:\t13\nUid:\t{users}\nCapEff:\t{capabilities}\n")
    }

    #[test]
    fn root_is_who_has_roots_user_and_right() {
        for (users, capabilities, opens, is_roots) in [
            ("0\t0\t0\t0", "00000000a80425fb", true, true),
            ("1\t0\t0\t0", "00000000a80425fb", true, false),
            ("0\t0\t0\t1", "00000000a80425fb", false, false),
            ("0\t0\t0\t0", "00000000a80425f9", false, true),
            ("0\t0\t0\t0", "", false, true),
        ] {
            let text = text(users, capabilities);
            let status = Status::new(&text);
            assert_eq!(status.process(), Some(12));
            assert_eq!(status.opens_as_root(), opens, "{text}");
            assert_eq!(status.is_roots(), is_roots, "{text}");
        }
        assert!(!Status::new("").is_roots());
    }
}
