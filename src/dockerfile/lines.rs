//! Physical lines to logical ones: directives, comments, continuations and here-document bodies.
//!
//! This is what a grammar for one instruction cannot do: whether a line goes on, is a comment or
//! belongs to a here-document depends on the lines before it.

use std::borrow::Cow;
use std::ops::Range;

use crate::dockerfile::Directive;
use crate::dockerfile::Error;
use crate::dockerfile::Escape;
use crate::dockerfile::Problem;
use crate::dockerfile::Span;
use crate::dockerfile::Word;
use crate::dockerfile::grammar;
use crate::dockerfile::grammar::Rule;

/// The longest line other builders read, in bytes without its line feed.
const LONGEST_LINE: usize = 65_535;

/// Reads logical lines one after the other.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    position: usize,
    /// How many lines have been read.
    number: u32,
    pub(super) escape: Escape,
    pub(super) directives: Vec<Directive>,
    directives_done: bool,
    comments: Vec<String>,
}

/// A line of the file.
#[derive(Debug, Clone, Copy)]
struct Physical<'a> {
    /// Without its line end.
    text: &'a str,
    start: usize,
    number: u32,
}

/// An instruction on one line, with the way back to where each part of it stands.
#[derive(Debug)]
pub(super) struct Logical<'a> {
    /// The joined lines. White space at the end is kept.
    pub(super) text: Cow<'a, str>,
    /// Where the text comes from; for offset 0, then for each place where a line was joined.
    first: Piece,
    more: Vec<Piece>,
    /// The last line, continuations included.
    pub(super) last_line: u32,
    /// The comment block above.
    pub(super) comments: Vec<String>,
    /// Whether there are blank lines inside.
    pub(super) blank_lines: bool,
}

/// Text that stands in one piece in the file.
#[derive(Debug, Clone, Copy)]
struct Piece {
    offset: usize,
    source: usize,
    line: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            position: if text.starts_with('\u{feff}') {
                '\u{feff}'.len_utf8()
            } else {
                0
            },
            number: 0,
            escape: Escape::default(),
            directives: Vec::new(),
            directives_done: false,
            comments: Vec::new(),
        }
    }

    /// The span of the whole text.
    pub(super) fn everything(&self) -> Span {
        Span {
            start: 0,
            end: self.text.len(),
            first_line: 1,
            last_line: self.number.max(1),
        }
    }

    fn physical(&mut self) -> Result<Option<Physical<'a>>, Error> {
        let rest = &self.text[self.position..];
        if rest.is_empty() {
            return Ok(None);
        }
        let end = rest.find('\n');
        let (start, length) = (self.position, end.unwrap_or(rest.len()));
        self.number += 1;
        let raw = &rest[..end.map_or(length, |end| end + 1)];
        let line = Physical {
            text: raw.trim_end_matches(['\r', '\n']),
            start,
            number: self.number,
        };
        if length > LONGEST_LINE {
            let problem = Problem::LineTooLong {
                bytes: length,
                longest: LONGEST_LINE,
            };
            return Err(Error::new(line.span(), problem));
        }
        self.position += raw.len();
        Ok(Some(line))
    }

    /// The next instruction's line.
    pub(super) fn logical(&mut self) -> Result<Option<Logical<'a>>, Error> {
        while let Some(line) = self.physical()? {
            let trimmed = line.text.trim_start();
            let comment = trimmed.starts_with('#');
            if comment {
                self.comment(line);
            }
            self.directive(line, trimmed)?;
            if comment || trimmed.is_empty() {
                continue;
            }
            return self.continued(line, trimmed).map(Some);
        }
        Ok(None)
    }

    /// Remembers a comment; one without text ends the block.
    fn comment(&mut self, line: Physical<'_>) {
        // The first character goes, whatever it is: an indented comment keeps its `#`, as in other
        // builders.
        let mut chars = line.text.chars();
        chars.next();
        let text = chars.as_str().trim();
        if text.is_empty() {
            self.comments.clear();
        } else {
            self.comments.push(text.to_owned());
        }
    }

    /// Takes a directive, which is a comment at the very top; any other line ends them.
    fn directive(&mut self, line: Physical<'_>, trimmed: &str) -> Result<(), Error> {
        if self.directives_done {
            return Ok(());
        }
        let Some((name, value)) = split_directive(trimmed) else {
            self.directives_done = true;
            return Ok(());
        };
        let span = line.span();
        if self
            .directives
            .iter()
            .any(|directive| directive.name == name)
        {
            return Err(Error::new(span, Problem::DirectiveTwice { name }));
        }
        if name == "escape" {
            self.escape = match value {
                "\\" => Escape::Backslash,
                "`" => Escape::Backtick,
                found => {
                    let found = found.to_owned();
                    return Err(Error::new(span, Problem::EscapeDirective { found }));
                }
            };
        }
        self.comments.pop();
        self.directives.push(Directive {
            name,
            value: value.to_owned(),
            span,
        });
        Ok(())
    }

    /// Joins the lines that continue `line`.
    fn continued(&mut self, line: Physical<'a>, trimmed: &'a str) -> Result<Logical<'a>, Error> {
        let indent = line.text.len() - trimmed.len();
        let first = Piece {
            offset: 0,
            source: line.start + indent,
            line: line.number,
        };
        let (head, mut open) = self.split_continuation(trimmed);
        let mut logical = Logical {
            text: Cow::Borrowed(head),
            first,
            more: Vec::new(),
            last_line: line.number,
            comments: std::mem::take(&mut self.comments),
            blank_lines: false,
        };
        while open {
            let Some(line) = self.physical()? else { break };
            logical.last_line = line.number;
            let trimmed = line.text.trim_start();
            if trimmed.is_empty() {
                logical.blank_lines = true;
            } else if !trimmed.starts_with('#') {
                let (part, goes_on) = self.split_continuation(line.text);
                logical.join(part, line);
                open = goes_on;
            }
        }
        Ok(logical)
    }

    /// Splits the escape character off a line that goes on. It has blanks behind it at most, and
    /// does not count when another stands before it.
    fn split_continuation<'line>(&self, line: &'line str) -> (&'line str, bool) {
        let escape = self.escape.char();
        match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
            Some(head) if !head.ends_with(escape) => (head, true),
            _ => (line, false),
        }
    }

    /// The lines up to one that is `terminator`, leading tabs aside if `chomp`.
    pub(super) fn heredoc(
        &mut self,
        terminator: &str,
        chomp: bool,
    ) -> Result<Option<(&'a str, Span)>, Error> {
        let (start, first_line) = (self.position, self.number + 1);
        while let Some(line) = self.physical()? {
            let text = if chomp {
                line.text.trim_start_matches('\t')
            } else {
                line.text
            };
            if text == terminator {
                let end = line.start;
                let span = Span {
                    start,
                    end,
                    first_line,
                    last_line: line.number,
                };
                return Ok(Some((&self.text[start..end], span)));
            }
        }
        Ok(None)
    }

    /// The span from `start` to the end of the last line read.
    pub(super) fn span_from(&self, start: Span) -> Span {
        let read = &self.text[start.start..self.position];
        let end = start.start + read.trim_end().len();
        Span {
            end: end.max(start.end),
            last_line: self.number,
            ..start
        }
    }
}

