//! What whoever started `chown` or `chgrp` told it to give.
//!
//! Where owners are only remembered, files look as if they were root's. Some of these programs, such
//! as busybox's, set user and group at once, and take the one that they were not told from what they
//! see: that would give it back to root.

/// Which of a file's owners a program was told to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) user: bool,
    pub(super) group: bool,
}

impl Told {
    const BOTH: Told = Told {
        user: true,
        group: true,
    };
    const USER: Told = Told {
        user: true,
        group: false,
    };
    const GROUP: Told = Told {
        user: false,
        group: true,
    };

    /// Reads what a process calls itself, as a shell does that has all these programs in it, and its
    /// command line, in which each word ends with NUL. Programs of other names mean what they say.
    pub(super) fn by(name: &[u8], command_line: &[u8]) -> Told {
        if name.trim_ascii_end() == b"chgrp" {
            return Told::GROUP;
        }
        let words: Vec<&[u8]> = command_line.split(|byte| *byte == 0).collect();
        let is_called =
            |word: &[u8], name: &[u8]| word.rsplit(|byte| *byte == b'/').next() == Some(name);
        // It may be the second word, behind the program that is all of them.
        for (at, word) in words.iter().take(2).enumerate() {
            if is_called(word, b"chgrp") {
                return Told::GROUP;
            }
            if is_called(word, b"chown") {
                return Told::by_chown(&words[at + 1..]);
            }
        }
        Told::BOTH
    }

    fn by_chown(words: &[&[u8]]) -> Told {
        if words.iter().any(|word| word.starts_with(b"--reference")) {
            return Told::BOTH;
        }
        let is_owner = |word: &&&[u8]| !word.is_empty() && !word.starts_with(b"-");
        let Some(owner) = words.iter().find(is_owner) else {
            return Told::BOTH;
        };
        match owner.iter().position(|byte| matches!(byte, b':' | b'.')) {
            None => Told::USER,
            Some(0) => Told::GROUP,
            Some(_) => Told::BOTH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_says_whose_a_file_becomes() {
        for (line, told) in [
            ("chgrp -R www /srv", Told::GROUP),
            ("/bin/busybox chgrp www /srv", Told::GROUP),
            ("/bin/chown www /srv:x", Told::USER),
            ("busybox chown -hR :www /srv", Told::GROUP),
            ("chown www:www /srv", Told::BOTH),
            ("chown www: /srv", Told::BOTH),
            ("chown www.www /srv", Told::BOTH),
            ("chown --reference=/etc /srv", Told::BOTH),
            ("chown", Told::BOTH),
            ("install -o www /srv chown", Told::BOTH),
            ("", Told::BOTH),
        ] {
            let line: String = line.split(' ').map(|word| format!("{word}\0")).collect();
            assert_eq!(Told::by(b"sh\n", line.as_bytes()), told, "{line:?}");
        }
        assert_eq!(Told::by(b"chgrp\n", b"sh\0-c\0true\0"), Told::GROUP);
    }
}
