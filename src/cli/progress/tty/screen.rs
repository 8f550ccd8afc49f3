//! What a process wrote last, as a terminal of its own would show it.

use std::fmt;
use std::num::NonZeroU16;

use crate::cli::progress::draw;

/// How many of its last lines are shown of a running step.
pub(super) const TAIL_ROWS: usize = 6;
const TAIL_INDENT: &str = " => => # ";

/// A terminal that only a process writes to.
pub(super) struct Screen(vt100::Parser);

impl fmt::Debug for Screen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Screen").finish_non_exhaustive()
    }
}

impl Screen {
    /// Makes an empty one that fits a window.
    pub(super) fn new(columns: usize) -> Self {
        let (rows, columns) = inner_size(columns);
        Self(vt100::Parser::new(rows, columns, 0))
    }

    /// Fits it into another window.
    pub(super) fn resize(&mut self, columns: usize) {
        let (rows, columns) = inner_size(columns);
        self.0.set_size(rows, columns);
    }

    /// Takes what a process wrote into a pipe, where lines end without a carriage return.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(line) => {
                    self.0.process(line);
                    self.0.process(b"\r\n");
                }
                None => self.0.process(piece),
            }
        }
    }

    /// Gives at most `limit` of the last lines, drawn for a window.
    pub(super) fn tail(&self, limit: usize, columns: usize) -> Vec<String> {
        let wide = u16::try_from(columns).unwrap_or(u16::MAX);
        let written: Vec<String> = self.0.screen().rows(0, wide).collect();
        let used = written.iter().rposition(|row| !row.trim().is_empty());
        let written = &written[..used.map_or(0, |last| last + 1)];
        let tail = written[written.len() - limit.min(written.len())..].iter();
        tail.map(|row| draw::cut(&format!("{TAIL_INDENT}{row}"), columns))
            .collect()
    }
}

/// Gives the size of a screen in a window.
fn inner_size(columns: usize) -> (NonZeroU16, NonZeroU16) {
    let columns = columns.saturating_sub(TAIL_INDENT.len() + 1).max(1);
    let columns = u16::try_from(columns).unwrap_or(u16::MAX);
    // One row more than is shown: the cursor stands in the last one, which is mostly empty.
    let rows = u16::try_from(TAIL_ROWS + 1).unwrap_or(1);
    (
        NonZeroU16::new(rows).unwrap_or(NonZeroU16::MIN),
        NonZeroU16::new(columns).unwrap_or(NonZeroU16::MIN),
    )
}
