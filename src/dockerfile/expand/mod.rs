//! Variable expansion and word splitting, as the builder (not the shell of a `RUN`) does it.
//!
//! [`expand`] knows `$v`, `${v}`, `${v:-w}`, `${v:+w}`, `${v:?w}` (each also without the colon),
//! `${v#p}`, `${v##p}`, `${v%p}`, `${v%%p}`, `${v/p/r}` and `${v//p/r}`; single quotes, double
//! quotes and the escape character. Words nest without bound: the lexer keeps its own stack and one
//! output buffer, so it takes time in proportion to the text and no call depth. Values multiply
//! where they replace each other (`${v//?/${v//?/…}}`), so what they add has a limit.

mod brace;
mod lexer;
mod pattern;
mod substitution;
mod words;

use std::collections::BTreeSet;

use crate::dockerfile::Escape;
use crate::dockerfile::ExpandError;

/// How many bytes of values one expansion may add to its text: more than any kernel takes as
/// environment or arguments.
pub(super) const VALUES_MAX: usize = 16 << 20;

const TOO_LONG: ExpandError = ExpandError::TooLong {
    longest: VALUES_MAX,
};

/// How a text is lexed. All `false` is the expansion of an instruction's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lexing {
    /// The escape character.
    pub escape: Escape,
    /// Quotes stay in the result.
    pub raw_quotes: bool,
    /// Escape characters stay in the result.
    pub raw_escapes: bool,
    /// Quotes are ordinary characters.
    pub skip_quotes: bool,
    /// Variables that are not set stay as written.
    pub keep_unset: bool,
}

impl Lexing {
    /// The lexing of an instruction's words.
    #[must_use]
    pub fn words(escape: Escape) -> Self {
        Self {
            escape,
            ..Self::default()
        }
    }

    /// The lexing of a here-document's body: quotes mean nothing in it, and its escape character is
    /// always `\`.
    #[must_use]
    pub fn heredoc() -> Self {
        Self {
            skip_quotes: true,
            ..Self::default()
        }
    }
}

/// An expanded text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expansion {
    /// The text as one word.
    pub text: String,
    /// The text split at white space that was neither quoted nor escaped; no word is empty.
    pub words: Vec<String>,
    /// The variables it names that are set.
    pub matched: BTreeSet<String>,
    /// The variables it names that are not set.
    pub unmatched: BTreeSet<String>,
}

/// Expands `text` with the variables `lookup` finds.
///
/// # Errors
///
/// A substitution that is malformed or asks to fail (`${v:?message}`), a quote without its end, or
/// values of more than 16 MiB.
pub fn expand<'a>(
    text: &'a str,
    lexing: Lexing,
    lookup: &'a dyn Fn(&str) -> Option<&'a str>,
) -> Result<Expansion, ExpandError> {
    expand_within(text, lexing, lookup, VALUES_MAX).map(|(expansion, _)| expansion)
}

/// Expands a text to which values may add `most` bytes; says too how many they did, those included
/// that were only looked through.
pub(super) fn expand_within<'a>(
    text: &'a str,
    lexing: Lexing,
    lookup: &'a dyn Fn(&str) -> Option<&'a str>,
    most: usize,
) -> Result<(Expansion, usize), ExpandError> {
    // Go's text/scanner, which other builders read words with, drops a leading byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.contains(['$', '<', '\'', '"', '\\', '`']) {
        let words = text.split_whitespace().map(str::to_owned).collect();
        let expansion = Expansion {
            text: text.to_owned(),
            words,
            ..Expansion::default()
        };
        return Ok((expansion, 0));
    }
    lexer::Lexer::new(text, lexing, lookup, most).run()
}

/// Finds where the substitution begins that keeps a text from being expanded within `most` bytes of
/// values; its end if none does.
pub(super) fn expandable<'a>(
    text: &'a str,
    lexing: Lexing,
    lookup: &'a dyn Fn(&str) -> Option<&'a str>,
    most: usize,
) -> usize {
    lexer::Lexer::new(text, lexing, lookup, most).expandable()
}

#[cfg(test)]
mod tests {
    use super::Expansion;
    use super::Lexing;
    use super::expand;
    use crate::dockerfile::Escape;
    use crate::dockerfile::ExpandError;

