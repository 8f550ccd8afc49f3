//! The lexer: one pass over the text with an explicit stack of open quotes and substitutions.

use crate::dockerfile::ExpandError;
use crate::dockerfile::expand::Expansion;
use crate::dockerfile::expand::Lexing;
use crate::dockerfile::expand::brace::Brace;
use crate::dockerfile::expand::brace::Part;
use crate::dockerfile::expand::words::Words;

type Result<T> = std::result::Result<T, ExpandError>;

/// The characters that mean something somewhere.
const SPECIAL: [char; 8] = ['$', '<', '\'', '"', '\\', '`', '}', '/'];

/// The state of one expansion.
pub(super) struct Lexer<'a> {
    pub(super) text: &'a str,
    pub(super) position: usize,
    /// Where the last substitution began that is in no other and in no quotes.
    pub(super) begun: usize,
    pub(super) lexing: Lexing,
    pub(super) lookup: &'a dyn Fn(&str) -> Option<&'a str>,
    /// What is open around `position`, outermost first.
    pub(super) open: Vec<Open<'a>>,
    /// Everything produced so far. An open element owns the end of it, from its `start`; so an
    /// inner word is never copied outwards, however deep it stands.
    pub(super) out: String,
    pub(super) words: Words,
    pub(super) found: Expansion,
    /// How many bytes of values may still be added.
    pub(super) left: usize,
    most: usize,
}

/// An open quote or substitution.
pub(super) struct Open<'a> {
    /// Where its text starts in the output.
    pub(super) start: usize,
    pub(super) raw_escapes: bool,
    pub(super) kind: Kind<'a>,
}

pub(super) enum Kind<'a> {
    Quote,
    Brace(Brace<'a>),
}

impl<'a> Lexer<'a> {
    pub(super) fn new(
        text: &'a str,
        lexing: Lexing,
        lookup: &'a dyn Fn(&str) -> Option<&'a str>,
        most: usize,
    ) -> Self {
        let (open, found, words) = (Vec::new(), Expansion::default(), Words::default());
        let out = String::with_capacity(text.len());
        Self {
            text,
            position: 0,
            begun: 0,
            lexing,
            lookup,
            open,
            out,
            words,
            found,
            left: most,
            most,
        }
    }

    pub(super) fn run(mut self) -> Result<(Expansion, usize)> {
        self.go()?;
        self.found.text = self.out;
        self.found.words = self.words.finish();
        Ok((self.found, self.most - self.left))
    }

    /// Where the substitution begins that fails, or the end.
    pub(super) fn expandable(mut self) -> usize {
        match self.go() {
            Ok(()) => self.text.len(),
            Err(_) => self.begun,
        }
    }

    fn go(&mut self) -> Result<()> {
        loop {
            let step = match self.open.last() {
                Some(Open {
                    kind: Kind::Quote, ..
                }) => self.quoted(),
                _ => self.unquoted(),
            };
            match step {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return Err(self.at_end(error)),
            }
        }
    }

    /// An error at the end of the text is reported as the outermost substitution's missing end.
    fn at_end(&self, error: ExpandError) -> ExpandError {
        if self.peek().is_some() {
            return error;
        }
        let outermost = self.open.iter().find_map(|open| match &open.kind {
            Kind::Brace(brace) => Some(&brace.part),
            Kind::Quote => None,
        });
        match outermost {
            None => error,
            Some(Part::Pattern { .. }) => ExpandError::MissingSlash,
            Some(_) => ExpandError::MissingBrace,
        }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.text[self.position..].chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.position += char.len_utf8();
        Some(char)
    }

    fn raw_escapes(&self) -> bool {
        self.open
            .last()
            .map_or(self.lexing.raw_escapes, |open| open.raw_escapes)
    }

    /// Adds literal text; at the outermost level `in_word` says whether it may separate words.
    pub(super) fn push(&mut self, text: &str, in_word: bool) {
        self.out.push_str(text);
        if !self.open.is_empty() {
            return;
        }
        if in_word {
            self.words.join(text)
        } else {
            self.words.split(text)
        }
    }

