//! What the instructions parse: the part of a line behind its keyword and flags.

use std::ops::Range;

use pest::iterators::Pair;
use pest::iterators::Pairs;

use crate::dockerfile::Error;
use crate::dockerfile::Escape;
use crate::dockerfile::Problem;
use crate::dockerfile::Span;
use crate::dockerfile::Word;
use crate::dockerfile::grammar;
use crate::dockerfile::grammar::Rule;
use crate::dockerfile::instruction::flags::Flags;
use crate::dockerfile::instruction::flags::Takes;
use crate::dockerfile::instruction::heredoc::Heredoc;
use crate::dockerfile::instruction::keyword::Keyword;
use crate::dockerfile::lines::Logical;

/// How much of what is wrong is repeated in a message, in characters.
const LONGEST_FOUND: usize = 60;

/// The arguments of an instruction, not parsed yet.
#[derive(Debug)]
pub(in crate::dockerfile) struct Arguments<'a> {
    pub(in crate::dockerfile) line: &'a Logical<'a>,
    pub(in crate::dockerfile) keyword: Keyword,
    pub(in crate::dockerfile) flags: &'a [Word],
    /// Where the arguments stand in the line, white space at the ends left out.
    pub(in crate::dockerfile) range: Range<usize>,
    pub(in crate::dockerfile) escape: Escape,
    pub(in crate::dockerfile) heredocs: Vec<Heredoc>,
}

impl Arguments<'_> {
    pub(super) fn text(&self) -> &str {
        &self.line.text[self.range.clone()]
    }

    /// Matches them with a rule of the grammar; `usage` is what the user reads if they do not fit.
    pub(super) fn matches(
        &self,
        rule: Rule,
        usage: &'static str,
    ) -> Result<Pairs<'_, Rule>, Error> {
        grammar::matches(rule, self.text()).map_err(|position| self.misfit(position, usage))
    }

    /// An error about arguments that do not have the form they must have.
    pub(super) fn misfit(&self, position: usize, usage: &'static str) -> Error {
        let rest = &self.text()[position..];
        let found = match rest.trim_start() {
            "" => "nothing more".to_owned(),
            rest => format!("`{}`", rest.chars().take(LONGEST_FOUND).collect::<String>()),
        };
        let position = position + (rest.len() - rest.trim_start().len());
        Error::new(self.behind(position), Problem::Arguments { usage, found })
    }

    /// The whole arguments as one word, for instructions that take any text.
    pub(super) fn line_of_text(&self, usage: &'static str) -> Result<Word, Error> {
        self.matches(Rule::line, usage)?;
        Ok(self.line.word(self.range.clone()))
    }

    pub(super) fn flags(&self, known: &[(&'static str, Takes)]) -> Result<Flags, Error> {
        Flags::read(self.flags, known, self.keyword)
    }

    /// A match as a word.
    pub(super) fn word(&self, pair: &Pair<'_, Rule>) -> Word {
        let span = pair.as_span();
        self.sub_word(span.start()..span.end())
    }

    /// A part of the arguments as a word.
    pub(super) fn sub_word(&self, range: Range<usize>) -> Word {
        self.line
            .word(self.range.start + range.start..self.range.start + range.end)
    }

    /// An error about the whole arguments or, if there are none, the keyword.
    pub(super) fn error(&self, problem: Problem) -> Error {
        Error::new(self.behind(0), problem)
    }

    /// The span from an offset of the arguments to their end; the end of the line if that is empty.
    fn behind(&self, offset: usize) -> Span {
        let start = self.range.start + offset;
        if start < self.range.end {
            return self.line.span(start..self.range.end);
        }
        let whole = self.line.trimmed(0..self.line.text.len());
        self.line.span(whole)
    }
}
