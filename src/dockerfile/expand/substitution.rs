//! `$v` and `${v…}`: the part of the lexer that looks variables up.

use crate::dockerfile::ExpandError;
use crate::dockerfile::expand::TOO_LONG;
use crate::dockerfile::expand::brace::Brace;
use crate::dockerfile::expand::brace::Part;
use crate::dockerfile::expand::lexer::Kind;
use crate::dockerfile::expand::lexer::Lexer;
use crate::dockerfile::expand::lexer::Open;

type Result<T> = std::result::Result<T, ExpandError>;

impl<'a> Lexer<'a> {
    /// Adds the result of a substitution.
    fn substitute(&mut self, value: &str) -> Result<()> {
        self.charge(value)?;
        self.push(value, false);
        Ok(())
    }

    /// Counts a value that is added.
    fn charge(&mut self, value: &str) -> Result<()> {
        self.charge_bytes(value.len())
    }

    fn charge_bytes(&mut self, bytes: usize) -> Result<()> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(TOO_LONG)?;
        Ok(())
    }

    /// `$`, wherever it stands.
    pub(super) fn dollar(&mut self) -> Result<()> {
        if self.open.is_empty() {
            self.begun = self.position;
        }
        self.position += 1;
        if self.peek() == Some('{') {
            self.position += 1;
            return self.brace();
        }
        let start = self.position - 1;
        let name = self.name();
        if name.is_empty() {
            return self.substitute("$");
        }
        match self.value(name) {
            Some(value) => self.substitute(value),
            None if self.lexing.keep_unset => self.substitute(&self.text[start..self.position]),
            None => self.substitute(""),
        }
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

    fn value(&mut self, name: &str) -> Option<&'a str> {
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
                return match self.value(name) {
                    Some(value) => self.substitute(value),
                    None if self.lexing.keep_unset => {
                        self.substitute(&self.text[opened - 2..self.position])
                    }
                    None => self.substitute(""),
                };
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
    pub(super) fn close(&mut self) -> Result<()> {
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
            self.charge_bytes(brace.looked_through(&self.out[start..], value))?;
            if let Some(result) = brace.result(&self.out[start..], value, self.left)? {
                self.charge(&result)?;
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
