//! The patterns of `${v#p}` and `${v/p/r}`: `*` and `?`, neither of which matches a line end.

use crate::dockerfile::ExpandError;

/// A pattern: literal runs with a `*` between each two.
#[derive(Debug)]
pub(super) struct Pattern {
    runs: Vec<Vec<Token>>,
}

/// What matches are replaced with.
#[derive(Debug)]
pub(super) struct Replacement<'a> {
    pub(super) text: &'a str,
    /// Whether all matches are, and not the first alone.
    pub(super) all: bool,
    /// How many bytes the result may have.
    pub(super) longest: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Literal(char),
    Any,
}

/// Where a pattern matched, in characters.
#[derive(Debug, Clone, Copy)]
struct Match {
    start: usize,
    end: usize,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, ExpandError> {
        let mut runs = vec![Vec::new()];
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            let token = match char {
                '*' => {
                    runs.push(Vec::new());
                    continue;
                }
                '?' => Token::Any,
                // `}` and `/` are escaped for the sake of the substitution around the pattern.
                '\\' if matches!(chars.peek(), Some('}' | '/')) => continue,
                '\\' => match chars.next() {
                    Some(char @ ('*' | '?' | '\\')) => Token::Literal(char),
                    escaped => {
                        let escaped = escaped.map(String::from).unwrap_or_default();
                        return Err(ExpandError::PatternEscape {
                            pattern: text.to_owned(),
                            escaped,
                        });
                    }
                },
                char => Token::Literal(char),
            };
            if let Some(run) = runs.last_mut() {
                run.push(token);
            }
        }
        Ok(Self { runs })
    }

    /// The value without its shortest or longest beginning that matches.
    pub(super) fn trim_prefix(&self, value: &str, longest: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        match self.match_at(&chars, 0, longest) {
            Some(end) => chars[end..].iter().collect(),
            None => value.to_owned(),
        }
    }

    /// The value without its shortest or longest end that matches.
    pub(super) fn trim_suffix(&self, value: &str, longest: bool) -> String {
        let chars: Vec<char> = value.chars().rev().collect();
        let reverse = |run: &Vec<Token>| run.iter().rev().copied().collect();
        let reversed = Self {
            runs: self.runs.iter().rev().map(reverse).collect(),
        };
        match reversed.match_at(&chars, 0, longest) {
            Some(end) => chars[end..].iter().rev().collect(),
            None => value.to_owned(),
        }
    }

    /// The value with its first match, or with all, replaced; none if that is too long.
    pub(super) fn replace(&self, value: &str, replacement: &Replacement<'_>) -> Option<String> {
        let chars: Vec<char> = value.chars().collect();
        let mut out = String::with_capacity(value.len());
        let (mut copied, mut search) = (0, 0);
        while let Some(found) = self.find(&chars, search) {
            out.extend(&chars[copied..found.start]);
            if !replacement.all {
                out.push_str(replacement.text);
                copied = found.end;
                break;
            }
            // Nothing found right behind a match is no match of its own.
            if found.end > copied || found.start == 0 {
                push_template(&mut out, replacement, &chars[found.start..found.end])?;
            }
            copied = found.end;
            search = if found.end > search {
                found.end
            } else {
                search + 1
            };
            if search > chars.len() {
                break;
            }
        }
        out.extend(&chars[copied..]);
        Some(out)
    }

    /// The leftmost, then longest match from `from` on.
    fn find(&self, chars: &[char], from: usize) -> Option<Match> {
        let (first, starred) = (&self.runs[0], self.runs.len() > 1);
        let mut start = from;
        loop {
            start = find_run(first, chars, start, chars.len(), false)?;
            if let Some(end) = self.match_at(chars, start, true) {
                return Some(Match { start, end });
            }
            debug_assert!(starred, "a pattern without `*` is its first run");
            // What follows the first `*` is not on this line, so no later start on it does better.
            start = line_end(chars, start) + 1;
        }
    }

    /// The end of the match that begins at `start`: shortest, or longest.
    ///
    /// No `*` crosses a line end, and a run that holds one fits in one place at most; so the line
    /// each `*` matches on is the same in every match, and each run may be placed on its own: as
    /// early as possible from the left, then, for the longest match, as late as possible.
    fn match_at(&self, chars: &[char], start: usize, longest: bool) -> Option<usize> {
        let (first, rest) = self.runs.split_first()?;
        if !run_at(first, chars, start) {
            return None;
        }
        let mut end = start + first.len();
        if rest.is_empty() {
            return Some(end);
        }
        let mut limit = line_end(chars, end);
        for (index, run) in rest.iter().enumerate() {
            if end > limit {
                limit = line_end(chars, end);
            }
            let last = longest && index + 1 == rest.len();
            let found = find_run(run, chars, end, limit, last)?;
            end = found + run.len();
        }
        Some(end)
    }
}

/// Where `run` begins, at `from..=to`: the first place, or the last.
fn find_run(run: &[Token], chars: &[char], from: usize, to: usize, last: bool) -> Option<usize> {
    let fits = |&start: &usize| run_at(run, chars, start);
    if last {
        (from..=to).rev().find(fits)
    } else {
        (from..=to).find(fits)
    }
}

fn run_at(run: &[Token], chars: &[char], start: usize) -> bool {
    let Some(stretch) = chars.get(start..start + run.len()) else {
        return false;
    };
    run.iter().zip(stretch).all(|(token, &char)| match token {
        Token::Literal(literal) => *literal == char,
        Token::Any => char != '\n',
    })
}

/// The offset of the line end at or behind `from`.
fn line_end(chars: &[char], from: usize) -> usize {
    chars[from..]
        .iter()
        .position(|&char| char == '\n')
        .map_or(chars.len(), |length| from + length)
}

/// Adds the replacement of a `//`, which other builders take for a template of Go's `regexp`: `$0`
/// and `${0}` stand for the match, other names for nothing, `$$` for `$`. None if that is too long.
fn push_template(out: &mut String, template: &Replacement<'_>, matched: &[char]) -> Option<()> {
    let mut rest = template.text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let (name, behind) = template_name(after);
        if name.is_empty() {
            out.push('$');
            rest = after;
            continue;
        }
        if name == "0" {
            out.extend(matched);
            (out.len() <= template.longest).then_some(())?;
        }
        rest = behind;
    }
    out.push_str(rest);
    (out.len() <= template.longest).then_some(())
}

/// Splits a template's name, in braces or not, from what follows it; empty where there is none.
fn template_name(text: &str) -> (&str, &str) {
    let braced = text.strip_prefix('{');
    let name = braced.unwrap_or(text);
    let length = name.find(|char: char| !char.is_alphanumeric() && char != '_');
    let (name, behind) = name.split_at(length.unwrap_or(name.len()));
    match (braced, behind.strip_prefix('}')) {
        (None, _) => (name, behind),
        (Some(_), Some(behind)) => (name, behind),
        (Some(_), None) => ("", text),
    }
}
