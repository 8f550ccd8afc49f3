//! An error as people read it: what happened, why, where in which file, and what to do.

use std::borrow::Cow;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;

use anstyle::AnsiColor;
use anstyle::Style;

use super::error::Error;
use super::printable::printable;
use super::printable::printable_line;
use crate::build::Place;
use crate::dockerfile::blank_credentials;
use crate::sandbox::Exceeded;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const MARGIN: Style = AnsiColor::Blue.on_default().bold();
/// How many lines are shown around the place.
const AROUND: usize = 2;
/// How many lines of a long instruction are shown.
const LONG: usize = 12;
/// How many characters of a long line are shown.
const WIDE: usize = 400;
/// How many of them stand before the place.
const LEAD: usize = 80;
/// How many characters of a message are shown: it may quote such a line.
const MESSAGE: usize = 2000;

/// Prints an error on standard error.
pub(super) fn error(error: &Error) {
    say(&text(error));
}

/// Prints on standard error that a command which failed ran into a limit.
pub(super) fn exceeded(code: i32, limit: Exceeded) {
    let hint = limit.hint();
    say(&format!(
        "{WARNING}warning:{WARNING:#} the command ended with exit code {code}; {limit}\n\
         {HINT}hint:{HINT:#} {hint}\n"
    ));
}

/// Prints a warning on standard error.
pub(super) fn warning(message: &str) {
    let message = printable(message);
    say(&format!("{WARNING}warning:{WARNING:#} {message}\n"));
}

/// Prints on standard error that another process has to let go of the store first.
pub(super) fn waits() {
    say("waiting for another process that uses the store\n");
}

/// Writes text with colours on standard error. That it cannot be read any more, as when the terminal
/// was closed, keeps nothing from ending as it should.
fn say(text: &str) {
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// What the standard library, tokio and rayon panic with where the kernel lets them make no thread:
/// they have no error for it.
const NO_THREAD: [&str; 3] = [
    "failed to spawn thread",
    "OS can't spawn worker thread",
    "The global thread pool has not been initialized",
];

/// Makes every panic say that it is a bug, and end the process with the code for one; one for want
/// of threads is the machine's.
pub(super) fn panics_as_bugs() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        if NO_THREAD.iter().any(|begin| text.starts_with(begin)) {
            say(&format!(
                "{ERROR}error:{ERROR:#} no more threads can be made\n  caused by: {text}\n\
                 {HINT}hint:{HINT:#} allow this user more processes (ulimit -u), or use --jobs 1\n"
            ));
            std::process::exit(3);
        }
        say(&format!(
            "{ERROR}error:{ERROR:#} this is a bug in rbuild {}: {panic}\n\
             {HINT}hint:{HINT:#} please report it with what you were building; \
             the store is as it was before\n",
            env!("CARGO_PKG_VERSION")
        ));
        std::process::exit(70);
    }));
}

/// Writes an error with its causes, its place and its hint.
fn text(error: &Error) -> String {
    let mut out = format!("{ERROR}error:{ERROR:#} {}\n", shown(&error.to_string()));
    if let Some(place) = error.place() {
        excerpt(&place, &mut out);
    }
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // An error that only passes on another one has its text.
        let text = error.to_string();
        if text != said {
            let _ = writeln!(out, "  caused by: {}", shown(&text));
        }
        (said, cause) = (text, error.source());
    }
    if let Some(text) = error.hint() {
        hint(&text, &mut out);
    }
    out
}

/// Gives what is shown of a message, which may quote more than anybody reads, and anything.
fn shown(text: &str) -> String {
    match text.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}… ({} bytes in all)", printable(&text[..end]), text.len()),
        None => printable(text),
    }
}

/// Writes what can be done.
pub(super) fn hint(text: &str, out: &mut String) {
    let _ = writeln!(out, "{HINT}hint:{HINT:#} {}", printable(text));
}

