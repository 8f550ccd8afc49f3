//! `ADD [flags] <source>... <dest>`.

use crate::dockerfile::Error;
use crate::dockerfile::Word;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::copy::Content;
use crate::dockerfile::instruction::copy::Files;
use crate::dockerfile::instruction::flags::Takes;

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

impl Add {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        let Files {
            json,
            sources,
            dest,
            contents,
        } = Files::parse(arguments)?;
        let mut flags = arguments.flags(&[
            ("chown", Takes::Value),
            ("chmod", Takes::Value),
            ("link", Takes::Switch),
            ("keep-git-dir", Takes::Switch),
            ("checksum", Takes::Value),
            ("exclude", Takes::Values),
            ("unpack", Takes::Switch),
        ])?;
        Ok(Self {
            json,
            sources,
            dest,
            contents,
            link: flags.switch("link").unwrap_or(false),
            keep_git_dir: flags.switch("keep-git-dir"),
            unpack: flags.switch("unpack"),
            exclude: flags.values("exclude"),
            chown: flags.value("chown"),
            chmod: flags.value("chmod"),
            checksum: flags.value("checksum"),
        })
    }
}
