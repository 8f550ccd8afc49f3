//! The lexer: one pass over the text with an explicit stack of open quotes and substitutions.

use crate::dockerfile::ExpandError;
use crate::dockerfile::expand::Expansion;
use crate::dockerfile::expand::Lexing;
use crate::dockerfile::expand::pattern::Pattern;
use crate::dockerfile::expand::words::Words;

type Result<T> = std::result::Result<T, ExpandError>;

/// The state of one expansion.
pub(super) struct Lexer<'a> {
    text: &'a str,
    position: usize,
    lexing: Lexing,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    /// What is open around `position`, outermost first.
    open: Vec<Open<'a>>,
    /// Everything produced so far. An open element owns the end of it, from its `start`; so an
    /// inner word is never copied outwards, however deep it stands.
    out: String,
    words: Words,
    found: Expansion,
}

/// An open quote or substitution.
struct Open<'a> {
    /// Where its text starts in the output.
    start: usize,
    raw_escapes: bool,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Quote,
    Brace(Brace<'a>),
}

/// An open `${name…`.
struct Brace<'a> {
    name: &'a str,
    /// What follows the name: `-`, `:-`, `%`, `/` …
    operator: &'a str,
    /// Unset, and to stay as written.
    kept: bool,
    part: Part,
}

/// Which part of a substitution is being read.
enum Part {
    /// The word up to `}`.
    Word,
    /// The pattern of `/` up to the next `/`.
    Pattern { all: bool },
    /// The replacement up to `}`, with the pattern read before.
    Replacement { all: bool, pattern: String },
}

impl<'a> Lexer<'a> {
    pub(super) fn new(
        text: &'a str,
        lexing: Lexing,
        lookup: &'a dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let (open, found, words) = (Vec::new(), Expansion::default(), Words::default());
        let out = String::with_capacity(text.len());
        Self {
            text,
            position: 0,
            lexing,
            lookup,
            open,
            out,
            words,
            found,
        }
    }

