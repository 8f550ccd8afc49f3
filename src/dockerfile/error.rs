//! What can be wrong with a Dockerfile.

use crate::dockerfile::span::Span;

/// Something is wrong at a place of the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Error {
    /// Where.
    pub span: Span,
    /// What.
    pub problem: Box<Problem>,
}

impl Error {
    /// Says what is wrong at a place.
    #[must_use]
    pub fn new(span: Span, problem: Problem) -> Self {
        Self {
            span,
            problem: Box::new(problem),
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file holds comments and blank lines at most.
    #[error("the Dockerfile has no instructions")]
    Empty,
}
