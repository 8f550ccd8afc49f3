//! `COPY [flags] <source>... <dest>`.

use crate::dockerfile::span::Word;

/// `COPY`: copies files from the build context, another stage or an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Written as a JSON array.
    pub json: bool,
    /// Paths and globs; here-documents are in `contents`.
    pub sources: Vec<Word>,
    /// Where the sources go.
    pub dest: Word,
    /// Files whose content is a here-document.
    pub contents: Vec<Content>,
    /// `--from`: a stage, an image or a named context. Never expanded.
    pub from: Option<Word>,
    /// `--chown`: `user[:group]`.
    pub chown: Option<Word>,
    /// `--chmod`: octal or symbolic.
    pub chmod: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude` patterns. Never expanded.
    pub exclude: Vec<Word>,
}

/// A source of `COPY` or `ADD` that is written in the Dockerfile itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The file's name: the delimiter of the here-document.
    pub name: Word,
    /// The file's content, leading tabs of `<<-` removed.
    pub data: String,
    /// Whether variables in the content are expanded (the delimiter was not quoted).
    pub expand: bool,
}
