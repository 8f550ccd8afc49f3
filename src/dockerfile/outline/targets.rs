//! The stages that can be built.

use crate::dockerfile::Dockerfile;
use crate::dockerfile::Span;
use crate::dockerfile::Stage;
use crate::dockerfile::Word;

/// A stage that can be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name; none if it has only a number.
    pub name: Option<String>,
    /// What the comment above says of it.
    pub description: Option<String>,
    /// Whether it is built when none is named.
    pub is_default: bool,
    /// What its `FROM` names, as written.
    pub base: String,
    /// Its `--platform`, as written.
    pub platform: Option<String>,
    /// Its `FROM`.
    pub span: Span,
}

/// Lists the stages of a Dockerfile.
#[must_use]
pub fn targets(dockerfile: &Dockerfile) -> Vec<Target> {
    let count = dockerfile.stages.len();
    let text = |word: &Option<Word>| word.as_ref().map(|word| word.text.clone());
    let target = |(position, stage): (usize, &Stage)| {
        let from = &stage.from.instruction;
        Target {
            name: text(&from.name),
            description: from.comment.clone(),
            is_default: position + 1 == count,
            base: from.base.text.clone(),
            platform: text(&from.platform),
            span: stage.from.source.span,
        }
    };
    dockerfile.stages.iter().enumerate().map(target).collect()
}
