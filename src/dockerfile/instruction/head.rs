//! What every line begins with: its keyword and flags.

use std::ops::Range;

use crate::dockerfile::Word;
use crate::dockerfile::grammar;
use crate::dockerfile::grammar::Rule;
use crate::dockerfile::instruction::flags;
use crate::dockerfile::instruction::keyword::Keyword;
use crate::dockerfile::lines::Logical;

/// The beginning of a line.
#[derive(Debug)]
pub(in crate::dockerfile) struct Head {
    pub(in crate::dockerfile) keyword: Range<usize>,
    pub(in crate::dockerfile) flags: Vec<Word>,
    /// Where the arguments stand.
    pub(in crate::dockerfile) arguments: Range<usize>,
}

impl Head {
    /// Reads the keyword and flags of the part of a line in `range`.
    pub(in crate::dockerfile) fn parse(line: &Logical<'_>, range: Range<usize>) -> Self {
        let range = line.trimmed(range);
        let text = &line.text[range.clone()];
        let mut head = Self {
            keyword: range.start..range.start,
            flags: Vec::new(),
            arguments: range.clone(),
        };
        let matched = grammar::matches(Rule::instruction, text)
            .into_iter()
            .flatten();
        for pair in matched.flat_map(pest::iterators::Pair::into_inner) {
            let span = pair.as_span();
            let place = range.start + span.start()..range.start + span.end();
            head.arguments.start = place.end;
            if pair.as_rule() == Rule::keyword {
                head.keyword = place;
                continue;
            }
            let text = flags::unquote(pair.as_str());
            if text == "--" {
                break;
            }
            head.flags.push(Word {
                text,
                span: line.span(place),
            });
        }
        head.arguments = line.trimmed(head.arguments);
        head
    }

    /// Which keyword it is.
    pub(in crate::dockerfile) fn find(&self, line: &Logical<'_>) -> Option<Keyword> {
        Keyword::find(&line.text[self.keyword.clone()])
    }
}
