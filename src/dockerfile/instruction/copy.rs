//! `COPY [flags] <source>... <dest>`.

use std::collections::HashMap;

use crate::dockerfile::Error;
use crate::dockerfile::Problem;
use crate::dockerfile::Word;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::flags::Takes;
use crate::dockerfile::instruction::heredoc;
use crate::dockerfile::instruction::paths::Paths;

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

impl Copy {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        let Files {
            json,
            sources,
            dest,
            contents,
        } = Files::parse(arguments)?;
        let mut flags = arguments.flags(&[
            ("from", Takes::Value),
            ("chown", Takes::Value),
            ("chmod", Takes::Value),
            ("link", Takes::Switch),
            ("parents", Takes::Switch),
            ("exclude", Takes::Values),
        ])?;
        Ok(Self {
            json,
            sources,
            dest,
            contents,
            link: flags.switch("link").unwrap_or(false),
            parents: flags.switch("parents").unwrap_or(false),
            exclude: flags.values("exclude"),
            from: flags.value("from"),
            chown: flags.value("chown"),
            chmod: flags.value("chmod"),
        })
    }
}

/// How many bytes the here-documents of an instruction may have in all, repetitions included.
const CONTENTS_MAX: usize = 64 << 20;

/// The arguments of `COPY` and `ADD`.
pub(super) struct Files {
    pub(super) json: bool,
    pub(super) sources: Vec<Word>,
    pub(super) dest: Word,
    pub(super) contents: Vec<Content>,
}

impl Files {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        let keyword = arguments.keyword.name();
        let Paths { json, mut words } = Paths::parse(arguments, "<source> ... <destination>")?;
        let (Some(dest), false) = (words.pop(), words.is_empty()) else {
            return Err(arguments.error(Problem::Destination { keyword }));
        };
        if heredoc::mark(&dest.text).is_ok_and(|mark| mark.is_some()) {
            return Err(Error::new(
                dest.span,
                Problem::HeredocDestination { keyword },
            ));
        }
        // Of several here-documents of a name, each mark stands for the last.
        let documents = arguments.heredocs.iter();
        let documents: HashMap<&str, &str> = documents
            .map(|document| (document.name.as_str(), document.data.as_str()))
            .collect();
        let (mut sources, mut contents) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        for word in words {
            match heredoc::mark(&word.text) {
                Ok(Some(mark)) => {
                    let data = documents.get(mark.name.as_str());
                    let content = Content::new(mark, word, data.copied().unwrap_or_default());
                    bytes += content.data.len();
                    if bytes > CONTENTS_MAX {
                        let longest = CONTENTS_MAX;
                        return Err(arguments.error(Problem::HeredocsTooLong { longest }));
                    }
                    contents.push(content);
                }
                // What is no here-document's mark is a path, even if it looks like one.
                Ok(None) | Err(_) => sources.push(word),
            }
        }
        Ok(Self {
            json,
            sources,
            dest,
            contents,
        })
    }
}

impl Content {
    fn new(mark: heredoc::Mark, word: Word, data: &str) -> Self {
        let data = if mark.chomp {
            heredoc::chomp(data)
        } else {
            data.to_owned()
        };
        let name = Word {
            text: mark.name,
            span: word.span,
        };
        Self {
            name,
            data,
            expand: mark.expand,
        }
    }
}
