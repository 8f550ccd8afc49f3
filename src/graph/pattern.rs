//! Patterns over paths: Go's `filepath.Match`, as `COPY` sources use it, and the pattern lists of
//! ignore files, as moby's patternmatcher reads them.
//!
//! A pattern is compiled to a list of states and matched by walking all of them at once, so that
//! time is linear in pattern times path, whatever the pattern.

use thiserror::Error;

/// A pattern that breaks the syntax: a `[` without its `]`, or a `\` at the end.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("syntax error in pattern {pattern:?}")]
pub struct PatternError {
    /// The pattern.
    pub pattern: String,
}

/// Says whether a path has characters that make it a pattern: `*`, `?` or `[`, not escaped.
#[must_use]
pub fn has_wildcards(path: &str) -> bool {
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return true,
            '\\' => {
                chars.next();
            }
            _ => {}
        }
    }
    false
}

/// Matches as Go's `filepath.Match`: `*` and `?` stop at `/`. A malformed pattern matches nothing.
#[must_use]
pub fn glob_matches(pattern: &str, path: &str) -> bool {
    compile(pattern, Stars::Single).is_ok_and(|states| run(&states, path) == Reached::Whole)
}

/// Says whether a path is a pattern in good order, or no pattern at all.
///
/// # Errors
/// [`PatternError`] if it has wildcards and is malformed.
pub fn check_glob(path: &str) -> Result<(), PatternError> {
    if !has_wildcards(path) || compile(path, Stars::Single).is_ok() {
        return Ok(());
    }
    Err(PatternError {
        pattern: path.to_owned(),
    })
}

/// Cleans a path as Go's `path.Clean`: no empty, `.` or inner `..` parts; `.` if nothing is left.
#[must_use]
pub fn clean_path(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// A list of patterns of which the last one that matches decides, as in an ignore file.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    /// The pattern as it was given.
    text: String,
    /// The pattern cleaned, without `!`.
    cleaned: String,
    /// Whether it takes back what others matched (`!`).
    negated: bool,
    states: Vec<State>,
}

impl Patterns {
    /// Compiles a list. Spaces around a pattern and empty patterns do not count.
    ///
    /// # Errors
    /// [`PatternError`] for the first pattern that is malformed, `!` alone included.
    pub fn new<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> Result<Self, PatternError> {
        let mut patterns = Vec::new();
        for line in lines {
            let text = line.as_ref().trim();
            if text.is_empty() {
                continue;
            }
            let error = || PatternError {
                pattern: text.to_owned(),
            };
            let clean = clean_path(text);
            let (negated, cleaned) = match clean.strip_prefix('!') {
                Some("") => return Err(error()),
                Some(rest) => (true, rest.to_owned()),
                None => (false, clean),
            };
            let states = compile(&cleaned, Stars::Double).map_err(|_| error())?;
            patterns.push(Pattern {
                text: text.to_owned(),
                cleaned,
                negated,
                states,
            });
        }
        Ok(Self { patterns })
    }

    /// Says whether there is no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Says whether the list matches `path` or a directory above it.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.reason(path).is_some()
    }

    /// Gives the pattern by which the list matches `path` or a directory above it.
    #[must_use]
    pub fn reason(&self, path: &str) -> Option<&str> {
        // As in moby, only the directories above a path are cleaned, not the path itself.
        let unclean = path.split('/').any(|part| matches!(part, "" | "." | ".."));
        let parent = unclean.then(|| clean_path(path.rsplit_once('/').map_or("", |(dir, _)| dir)));
        let mut reason = None;
        for pattern in &self.patterns {
            if pattern.negated == reason.is_some() && pattern.matches(path, parent.as_deref()) {
                reason = (!pattern.negated).then_some(pattern.text.as_str());
            }
        }
        reason
    }

    /// Says whether something below `directory` may not match although `directory` does: whether
    /// a later `!` pattern may lead there.
    #[must_use]
    pub fn may_unmatch_below(&self, directory: &str) -> bool {
        let matches = |pattern: &Pattern| !pattern.negated && pattern.matches(directory, None);
        let last = self.patterns.iter().rposition(matches);
        self.patterns[last.map_or(0, |last| last + 1)..]
            .iter()
            .filter(|pattern| pattern.negated)
            .any(|pattern| {
                has_wildcards(&pattern.cleaned)
                    || pattern
                        .cleaned
                        .strip_prefix(directory)
                        .is_some_and(|rest| rest.starts_with('/'))
            })
    }
}

