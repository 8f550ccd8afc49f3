//! What a process writes, cut into lines.

use std::time::Duration;

/// The most a line may have; a longer one is cut in two.
const LINE_LIMIT_BYTES: usize = 64 << 10;

/// Collects one stream's bytes until a line is whole.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    since: Duration,
}

impl Lines {
    /// Takes bytes and hands each line they complete to `take`, without its end.
    pub(super) fn push(&mut self, at: Duration, bytes: &[u8], mut take: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.partial.is_empty() {
                self.since = at;
            }
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.partial.len() > LINE_LIMIT_BYTES {
                self.flush(&mut take);
            }
        }
    }

    /// Hands out what is there, whole line or not.
    pub(super) fn flush(&mut self, mut take: impl FnMut(&str)) {
        if self.partial.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&self.partial);
        take(shown(&text));
        self.partial.clear();
    }

    /// Says whether something has waited for its line's end for a while: a question, say.
    pub(super) fn is_waiting(&self, at: Duration, a_while: Duration) -> bool {
        !self.partial.is_empty() && self.since + a_while <= at
    }
}

/// What a terminal would show of a line in the end: a carriage return begins it anew.
fn shown(line: &str) -> &str {
    let line = line.trim_end_matches(['\n', '\r']);
    line.rsplit('\r')
        .find(|part| !part.is_empty())
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::LINE_LIMIT_BYTES;
    use super::Lines;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            lines.push(Duration::ZERO, chunk, |line| seen.push(line.to_owned()));
        }
        lines.flush(|line| seen.push(line.to_owned()));
        seen
    }

    #[test]
    fn lines_are_put_together() {
        assert_eq!(lines(&[b"a\nb", b"c\n", b"\n", b"d"]), ["a", "bc", "", "d"]);
        assert_eq!(lines(&["é\n".as_bytes()]), ["é"]);
        assert_eq!(lines(&[&[0xC3], &[0xA9, b'\n']]), ["é"]);
        assert_eq!(lines(&[&[0xFF, b'\n']]), ["\u{FFFD}"]);
        assert_eq!(lines(&[]), [""; 0]);
    }

    #[test]
    fn what_is_overwritten_is_not_shown() {
        assert_eq!(lines(&[b"10%\r50%\r100%\n"]), ["100%"]);
        assert_eq!(lines(&[b"dos\r\n"]), ["dos"]);
        assert_eq!(lines(&[b"\r\r\n"]), [""]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let endless = vec![b'x'; LINE_LIMIT_BYTES * 3];
        let chunks: Vec<&[u8]> = endless.chunks(1000).collect();
        assert!(lines(&chunks).len() >= 3);
    }
}
