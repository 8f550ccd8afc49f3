//! Lines that fit a terminal's width, and their colours.

use anstyle::AnsiColor;
use anstyle::Style;
use unicode_width::UnicodeWidthChar;

/// What ended well.
pub(super) const FINISHED: Style = AnsiColor::Blue.on_default();
/// What failed.
pub(super) const FAILED: Style = AnsiColor::Red.on_default();
/// What deserves a look.
pub(super) const WARNED: Style = AnsiColor::Yellow.on_default();
/// What is beside the point.
pub(super) const FAINT: Style = Style::new().dimmed();

/// Puts colours on whole lines, if there are to be any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    /// Whether there are to be any.
    pub colored: bool,
}

impl Paint {
    /// Writes text in a style.
    pub(super) fn put(self, style: Style, text: &str) -> String {
        if self.colored {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

/// Says how many columns a line takes; colours take none.
pub(super) fn width(line: &str) -> usize {
    let mut total = 0;
    let mut in_escape = false;
    for letter in line.chars() {
        match letter {
            '\x1b' => in_escape = true,
            'm' if in_escape => in_escape = false,
            _ if in_escape => {}
            _ => total += letter.width().unwrap_or(0),
        }
    }
    total
}

/// Shortens a line until it fits with a column to spare, so that no terminal breaks it.
pub(super) fn cut(line: &str, columns: usize) -> String {
    fit(line, columns.saturating_sub(1))
}

/// Writes `left` at the beginning and `right` at the end of a line that fits.
pub(super) fn spread(left: &str, right: &str, columns: usize) -> String {
    let columns = columns.saturating_sub(1);
    let Some(room) = columns
        .checked_sub(width(right) + 1)
        .filter(|room| *room >= 8)
    else {
        return fit(left, columns);
    };
    let left = fit(left, room);
    let gap = columns - width(right) - width(&left);
    format!("{left}{}{right}", " ".repeat(gap))
}

fn fit(line: &str, columns: usize) -> String {
    // A control character would move the cursor.
    let printed = line.chars().filter(|letter| !letter.is_control());
    let text: String = printed.collect();
    if width(&text) <= columns {
        return text;
    }
    let mut short = String::new();
    let mut used = 0;
    for letter in text.chars() {
        used += letter.width().unwrap_or(0);
        if used >= columns {
            break;
        }
        short.push(letter);
    }
    if columns > 0 {
        short.push('…');
    }
    short
}

/// Draws a bar with a space behind it, where there is room for one.
pub(super) fn bar(done: u64, total: u64, columns: usize) -> String {
    const CELLS: u64 = 20;
    if columns < 60 || total == 0 {
        return String::new();
    }
    let full = (u128::from(done.min(total)) * u128::from(CELLS) / u128::from(total)) as usize;
    let mut cells = "=".repeat(full);
    if full > 0 && (full as u64) < CELLS {
        cells.pop();
        cells.push('>');
    }
    format!("[{cells:<20}] ")
}

/// Shortens a digest to what people compare; leaves other names alone.
pub(super) fn short_digest(item: &str) -> &str {
    match item.strip_prefix("sha256:") {
        Some(hex) if hex.len() == 64 && hex.is_ascii() => &item[.."sha256:".len() + 12],
        _ => item,
    }
}

#[cfg(test)]
mod tests {
    use super::Paint;
    use super::bar;
    use super::cut;
    use super::spread;
    use super::width;

    #[test]
    fn lines_never_fill_the_last_column() {
        assert_eq!(cut("hello", 6), "hello");
        assert_eq!(cut("hello", 5), "hel…");
        assert_eq!(cut("字字字", 6), "字字…");
        assert_eq!(cut("hello", 1), "");
        assert_eq!(spread("name", "1.0s", 20), "name           1.0s");
        assert_eq!(spread("a long name", "1.0s", 16), "a long na… 1.0s");
        assert_eq!(spread("name", "1.0s", 8), "name");
        for columns in 0..40 {
            let line = spread("字字字字字字字字字字字字", "12.3s", columns);
            assert!(width(&line) < columns.max(1), "{columns}: {line}");
        }
    }

    #[test]
    fn control_characters_do_nothing() {
        assert_eq!(cut("a\x1b[2Jb\tc\r", 80), "a[2Jbc");
    }

    #[test]
    fn colors_take_no_columns() {
        assert_eq!(
            width(&Paint { colored: true }.put(super::FAILED, "four")),
            4
        );
    }

    #[test]
    fn bars_grow() {
        assert_eq!(bar(0, 100, 80), "[                    ] ");
        assert_eq!(bar(100, 100, 80), "[====================] ");
        assert_eq!(bar(u64::MAX, u64::MAX, 80), "[====================] ");
        assert_eq!(bar(1, 0, 80), "");
        assert_eq!(bar(1, 2, 40), "");
    }
}
