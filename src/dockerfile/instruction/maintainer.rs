//! `MAINTAINER <name>`, deprecated.

use crate::dockerfile::span::Word;

/// `MAINTAINER`: names the image's author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintainer {
    /// The author.
    pub author: Word,
}
