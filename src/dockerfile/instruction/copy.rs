//! `COPY [flags] <source>... <dest>`.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::dockerfile::Error;
use crate::dockerfile::Problem;
use crate::dockerfile::Span;
use crate::dockerfile::Word;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::flags::Takes;
use crate::dockerfile::instruction::heredoc;
use crate::dockerfile::instruction::heredoc::Heredoc;
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
    /// The file's content as it is written.
    pub data: String,
    /// Where that stands.
    pub body: Span,
    /// Whether leading tabs are to be removed (`<<-`).
    pub chomp: bool,
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
        let documents: HashMap<&str, &Heredoc> = documents
            .map(|document| (document.name.as_str(), document))
            .collect();
        let (mut sources, mut contents) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        for word in words {
            match heredoc::mark(&word.text) {
                Ok(Some(mark)) => {
                    let document = documents.get(mark.name.as_str()).copied();
                    let content = Content::new(mark, word, document);
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
    fn new(mark: heredoc::Mark, word: Word, document: Option<&Heredoc>) -> Self {
        let name = Word {
            text: mark.name,
            span: word.span,
        };
        Self {
            name,
            data: document.map_or_else(String::new, |document| document.data.clone()),
            body: document.map_or(word.span, |document| document.body),
            chomp: mark.chomp,
            expand: mark.expand,
        }
    }

    /// The file's content, leading tabs of `<<-` removed, before variables are replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self.chomp {
            true => Cow::Owned(heredoc::chomp(&self.data)),
            false => Cow::Borrowed(&self.data),
        }
    }

    /// Gives a line of it, counted from 0, without the blanks around it.
    pub(in crate::dockerfile) fn line(&self, number: usize) -> Word {
        let lines = self.data.split_inclusive('\n');
        let before: usize = lines.take(number).map(str::len).sum();
        let line = self.data[before..].lines().next().unwrap_or_default();
        let text = line.trim().to_owned();
        let start = self.body.start + before + (line.len() - line.trim_start().len());
        let line = self.body.first_line + u32::try_from(number).unwrap_or(0);
        let span = Span {
            start,
            end: start + text.len(),
            first_line: line,
            last_line: line,
        };
        Word { text, span }
    }
}
