//! The grammar of `grammar/dockerfile.pest`.

use pest::Parser;
use pest::error::InputLocation;
use pest::iterators::Pairs;

/// What pest makes of the grammar; its names are the grammar's rules.
mod generated {
    #![expect(unreachable_pub, reason = "pest generates public items")]

    /// The generated parser.
    #[derive(Debug, pest_derive::Parser)]
    #[grammar = "grammar/dockerfile.pest"]
    pub struct Grammar;
}

pub(super) use self::generated::Rule;

/// Matches the whole of `text`; on failure, the offset behind which nothing fits.
pub(super) fn matches(rule: Rule, text: &str) -> Result<Pairs<'_, Rule>, usize> {
    generated::Grammar::parse(rule, text).map_err(|error| match error.location {
        InputLocation::Pos(position) | InputLocation::Span((position, _)) => position,
    })
}
