//! `.dockerignore`: which files of a build context the build does not see.
//!
//! This reads the file; [`Patterns`] does the matching.

use crate::dockerfile::Error;
use crate::dockerfile::Problem;
use crate::dockerfile::Span;
use crate::dockerfile::Word;
use crate::graph::Patterns;
use crate::graph::clean_path;

/// Reads the patterns of a `.dockerignore` in order, cleaned: relative to the context's root, `!`
/// kept. The span of each says where in the file it stands.
///
/// # Errors
///
/// The first pattern that is malformed. Its span is one of the ignore file.
pub fn parse_ignore(text: &str) -> Result<Vec<Word>, Error> {
    let text_start = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let mut patterns = Vec::new();
    let mut start = text_start;
    for (number, line) in (1..).zip(text[text_start..].split_inclusive('\n')) {
        let trimmed = line.trim();
        // Only at the very start of a line does `#` make a comment.
        if !line.starts_with('#') && !trimmed.is_empty() {
            let start = start + (line.len() - line.trim_start().len());
            let end = start + trimmed.len();
            let span = Span {
                start,
                end,
                first_line: number,
                last_line: number,
            };
            patterns.push(pattern(trimmed, span)?);
        }
        start += line.len();
    }
    Ok(patterns)
}

fn pattern(line: &str, span: Span) -> Result<Word, Error> {
    let (negation, path) = match line.strip_prefix('!') {
        Some(path) => ("!", path.trim()),
        None => ("", line),
    };
    let cleaned = if path.is_empty() {
        String::new()
    } else {
        clean_path(path)
    };
    let relative = match cleaned.strip_prefix('/') {
        Some(relative) if !relative.is_empty() => relative,
        _ => &cleaned,
    };
    let text = format!("{negation}{relative}");
    match Patterns::new([&text]) {
        Ok(_) => Ok(Word { text, span }),
        Err(_) => Err(Error::new(span, Problem::IgnorePattern { pattern: text })),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_ignore;

    fn patterns(text: &str) -> Vec<String> {
        parse_ignore(text)
            .unwrap()
            .into_iter()
            .map(|word| word.text)
            .collect()
    }

    #[test]
    fn lines_are_cleaned() {
        let text = "\u{feff}a/\r\n  /b//c/../d \n\n! /e\n#comment\n #no comment\n/\n";
        assert_eq!(patterns(text), ["a", "b/d", "!e", "#no comment", "/"]);
    }

    #[test]
    fn a_malformed_pattern_is_shown() {
        let text = "a\n  b[c\n";
        let error = parse_ignore(text).unwrap_err();
        assert_eq!(error.to_string(), "`b[c` is not a pattern");
        assert_eq!(&text[error.span.start..error.span.end], "b[c");
        assert_eq!(error.span.first_line, 2);
        parse_ignore("!\n").unwrap_err();
    }
}
