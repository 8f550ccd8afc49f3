//! Showing a place of the Dockerfile to the user.

use std::fmt::Write;

use crate::dockerfile::Error;
use crate::dockerfile::Span;
use crate::dockerfile::credentials::blank_credentials;

/// The longest piece of a line that is shown, in characters.
const LONGEST: usize = 160;

impl Error {
    /// The whole message: file, line and column, what is wrong and why, the line with the place
    /// marked, and what to do about it. What is wrong with the file as a whole has no place.
    #[must_use]
    pub fn render(&self, file: &str, text: &str) -> String {
        let is_placed = self.span.first_line > 0;
        let mut out = if is_placed {
            let before = text[..self.span.start].chars().rev();
            let column = before.take_while(|char| *char != '\n').count();
            format!("{file}:{}:{}: {self}", self.span.first_line, column + 1)
        } else {
            format!("{file}: {self}")
        };
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let _ = write!(out, ": {error}");
            cause = error.source();
        }
        out.push('\n');
        if is_placed {
            out.push_str(&excerpt(text, self.span));
        }
        if let Some(hint) = self.problem.hint() {
            let _ = writeln!(out, "{:>5} = {hint}", "");
        }
        out
    }
}

/// The line on which a span begins, numbered, with the span marked below it. A span that is none of
/// the text is moved into it.
#[must_use]
pub fn excerpt(text: &str, span: Span) -> String {
    let text = blank_credentials(text);
    let start = text.floor_char_boundary(span.start);
    let end = text.floor_char_boundary(span.end.max(start));
    let line_start = text[..start].rfind('\n').map_or(0, |end| end + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    // A long line is shown from shortly before the span.
    let before = text[line_start..start].chars().count();
    let skipped = before.saturating_sub(LONGEST / 2);
    let shown: String = line
        .chars()
        .skip(skipped)
        .take(LONGEST)
        .map(printable)
        .collect();
    let indent = before - skipped;
    let marked = text[start..end]
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .count();
    let marked = marked
        .min(shown.chars().count().saturating_sub(indent))
        .max(1);
    let mut out = String::new();
    let _ = writeln!(out, "{:>5} | {}", span.first_line, shown.trim_end());
    let _ = writeln!(out, "{:>5} | {:indent$}{:^<marked$}", "", "", "");
    out
}

/// Control characters would disturb the marks below the line, or the terminal.
fn printable(char: char) -> char {
    match char {
        '\t' => ' ',
        char if char.is_control() => char::REPLACEMENT_CHARACTER,
        char => char,
    }
}

#[cfg(test)]
mod tests {
    use super::excerpt;
    use crate::dockerfile::Span;
    use crate::dockerfile::parse;

    #[test]
    fn the_place_is_marked() {
        let text = "FROM a\n\tRUNN x\n";
        let error = parse(text).unwrap_err();
        let expected = "\
Dockerfile:2:2: unknown instruction `RUNN`
    2 |  RUNN x
      |  ^^^^
      = did you mean RUN?
";
        assert_eq!(error.render("Dockerfile", text), expected);
    }

    #[test]
    fn a_long_line_is_cut() {
        let text = format!("{}X{}", "é".repeat(500), "y".repeat(500));
        let span = Span {
            start: 1000,
            end: 1001,
            first_line: 1,
            last_line: 1,
        };
        let shown = excerpt(&text, span);
        let mut lines = shown.lines();
        let line = lines.next().unwrap();
        let marks = lines.next().unwrap();
        let column = marks.find('^').unwrap();
        assert_eq!(line.chars().nth(column), Some('X'));
        assert!(line.chars().count() < 200);
    }
}