impl Pattern {
    /// Whether it matches a path or a directory above it; `parent` is the directory of a path that
    /// is not clean.
    fn matches(&self, path: &str, parent: Option<&str>) -> bool {
        match (run(&self.states, path), parent) {
            (Reached::Whole, _) => true,
            (reached, None) => reached == Reached::Parent,
            (_, Some(parent)) => parent != "." && run(&self.states, parent) != Reached::Nothing,
        }
    }
}

/// What `**` means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stars {
    /// Twice `*`: Go's `filepath.Match`.
    Single,
    /// Any number of directories: ignore files.
    Double,
}

/// One thing a pattern asks for next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// This character.
    Char(char),
    /// Any character but `/`.
    Any,
    /// Any number of characters but `/`.
    Star,
    /// Any number of directories, each with its `/`; the state after it is `Directory`.
    Directories,
    /// Inside the directories of the state before: anything up to some `/`.
    Directory,
    /// Everything that is left.
    Rest,
    /// A character of a set.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

struct Malformed;

fn compile(pattern: &str, stars: Stars) -> Result<Vec<State>, Malformed> {
    let mut states = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '*' if stars == Stars::Double && after.starts_with('*') => {
                let after = &after[1..];
                double_star(&mut states, after);
                after.strip_prefix('/').unwrap_or(after)
            }
            '*' => {
                states.push(State::Star);
                after
            }
            '?' => {
                states.push(State::Any);
                after
            }
            '\\' => {
                let escaped = after.chars().next().ok_or(Malformed)?;
                states.push(State::Char(escaped));
                &after[escaped.len_utf8()..]
            }
            '[' => {
                let (class, after) = class(after)?;
                states.push(class);
                after
            }
            c => {
                states.push(State::Char(c));
                after
            }
        };
    }
    Ok(states)
}

/// `**` at the end is everything; before more it is directories, but for one oddity of moby's:
/// a leading `**x` without further wildcards is any path that ends in `x`.
fn double_star(states: &mut Vec<State>, after: &str) {
    let slash = after.starts_with('/');
    let literal = !after.contains(['*', '?', '[', ']', '\\']);
    let is_last = after.trim_start_matches('/').is_empty();
    if is_last || (states.is_empty() && !slash && literal) {
        states.push(State::Rest);
    } else {
        states.extend([State::Directories, State::Directory]);
    }
}

/// Reads a set after its `[`; gives it and what comes after its `]`.
fn class(text: &str) -> Result<(State, &str), Malformed> {
    let (negated, mut rest) = match text.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut ranges = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix(']').filter(|_| !ranges.is_empty()) {
            return Ok((State::Class { negated, ranges }, after));
        }
        let (low, after) = class_char(rest)?;
        let (high, after) = match after.strip_prefix('-') {
            Some(after) => class_char(after)?,
            None => (low, after),
        };
        ranges.push((low, high));
        rest = after;
    }
}

fn class_char(text: &str) -> Result<(char, &str), Malformed> {
    let mut chars = text.chars();
    let c = match chars.next().ok_or(Malformed)? {
        '\\' => chars.next().ok_or(Malformed)?,
        // Go asks for these to be escaped.
        '-' | ']' => return Err(Malformed),
        c => c,
    };
    Ok((c, chars.as_str()))
}

/// How much of a path a pattern matched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
    Nothing,
    /// A directory above the path.
    Parent,
    Whole,
}

fn run(states: &[State], path: &str) -> Reached {
    let mut now = vec![false; states.len() + 1];
    let mut next = now.clone();
    let mut reached = Reached::Nothing;
    enter(states, &mut now, 0);
    for c in path.chars() {
        if c == '/' && now[states.len()] {
            reached = Reached::Parent;
        }
        next.fill(false);
        let mut alive = false;
        for (index, state) in states.iter().enumerate().filter(|(index, _)| now[*index]) {
            alive = true;
            step(states, (index, state), c, &mut next);
        }
        std::mem::swap(&mut now, &mut next);
        if !alive {
            return reached;
        }
    }
    if now[states.len()] {
        Reached::Whole
    } else {
        reached
    }
}

