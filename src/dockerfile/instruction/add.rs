//! `ADD [flags] <source>... <dest>`.

use crate::dockerfile::instruction::copy::Content;
use crate::dockerfile::span::Word;

/// `ADD`: copies files, archives and URLs into the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// Written as a JSON array.
    pub json: bool,
    /// Paths, globs and URLs; here-documents are in `contents`.
    pub sources: Vec<Word>,
    /// Where the sources go.
    pub dest: Word,
    /// Files whose content is a here-document.
    pub contents: Vec<Content>,
    /// `--chown`: `user[:group]`.
    pub chown: Option<Word>,
    /// `--chmod`: octal or symbolic.
    pub chmod: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--exclude` patterns.
    pub exclude: Vec<Word>,
    /// `--checksum`: what the one remote source must hash to.
    pub checksum: Option<Word>,
    /// `--keep-git-dir`, when given.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`, when given.
    pub unpack: Option<bool>,
}
