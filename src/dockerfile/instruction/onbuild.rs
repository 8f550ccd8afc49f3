//! `ONBUILD <instruction>`.

use crate::dockerfile::span::Word;

/// `ONBUILD`: keeps an instruction for the builds that start from the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onbuild {
    /// The instruction's text, here-documents attached again; `parse_instruction` reads it.
    pub expression: Word,
}