/// Writes the lines around a place.
pub(super) fn excerpt(place: &Place, out: &mut String) {
    let text = blank_credentials(&place.text);
    Excerpts::new(&place.file, &text).write(&place.bytes, out);
}

/// A text of which places are shown.
pub(super) struct Excerpts<'a> {
    file: &'a str,
    text: &'a str,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl<'a> Excerpts<'a> {
    /// Looks for the lines of a text.
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        let starts = std::iter::once(0).chain(ends).collect();
        Self { file, text, starts }
    }

    /// Writes the lines around some bytes: a caret line under a piece of one line, arrows before
    /// several.
    pub(super) fn write(&self, bytes: &Range<usize>, out: &mut String) {
        let (first, column) = self.position(bytes.start);
        let (last, _) = self.position(bytes.end.saturating_sub(1).max(bytes.start));
        let is_ended = self.text.is_empty() || self.text.ends_with('\n');
        let count = self.starts.len() - usize::from(is_ended);
        let until = (last + AROUND + 1).min(count);
        let margin = Margin {
            digits: until.to_string().len(),
        };
        let _ = writeln!(
            out,
            "{} {}:{}:{}",
            margin.arrow(),
            printable(self.file),
            first + 1,
            column + 1
        );
        for index in first.saturating_sub(AROUND)..until.min(last).min(first + LONG) {
            let (line, _) = cut(self.line(index), 0);
            write_line((index, &line), (first, last), &margin, out);
        }
        if last > first + LONG {
            let _ = writeln!(out, "{}", margin.before("…", " > …"));
        }
        for index in last..until {
            let is_place = first == last && index == first;
            let (line, column) = cut(self.line(index), if is_place { column } else { 0 });
            write_line((index, &line), (first, last), &margin, out);
            if is_place {
                let carets = carets(&line, column, bytes.len());
                let _ = writeln!(out, "{} {ERROR}{carets}{ERROR:#}", margin.before("", ""));
            }
        }
    }

    /// Gives a line without its end.
    fn line(&self, index: usize) -> &'a str {
        let start = self.starts.get(index).copied().unwrap_or(self.text.len());
        self.text[start..].lines().next().unwrap_or_default()
    }

    /// Gives line and column of a byte, both from 0, the column in characters.
    fn position(&self, byte: usize) -> (usize, usize) {
        let byte = self.text.floor_char_boundary(byte);
        let line = self.starts.partition_point(|start| *start <= byte) - 1;
        (line, self.text[self.starts[line]..byte].chars().count())
    }
}

fn write_line(
    (index, line): (usize, &str),
    (first, last): (usize, usize),
    margin: &Margin,
    out: &mut String,
) {
    let several = first != last;
    let marked = several && (first..=last).contains(&index);
    let arrow = if marked { " > " } else { " " };
    let pad = if several && !marked { "  " } else { "" };
    let number = (index + 1).to_string();
    let shown = printable_line(line);
    let line = format!("{}{pad}{shown}", margin.before(&number, arrow));
    let _ = writeln!(out, "{}", line.trim_end());
}

/// Gives what is shown of a line, and where in it the column is that has to be in sight.
fn cut(line: &str, column: usize) -> (Cow<'_, str>, usize) {
    if line.chars().nth(WIDE).is_none() {
        return (Cow::Borrowed(line), column);
    }
    let skipped = column.saturating_sub(LEAD);
    let mut rest = line.chars().skip(skipped);
    let mark = if skipped > 0 { "…" } else { "" };
    let mut shown = mark.to_owned();
    shown.extend(rest.by_ref().take(WIDE));
    if rest.next().is_some() {
        shown.push('…');
    }
    (Cow::Owned(shown), column - skipped + mark.chars().count())
}

/// What stands left of the lines.
struct Margin {
    digits: usize,
}

impl Margin {
    fn arrow(&self) -> String {
        let digits = self.digits;
        format!("{MARGIN}{:>digits$}-->{MARGIN:#}", "")
    }