fn step(states: &[State], (index, state): (usize, &State), c: char, next: &mut [bool]) {
    let matched = match state {
        State::Char(wanted) => *wanted == c,
        State::Any => c != '/',
        State::Class { negated, ranges } => {
            ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
        }
        State::Star => {
            if c != '/' {
                enter(states, next, index);
            }
            false
        }
        State::Rest => {
            enter(states, next, index);
            false
        }
        State::Directories => {
            next[index + 1] = true;
            if c == '/' {
                enter(states, next, index + 2);
            }
            false
        }
        State::Directory => {
            next[index] = true;
            c == '/'
        }
    };
    if matched {
        enter(states, next, index + 1);
    }
}

/// Marks a state, and those after it that can be reached without a character.
fn enter(states: &[State], marked: &mut [bool], mut index: usize) {
    loop {
        marked[index] = true;
        index += match states.get(index) {
            Some(State::Star | State::Rest) => 1,
            Some(State::Directories) => 2,
            _ => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::Patterns;
    use super::clean_path;
    use super::glob_matches;
    use super::has_wildcards;

    #[test]
    fn globs_as_go_does() {
        for (pattern, path, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a?c", "a/c", false),
            ("a[^a]b", "acb", true),
            ("[a-]", "-", false),
            ("[]a]", "]", false),
            ("[\\]a]", "]", true),
            ("\\*", "*", true),
            ("[a-z][0-9].txt", "x7.txt", true),
            ("[", "a", false),
            ("[-x]", "x", false),
            ("a\\", "a", false),
            ("**", "ab", true),
            ("*", "a/b", false),
            ("*", ".hidden", true),
        ] {
            assert_eq!(glob_matches(pattern, path), expected, "{pattern} {path}");
        }
        let hostile = "*a".repeat(200);
        assert!(!glob_matches(
            &hostile,
            &"a".repeat(10_000).replace('a', "ab")
        ));
    }

    #[test]
    fn lists_match_parents_and_the_last_one_decides() {
        for (patterns, path, expected) in [
            (&["a"][..], "a/b/c", true),
            (&["a"], "b/a", false),
            (&["**/a"], "b/a", true),
            (&["**/a"], "a", true),
            (&["**a"], "b/xa", true),
            (&["a/**"], "a", false),
            (&["a/**"], "a/b/c", true),
            (&["a/**/z"], "a/z", true),
            (&["a/**/z"], "a/b/c/z", true),
            (&["a/**/z"], "a/bz", false),
            (&["*", "!a"], "a", false),
            (&["*", "!a"], "a/b", false),
            (&["a", "!a/b", "a/b/c"], "a/b/c", true),
            (&["a", "!a/b", "a/b/c"], "a/b/d", false),
            (&["/a/", " b "], "b", true),
            (&["./a"], "a", true),
            (&["a"], "./a", false),
            (&["a"], "./a/b", true),
            (&["*.md"], "x/y.md", false),
            (&["**/*.md"], "x/y.md", true),
        ] {
            let list = Patterns::new(patterns).unwrap();
            assert_eq!(list.matches(path), expected, "{patterns:?} {path}");
        }
        assert!(Patterns::new(["!"]).is_err());
        assert!(Patterns::new(["[a"]).is_err());
        let list = Patterns::new(["a", "!a/b/c"]).unwrap();
        assert!(list.may_unmatch_below("a/b"));
        assert!(!list.may_unmatch_below("x"));
        let list = Patterns::new(["*", "!a/**", "a/b"]).unwrap();
        assert!(list.may_unmatch_below("a"));
        assert!(!list.may_unmatch_below("a/b"));
    }

    #[test]
    fn cleans_as_go_does() {
        for (path, expected) in [
            ("", "."),
            ("./a//b/../c/", "a/c"),
            ("/../a", "/a"),
            ("../a", "../a"),
            ("a/../..", ".."),
            ("/", "/"),
        ] {
            assert_eq!(clean_path(path), expected, "{path}");
        }
        assert!(has_wildcards("a[b") && !has_wildcards("a\\*b"));
    }
}
