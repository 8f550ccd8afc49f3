//! `VOLUME <path> ...`.

use crate::dockerfile::span::Word;

/// `VOLUME`: says which directories a runtime keeps outside the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Written as a JSON array.
    pub json: bool,
    /// The paths, white space around them removed; none is empty.
    pub paths: Vec<Word>,
}