    pub(super) fn run(mut self) -> Result<Expansion> {
        loop {
            let step = match self.open.last() {
                Some(Open {
                    kind: Kind::Quote, ..
                }) => self.quoted(),
                _ => self.unquoted(),
            };
            match step {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(self.at_end(error)),
            }
        }
        self.found.text = self.out;
        self.found.words = self.words.finish();
        Ok(self.found)
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

    fn peek(&self) -> Option<char> {
        self.text[self.position..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
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
    fn push(&mut self, text: &str, in_word: bool) {
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
        let special = |char: char| matches!(char, '$' | '<' | '\'' | '"' | '\\' | '`' | '}' | '/');
        let length = rest.find(special).unwrap_or(rest.len());
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

    /// Adds the result of a substitution.
    fn substitute(&mut self, value: &str) {
        self.push(value, false);
    }

    /// `$`, wherever it stands.
    fn dollar(&mut self) -> Result<()> {
        self.position += 1;
        if self.peek() == Some('{') {
            self.position += 1;
            return self.brace();
        }
        let start = self.position - 1;
        let name = self.name();
        if name.is_empty() {
            self.substitute("$");
            return Ok(());
        }
        match self.value(name) {
            Some(value) => self.substitute(&value),
            None if self.lexing.keep_unset => self.substitute(&self.text[start..self.position]),
            None => self.substitute(""),
        }
        Ok(())
    }

    /// Reads a variable's name: digits, one special parameter, or letters, digits and `_`.
    fn name(&mut self) -> &'a str {
        let rest = &self.text[self.position..];
        let first = rest.chars().next();
        let length = match first {
            Some(char) if char.is_numeric() => rest
                .find(|char: char| !char.is_numeric())
                .unwrap_or(rest.len()),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            _ => rest
                .find(|char: char| !char.is_alphanumeric() && char != '_')
                .unwrap_or(rest.len()),
        };
        self.position += length;
        &rest[..length]
    }

    fn value(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name);
        let names = match value {
            Some(_) => &mut self.found.matched,
            None => &mut self.found.unmatched,
        };
        if !names.contains(name) {
            names.insert(name.to_owned());
        }
        value
    }

    /// Behind `${`: the name and what follows it.
    fn brace(&mut self) -> Result<()> {
        match self.peek() {
            None => return Err(ExpandError::MissingBrace),
            Some('{' | '}' | ':') => return Err(ExpandError::BadSubstitution),
            Some(_) => {}
        }
        let opened = self.position;
        let name = self.name();
        let operator = self.position;
        match self.next() {
            Some('}') => {
                match self.value(name) {
                    Some(value) => self.substitute(&value),
                    None if self.lexing.keep_unset => {
                        self.substitute(&self.text[opened - 2..self.position]);
                    }
                    None => self.substitute(""),
                }
                return Ok(());
            }
            Some(':') => {
                self.next();
            }
            Some('+' | '-' | '?' | '#' | '%' | '/') => {}
            Some(found) => {
                return Err(ExpandError::Modifier {
                    modifier: found.to_string(),
                });
            }
            None => return Err(ExpandError::MissingBrace),
        }
        self.open_brace(name, &self.text[operator..self.position]);
        Ok(())
    }

    fn open_brace(&mut self, name: &'a str, operator: &'a str) {
        self.words.forget();
        let kept = self.lexing.keep_unset && self.value(name).is_none();
        if kept {
            self.out.push_str("${");
            self.out.push_str(name);
            self.out.push_str(operator);
        }
        let mut part = Part::Word;
        if operator == "/" {
            let all = self.peek() == Some('/');
            self.position += usize::from(all);
            part = Part::Pattern { all };
        }
        let raw_escapes = operator.ends_with(['#', '%', '/']);
        let kind = Kind::Brace(Brace {
            name,
            operator,
            kept,
            part,
        });
        // A kept substitution stands in the output from its `${` on, for the words.
        let start = self.out.len()
            - if kept {
                2 + name.len() + operator.len()
            } else {
                0
            };
        self.open.push(Open {
            start,
            raw_escapes,
            kind,
        });
    }

    /// At the end of a substitution's pattern or word: puts its result in place of it.
    fn close(&mut self) -> Result<()> {
        let Some(Open {
            start,
            kind: Kind::Brace(mut brace),
            raw_escapes,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        if let Part::Pattern { all } = brace.part {
            let pattern = if brace.kept {
                self.out.push('/');
                String::new()
            } else {
                self.out.split_off(start)
            };
            brace.part = Part::Replacement { all, pattern };
            self.open.push(Open {
                start,
                kind: Kind::Brace(brace),
                raw_escapes,
            });
            return Ok(());
        }
        if brace.kept {
            self.out.push('}');
        } else {
            // Only now, so that what is open never holds values.
            let value = self.value(brace.name);
            if let Some(result) = brace.result(&self.out[start..], value)? {
                self.out.truncate(start);
                self.out.push_str(&result);
            }
        }
        if self.open.is_empty() {
            self.words.split(&self.out[start..]);
        }
        Ok(())
    }
}

impl Brace<'_> {
    /// What to put in place of `word`; `None` to leave it.
    fn result(&self, word: &str, value: Option<String>) -> Result<Option<String>> {
        let colon = self.operator.len() > 1;
        let usable = value
            .as_deref()
            .is_some_and(|value| !(colon && value.is_empty()));
        let text = value.as_deref().unwrap_or_default();
        match self.operator {
            "-" | ":-" => Ok(value.filter(|_| usable)),
            "+" | ":+" => Ok((!usable).then(String::new)),
            "?" | ":?" if usable => Ok(value),
            "?" | ":?" => Err(self.required(word, value.is_some())),
            "#" => trim(word, '#', text, Pattern::trim_prefix).map(Some),
            "%" => trim(word, '%', text, Pattern::trim_suffix).map(Some),
            operator => match &self.part {
                Part::Replacement { all, pattern } => {
                    Ok(Some(Pattern::parse(pattern)?.replace(text, word, *all)))
                }
                _ => Err(ExpandError::Modifier {
                    modifier: operator.to_owned(),
                }),
            },
        }
    }

    fn required(&self, message: &str, set: bool) -> ExpandError {
        let state = if set { "empty" } else { "unset" };
        let message = match message {
            "" => format!("is not allowed to be {state}"),
            message => message.to_owned(),
        };
        ExpandError::Required {
            name: self.name.to_owned(),
            message,
        }
    }
}

/// Removes the shortest match of the pattern, or the longest when the operator stands twice.
fn trim(
    word: &str,
    operator: char,
    value: &str,
    trim: fn(&Pattern, &str, bool) -> String,
) -> Result<String> {
    let (pattern, longest) = match word.strip_prefix(operator) {
        Some(pattern) => (pattern, true),
        None => (word, false),
    };
    Ok(trim(&Pattern::parse(pattern)?, value, longest))
}
