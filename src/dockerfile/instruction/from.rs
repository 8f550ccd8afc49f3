//! `FROM [--platform=<platform>] <image> [AS <name>]`.

use crate::dockerfile::span::Word;

/// `FROM`: begins a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// An image reference, an earlier stage, a named context or `scratch`.
    pub base: Word,
    /// The stage's name in lower case; its span shows how it was written.
    pub name: Option<Word>,
    /// The `AS` as written.
    pub separator: Option<Word>,
    /// `--platform`.
    pub platform: Option<Word>,
    /// What the comment above says of the stage: the rest of a comment line that begins with its
    /// name.
    pub comment: Option<String>,
}