    fn lookup(name: &str) -> Option<&'static str> {
        match name {
            "V" => Some("1.2.3"),
            "P" => Some("/a/b/c.tar.gz"),
            "S" => Some("two words"),
            "L" => Some("ab\nab"),
            "EMPTY" => Some(""),
            _ => None,
        }
    }

    fn expanded(text: &str) -> Result<Expansion, ExpandError> {
        expand(text, Lexing::default(), &|name| lookup(name))
    }

    #[test]
    fn every_form_of_substitution() {
        for (text, expected) in [
            ("$V-${V}", "1.2.3-1.2.3"),
            ("[$X${X}]", "[]"),
            ("$Vx $V.x", " 1.2.3.x"),
            ("${X:-a$V}${EMPTY:-b}${V:-c}", "a1.2.3b1.2.3"),
            ("${X-a}[${EMPTY-b}]", "a[]"),
            ("[${X:+a}${EMPTY:+b}]${V:+c}", "[]c"),
            ("${X+a}${EMPTY+b}", "b"),
            ("${V:?m}${EMPTY?m}", "1.2.3"),
            ("${P#*/} ${P##*/}", "a/b/c.tar.gz c.tar.gz"),
            ("${P%.*} ${P%%.*}", "/a/b/c.tar /a/b/c"),
            ("${V#?.} ${V#x}", "2.3 1.2.3"),
            (r"${P#*\*} ${S/\//x}", "/a/b/c.tar.gz two words"),
            ("${V/./-} ${V//./-} ${V//?/x}", "1-2.3 1-2-3 xxxxx"),
            ("${L//a*/x}", "x\nx"),
            ("${V//./[$X]}", "1[]2[]3"),
            (r"${V//./\$0}", r"1\.2\.3"),
            ("${X:-${Y:-${Z:-deep}}}", "deep"),
            ("a$ $. $$ $1 $@", "a$ $.   "),
            (r"\$V '$V' \\", r"$V $V \"),
            (r#""$V \$V \" \x '""#, r#"1.2.3 $V " \x '"#),
        ] {
            assert_eq!(expanded(text).unwrap().text, expected, "{text}");
        }
    }

    #[test]
    fn words_split_where_nothing_quotes() {
        for (text, expected) in [
            (
                r#" a  $S "$S" b\ c '' "#,
                &["a", "two", "words", "two words", "b c"][..],
            ),
            ("a<<b <<  c", &["a<<b", "<<  c"]),
            ("", &[]),
        ] {
            assert_eq!(expanded(text).unwrap().words, expected, "{text}");
        }
    }

    #[test]
    fn names_are_reported() {
        let expansion = expanded("$V ${X:-$Y} ${EMPTY:+$Z}").unwrap();
        assert_eq!(
            expansion.matched.into_iter().collect::<Vec<_>>(),
            ["EMPTY", "V"]
        );
        assert_eq!(
            expansion.unmatched.into_iter().collect::<Vec<_>>(),
            ["X", "Y", "Z"]
        );
    }

    #[test]
    fn malformed_text_is_refused() {
        for (text, expected) in [
            ("'a", ExpandError::MissingSingleQuote),
            ("\"a", ExpandError::MissingDoubleQuote),
            ("${V", ExpandError::MissingBrace),
            ("${X:-'a}", ExpandError::MissingBrace),
            ("${V/a", ExpandError::MissingSlash),
            ("${}", ExpandError::BadSubstitution),
            (
                "${V:=a}",
                ExpandError::Modifier {
                    modifier: ":=".to_owned(),
                },
            ),
            (
                "${V!}",
                ExpandError::Modifier {
                    modifier: "!".to_owned(),
                },
            ),
        ] {
            assert_eq!(expanded(text).unwrap_err(), expected, "{text}");
        }
        for (text, expected) in [
            ("${X?}", "X: is not allowed to be unset"),
            ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
            ("${X:?set $V}", "X: set 1.2.3"),
            (
                r"${V#\a}",
                r"invalid pattern (\a) in substitution: invalid escape '\a'",
            ),
        ] {
            assert_eq!(expanded(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn nested_replacements_are_limited() {
        let nested = |depth| format!("{}x{}", "${P//?/".repeat(depth), "}".repeat(depth));
        assert_eq!(expanded(&nested(5)).unwrap().text.len(), 13_usize.pow(5));
        for text in [nested(40), nested(5).repeat(50)] {
            let error = expanded(&text).unwrap_err();
            assert_eq!(error, super::TOO_LONG, "{error}");
        }
    }

    #[test]
    fn modes_keep_what_they_say() {
        let backtick = Lexing::words(Escape::Backtick);
        assert_eq!(
            expand(r"c:\a`$V", backtick, &|name| lookup(name))
                .unwrap()
                .text,
            r"c:\a$V"
        );
        let heredoc = expand(r#"'$V' "\$V""#, Lexing::heredoc(), &|name| lookup(name)).unwrap();
        assert_eq!(heredoc.text, r#"'1.2.3' "$V""#);
        let kept = Lexing {
            keep_unset: true,
            ..Lexing::default()
        };
        let text = "$V $X ${X:-a} ${X//a/b}";
        assert_eq!(
            expand(text, kept, &|name| lookup(name)).unwrap().text,
            "1.2.3 $X ${X:-a} ${X/a/b}"
        );
        let raw = Lexing {
            raw_quotes: true,
            raw_escapes: true,
            ..Lexing::default()
        };
        assert_eq!(
            expand(r#"'a' "b" \c"#, raw, &|name| lookup(name))
                .unwrap()
                .text,
            r#"'a' "b" \c"#
        );
    }
}