/// Name and value of a directive.
fn split_directive(line: &str) -> Option<(String, &str)> {
    let mut pairs = grammar::matches(Rule::directive, line)
        .ok()?
        .next()?
        .into_inner();
    let name = pairs.next()?.as_str().to_ascii_lowercase();
    let value = pairs.next()?.as_str();
    if !matches!(name.as_str(), "syntax" | "escape" | "check") {
        return None;
    }
    let space = [' ', '\t', '\r', '\u{0C}'];
    match value.trim_matches(space) {
        // Other builders take the last blank of an empty value for the value.
        "" if value.ends_with(space) => Some((name, &value[value.len() - 1..])),
        value => Some((name, value)),
    }
}

impl Physical<'_> {
    fn span(&self) -> Span {
        let end = self.start + self.text.len();
        Span {
            start: self.start,
            end,
            first_line: self.number,
            last_line: self.number,
        }
    }
}

impl Logical<'_> {
    fn join(&mut self, part: &str, line: Physical<'_>) {
        let offset = self.text.len();
        self.more.push(Piece {
            offset,
            source: line.start,
            line: line.number,
        });
        self.text.to_mut().push_str(part);
    }

    fn piece(&self, offset: usize) -> Piece {
        let behind = self.more.partition_point(|piece| piece.offset <= offset);
        if behind == 0 {
            self.first
        } else {
            self.more[behind - 1]
        }
    }

    /// Where a part of the text stands.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        let first = self.piece(range.start);
        let start = first.source + (range.start - first.offset);
        if range.is_empty() {
            return Span {
                start,
                end: start,
                first_line: first.line,
                last_line: first.line,
            };
        }
        let last = self.piece(range.end - 1);
        let end = last.source + (range.end - last.offset);
        Span {
            start,
            end,
            first_line: first.line,
            last_line: last.line,
        }
    }

    /// A part of the text with its place.
    pub(super) fn word(&self, range: Range<usize>) -> Word {
        Word {
            text: self.text[range.clone()].to_owned(),
            span: self.span(range),
        }
    }

    /// The part of the text without the white space at its ends.
    pub(super) fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let text = &self.text[range.clone()];
        let start = range.start + (text.len() - text.trim_start().len());
        start..start + text.trim().len()
    }
}
