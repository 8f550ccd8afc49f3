//! The part of the screen that is drawn over, below what has scrolled away.

use std::fmt::Write;

use crate::cli::progress::draw;
use crate::cli::progress::renderer::Size;

/// Lines are written over the old ones and cleared one by one: clearing all at once from the top of
/// the screen, tmux would keep the old view in its history.
const END_OF_LINE: &str = "\x1b[K\n";
const CLEAR_BELOW: &str = "\x1b[J";
const BEGIN_SYNCHRONIZED: &str = "\x1b[?2026h";
const END_SYNCHRONIZED: &str = "\x1b[?2026l";

/// What was drawn last.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    /// How wide its lines are.
    widths: Vec<usize>,
}

impl Canvas {
    /// Puts `settled`, which is never drawn over, and `live` where the last view was.
    pub(super) fn replace(
        &mut self,
        settled: &[String],
        live: &[String],
        size: Size,
        out: &mut String,
    ) {
        let is_unchanged = live.is_empty() && settled.is_empty() && self.widths.is_empty();
        if is_unchanged {
            return;
        }
        out.push_str(BEGIN_SYNCHRONIZED);
        self.return_to_top(size, out);
        for line in settled.iter().chain(live) {
            out.push_str(line);
            out.push_str(END_OF_LINE);
        }
        out.push_str(CLEAR_BELOW);
        out.push_str(END_SYNCHRONIZED);
        self.widths = live.iter().map(|line| draw::width(line)).collect();
    }

    fn return_to_top(&self, size: Size, out: &mut String) {
        // A window that was made narrower has broken the lines of the last view.
        let broken = |width: &usize| width.div_ceil(size.columns).max(1);
        let rows: usize = self.widths.iter().map(broken).sum();
        // What has scrolled off the top cannot be reached.
        let rows = rows.min(size.rows.saturating_sub(1));
        if rows > 0 {
            let _ = write!(out, "\x1b[{rows}A");
        }
        out.push('\r');
    }
}