    /// One step outside of double quotes; `false` at the end of the text.
    fn unquoted(&mut self) -> Result<bool> {
        self.plain_run();
        let Some(char) = self.peek() else {
            return if self.open.is_empty() {
                Ok(false)
            } else {
                Err(ExpandError::MissingBrace)
            };
        };
        if self.closes(char) {
            self.position += 1;
            return self.close().map(|()| true);
        }
        match char {
            '$' => self.dollar()?,
            '<' => self.angle(),
            '\'' if !self.lexing.skip_quotes => self.single_quote()?,
            '"' if !self.lexing.skip_quotes => self.open_quote(),
            _ if char == self.lexing.escape.char() => self.escaped(),
            _ => {
                let start = self.position;
                self.position += char.len_utf8();
                self.push(&self.text[start..self.position], false);
            }
        }
        Ok(true)
    }

    /// Takes the characters that mean nothing anywhere, all at once.
    fn plain_run(&mut self) {
        let rest = &self.text[self.position..];
        let length = rest.find(SPECIAL).unwrap_or(rest.len());
        self.position += length;
        self.push(&rest[..length], false);
    }

    fn closes(&self, char: char) -> bool {
        match self.open.last().map(|open| &open.kind) {
            Some(Kind::Brace(Brace {
                part: Part::Pattern { .. },
                ..
            })) => char == '/',
            Some(Kind::Brace(_)) => char == '}',
            _ => false,
        }
    }

    /// The escape character outside of quotes: the next character is literal.
    fn escaped(&mut self) {
        let start = self.position;
        self.position += 1;
        let next = self.position;
        self.next();
        let from = if self.raw_escapes() { start } else { next };
        if from < self.position {
            self.push(&self.text[from..self.position], true);
        }
    }

    /// `<`: a here-document's `<<` belongs to one word with the delimiter after it.
    fn angle(&mut self) {
        let rest = &self.text[self.position..];
        let length = match rest.strip_prefix("<<") {
            Some(after) => rest.len() - after.trim_start().len(),
            None => 1,
        };
        self.position += length;
        self.push(&rest[..length], true);
    }

    fn single_quote(&mut self) -> Result<()> {
        let rest = &self.text[self.position..];
        let Some(length) = rest[1..].find('\'') else {
            self.position = self.text.len();
            return Err(ExpandError::MissingSingleQuote);
        };
        let whole = length + 2;
        self.position += whole;
        let content = if self.lexing.raw_quotes {
            &rest[..whole]
        } else {
            &rest[1..=length]
        };
        self.push(content, true);
        Ok(())
    }

    fn open_quote(&mut self) {
        self.position += 1;
        let (start, raw_escapes) = (self.out.len(), self.raw_escapes());
        self.open.push(Open {
            start,
            raw_escapes,
            kind: Kind::Quote,
        });
        if self.lexing.raw_quotes {
            self.out.push('"');
        }
    }

    /// One step inside double quotes.
    fn quoted(&mut self) -> Result<bool> {
        let escape = self.lexing.escape.char();
        let rest = &self.text[self.position..];
        let length = rest.find(['"', '$', escape]);
        let Some(length) = length else {
            self.position = self.text.len();
            return Err(ExpandError::MissingDoubleQuote);
        };
        self.out.push_str(&rest[..length]);
        self.position += length;
        if rest[length..].starts_with('$') {
            return self.dollar().map(|()| true);
        }
        self.position += 1;
        if rest[length..].starts_with('"') {
            self.close_quote();
            return Ok(true);
        }
        if self.raw_escapes() {
            self.out.push(escape);
        }
        match self.peek() {
            // A quote that ends with the escape character has no end: the next step says so.
            None => {}
            Some(char) if matches!(char, '"' | '$') || char == escape => {
                self.position += 1;
                self.out.push(char);
            }
            Some(_) => self.out.push(escape),
        }
        Ok(true)
    }

    fn close_quote(&mut self) {
        if self.lexing.raw_quotes {
            self.out.push('"');
        }
        let start = self.open.pop().map_or(0, |open| open.start);
        if self.open.is_empty() {
            self.words.join(&self.out[start..]);
        }
    }
}
