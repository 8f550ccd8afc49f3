//! `EXPOSE <port>[-<port>][/<protocol>] ...`.

use crate::dockerfile::span::Word;

/// `EXPOSE`: says on which ports a container listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expose {
    /// The words, sorted by their bytes.
    pub ports: Vec<Word>,
}