    fn before(&self, number: &str, arrow: &str) -> String {
        let digits = self.digits;
        format!("{MARGIN}{number:>digits$} |{MARGIN:#}{arrow}")
    }
}

/// Draws carets under `length` bytes of a line from `column`, in characters as they are shown.
fn carets(line: &str, column: usize, length: usize) -> String {
    let before: usize = line.chars().take(column).map(shown_width).sum();
    let start = line
        .char_indices()
        .nth(column)
        .map_or(line.len(), |(at, _)| at);
    let end = (start + length).min(line.len());
    let under = line.get(start..end).unwrap_or_default().trim_end();
    let count: usize = under.chars().map(shown_width).sum();
    format!("{}{}", " ".repeat(before), "^".repeat(count.max(1)))
}

fn shown_width(letter: char) -> usize {
    match letter {
        '\t' => 4,
        other => unicode_width::UnicodeWidthChar::width(other).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::Error;
    use super::Place;
    use super::excerpt;

    fn check(text: &str, marked: &str, expected: &str) {
        let start = text.find(marked).unwrap();
        let place = Place {
            file: "Dockerfile".to_owned(),
            text: text.to_owned(),
            bytes: start..start + marked.len(),
        };
        let mut out = String::new();
        excerpt(&place, &mut out);
        let plain = anstream::adapter::strip_str(&out).to_string();
        assert_eq!(plain, expected, "\n{plain}");
    }

    #[test]
    fn a_word_gets_carets() {
        check(
            "FROM a\nRUNN  ls\nCMD b\n",
            "RUNN",
            " --> Dockerfile:2:1\n1 | FROM a\n2 | RUNN  ls\n  | ^^^^\n3 | CMD b\n",
        );
        check(
            "\tCOPY 字 é\n",
            "é",
            " --> Dockerfile:1:9\n1 |     COPY 字 é\n  |             ^\n",
        );
    }

    #[test]
    fn several_lines_get_arrows() {
        check(
            "FROM a\nRUN b \\\n  c\nCMD d\n",
            "RUN b \\\n  c",
            " --> Dockerfile:2:1\n1 |   FROM a\n2 | > RUN b \\\n3 | >   c\n4 |   CMD d\n",
        );
    }

    #[test]
    fn a_long_instruction_is_shortened() {
        let body: String = (0..40).map(|line| format!("line {line}\n")).collect();
        let text = format!("RUN <<E\n{body}E\n");
        let place = Place {
            file: "f".to_owned(),
            bytes: 0..text.len() - 1,
            text,
        };
        let mut out = String::new();
        excerpt(&place, &mut out);
        assert!(out.lines().count() < 20, "{out}");
        assert!(out.contains("42 |"), "{out}");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let long = "x".repeat(1 << 20);
        let (before, lead) = ("x".repeat(400), "x".repeat(78));
        check(
            &format!("{long} wrong {long}\n{long}\n"),
            "wrong",
            &format!(
                " --> Dockerfile:1:1048578\n1 | …{lead}x wrong {}…\n  | {}^^^^^\n2 | {before}…\n",
                "x".repeat(314),
                " ".repeat(81),
            ),
        );
        let message = super::shown(&long);
        assert!(message.ends_with("x… (1048576 bytes in all)"));
        assert!(message.len() < 3000);
    }

    #[test]
    fn an_error_moves_no_cursor() {
        let error = Error::NoAgent {
            id: "a\u{1b}]0;x\u{7}".to_owned(),
        };
        let plain = anstream::adapter::strip_str(&super::text(&error)).to_string();
        assert!(plain.contains("a\u{fffd}]0;x\u{fffd}"), "{plain}");
    }

    #[test]
    fn a_place_outside_the_text_is_no_disaster() {
        for bytes in [0..0, 5..900, 900..901] {
            let place = Place {
                file: "f".to_owned(),
                text: "é".to_owned(),
                bytes,
            };
            excerpt(&place, &mut String::new());
        }
    }
}
