//! `STOPSIGNAL <signal>`.

use crate::dockerfile::span::Word;

/// `STOPSIGNAL`: says which signal stops a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopsignal {
    /// A name or a number.
    pub signal: Word,
}
