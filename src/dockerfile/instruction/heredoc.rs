//! Here-documents: `<<EOF` on an instruction's line, the text on the lines after it.

use crate::dockerfile::Escape;
use crate::dockerfile::ExpandError;
use crate::dockerfile::Lexing;
use crate::dockerfile::Span;
use crate::dockerfile::Word;
use crate::dockerfile::expand;

/// A here-document of a `RUN`, `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter without its quotes; the span is that of the word with `<<`.
    pub name: Word,
    /// The number before `<<`.
    pub descriptor: Option<u32>,
    /// The lines before the terminator, as written: tabs and line ends kept.
    pub data: String,
    /// Where these lines stand.
    pub body: Span,
    /// Whether leading tabs are to be removed (`<<-`).
    pub chomp: bool,
    /// Whether variables are to be expanded (no part of the delimiter was quoted).
    pub expand: bool,
}

/// What a word says of the here-document it stands for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dockerfile) struct Mark {
    pub(in crate::dockerfile) name: String,
    pub(in crate::dockerfile) descriptor: Option<u32>,
    pub(in crate::dockerfile) chomp: bool,
    pub(in crate::dockerfile) expand: bool,
}

/// The marks on a line, each with the word it is made of.
pub(in crate::dockerfile) fn marks(line: &str) -> Result<Vec<(Mark, String)>, ExpandError> {
    let lexing = Lexing {
        escape: Escape::Backslash,
        raw_quotes: true,
        raw_escapes: true,
        skip_quotes: false,
        keep_unset: true,
    };
    // A line that cannot be lexed has no here-documents: its quotes are for the shell to judge.
    let words = expand(line, lexing, &|_| None)
        .map(|line| line.words)
        .unwrap_or_default();
    let mut marks = Vec::new();
    for word in words {
        if let Some(mark) = mark(&word)? {
            marks.push((mark, word));
        }
    }
    Ok(marks)
}

/// Reads a word like `<<EOF`, `3<<-"EOF"`.
pub(in crate::dockerfile) fn mark(word: &str) -> Result<Option<Mark>, ExpandError> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let Some(rest) = word[digits..].strip_prefix("<<") else {
        return Ok(None);
    };
    let (chomp, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{0C}']);
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let Some(name) = single_word(rest, false)? else {
        return Ok(None);
    };
    let raw = single_word(rest, true)?.unwrap_or_default();
    // Quotes that quote are gone from the name; escaped ones are in both.
    let quotes = |text: &str| {
        text.bytes()
            .filter(|byte| matches!(byte, b'"' | b'\''))
            .count()
    };
    let expand = quotes(&name) == quotes(&raw);
    Ok(Some(Mark {
        name,
        descriptor: word[..digits].parse().ok(),
        chomp,
        expand,
    }))
}

/// The text as one word, if it is one.
fn single_word(text: &str, raw_quotes: bool) -> Result<Option<String>, ExpandError> {
    let lexing = Lexing {
        raw_quotes,
        keep_unset: true,
        ..Lexing::default()
    };
    let mut words = expand(text, lexing, &|_| None)?.words;
    Ok(if words.len() == 1 { words.pop() } else { None })
}

/// The text without the tabs its lines begin with.
pub(in crate::dockerfile) fn chomp(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| line.trim_start_matches('\t'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Mark;
    use super::chomp;
    use super::mark;

    fn found(name: &str, chomp: bool, expand: bool) -> Option<Mark> {
        Some(Mark {
            name: name.to_owned(),
            descriptor: None,
            chomp,
            expand,
        })
    }

    #[test]
    fn a_quoted_delimiter_is_not_expanded() {
        assert_eq!(mark("<<EOF").unwrap(), found("EOF", false, true));
        assert_eq!(mark("<<-'EOF'").unwrap(), found("EOF", true, false));
        assert_eq!(mark("<<eo'f'").unwrap(), found("eof", false, false));
        assert_eq!(mark(r"<<eo\'f").unwrap(), found("eo'f", false, true));
        assert_eq!(mark("<<'one two'").unwrap(), found("one two", false, false));
        assert_eq!(mark("4<<EOF").unwrap().unwrap().descriptor, Some(4));
    }

    #[test]
    fn other_words_are_no_marks() {
        for word in ["<<", "<<<EOF", "a<<EOF", "<EOF", "<<one two", "EOF"] {
            assert_eq!(mark(word).unwrap(), None, "{word}");
        }
    }

    #[test]
    fn chomping_takes_tabs_only() {
        assert_eq!(chomp("\t\ta\n\t b\n c\n"), "a\n b\n c\n");
    }
}
