//! `COPY` and `ADD`.

use crate::dockerfile::Error;
use crate::dockerfile::Lexing;
use crate::dockerfile::PlanProblem;
use crate::dockerfile::Span;
use crate::dockerfile::Word;
use crate::dockerfile::check::Finding;
use crate::dockerfile::instruction::Add;
use crate::dockerfile::instruction::Content;
use crate::dockerfile::instruction::Copy;
use crate::dockerfile::lower::cursor::Cursor;
use crate::dockerfile::lower::metadata::text_of;
use crate::dockerfile::lower::mode;
use crate::dockerfile::lower::paths;
use crate::dockerfile::lower::remote;
use crate::dockerfile::lower::remote::Repository;
use crate::dockerfile::lower::remote::Source;
use crate::graph;
use crate::graph::CopyOp;
use crate::graph::CopySource;
use crate::graph::FileMode;
use crate::graph::HttpOp;
use crate::graph::Op;
use crate::graph::Patterns;
use crate::graph::VertexId;
use crate::graph::clean_path;

/// What `COPY` and `ADD` have in common, variables replaced.
struct Transfer {
    keyword: &'static str,
    sources: Vec<(Word, String)>,
    dest: String,
    contents: Vec<CopySource>,
    chown: Option<String>,
    chmod: Option<String>,
}

/// The sources of a copy and the vertices they are in.
#[derive(Default)]
struct Sources {
    list: Vec<CopySource>,
    inputs: Vec<VertexId>,
}

impl Sources {
    /// Adds a path of a vertex; input 0 is the root filesystem.
    fn push(&mut self, vertex: VertexId, path: &str, unpack: bool) {
        let known = self.inputs.iter().position(|input| *input == vertex);
        let position = known.unwrap_or_else(|| {
            self.inputs.push(vertex);
            self.inputs.len() - 1
        });
        self.list.push(CopySource::Path {
            input: position + 1,
            path: path.to_owned(),
            unpack,
        });
    }
}

/// `COPY`.
pub(super) fn copy(cursor: &mut Cursor<'_, '_, '_>, copy: &Copy) -> Result<(), Error> {
    let mut transfer = Transfer {
        keyword: "COPY",
        chown: cursor.expand_option(copy.chown.as_ref())?,
        chmod: cursor.expand_option(copy.chmod.as_ref())?,
        sources: expand_sources(cursor, &copy.sources)?,
        dest: cursor.expand(&copy.dest)?,
        contents: expand_contents(cursor, &copy.contents)?,
    };
    let from = match cursor.step.sources.first() {
        Some(&position) => Some(cursor.source(position)?),
        None => None,
    };
    let mode = transfer.mode(cursor, copy.chmod.as_ref())?;
    let link = copy.link && mode.is_none();
    transfer.check_owner(
        cursor,
        copy.chown.as_ref(),
        (!link).then_some(cursor.state.root),
    );
    check_excludes(cursor, &copy.exclude);
    let title = transfer.title(cursor);
    let mut sources = Sources::default();
    for (word, path) in &transfer.sources {
        let source = remote::read(path, false);
        let source = source.map_err(|problem| cursor.error_at(word.span, problem))?;
        if source != Source::Local {
            let url = path.clone();
            return Err(cursor.error_at(word.span, PlanProblem::CopyUrl { url }));
        }
        check_pattern(cursor, path, word.span, copy.parents);
        if from.is_none() {
            check_ignored(cursor, "Copy", path);
        }
        let vertex = from.unwrap_or_else(|| cursor.build_context());
        sources.push(vertex, path, false);
    }
    sources.list.append(&mut transfer.contents);
    let op = CopyOp {
        sources: sources.list,
        destination: paths::destination(&cursor.state.cwd, &transfer.dest),
        owner: transfer.chown.clone(),
        link,
        mode,
        excludes: copy.exclude.iter().map(text_of).collect(),
        parents: copy.parents,
    };
    transfer.finish(cursor, op, title, &sources.inputs, copy.parents)
}

/// `ADD`.
pub(super) fn add(cursor: &mut Cursor<'_, '_, '_>, add: &Add) -> Result<(), Error> {
    let mut transfer = Transfer {
        keyword: "ADD",
        chown: cursor.expand_option(add.chown.as_ref())?,
        chmod: cursor.expand_option(add.chmod.as_ref())?,
        sources: expand_sources(cursor, &add.sources)?,
        dest: cursor.expand(&add.dest)?,
        contents: expand_contents(cursor, &add.contents)?,
    };
    let checksum = Checksum {
        text: cursor.expand_option(add.checksum.as_ref())?,
        span: add.checksum.as_ref().map(|word| word.span),
    };
    let mode = transfer.mode(cursor, add.chmod.as_ref())?;
    let link = add.link && mode.is_none();
    transfer.check_owner(
        cursor,
        add.chown.as_ref(),
        (!link).then_some(cursor.state.root),
    );
    check_excludes(cursor, &add.exclude);
    let title = transfer.title(cursor);
    let only = transfer.sources.len() == 1;
    let mut sources = Sources::default();
    for (word, path) in &transfer.sources {
        let source = remote::read(path, add.keep_git_dir.is_some());
        let source = source.map_err(|problem| cursor.error_at(word.span, problem))?;
        if checksum.text.is_some() && (!only || source == Source::Local) {
            return Err(checksum.error(cursor, PlanProblem::ChecksumSource));
        }
        match source {
            Source::Local => {
                check_pattern(cursor, path, word.span, false);
                check_ignored(cursor, "Add", path);
                let vertex = cursor.build_context();
                sources.push(vertex, path, add.unpack.unwrap_or(true));
            }
            Source::Http(op) => {
                let op = checksum.check_http(cursor, op)?;
                let file = op.file_name.clone();
                let vertex = cursor.add_source(Op::Http(op), title.clone());
                sources.push(vertex, &file, add.unpack.unwrap_or(false));
            }
            Source::Git(repository) => {
                let settled =
                    settle_git(repository, path, add.keep_git_dir, checksum.text.as_deref());
                let op = settled.map_err(|problem| cursor.error_at(word.span, problem))?;
                let vertex = cursor.add_source(op, title.clone());
                sources.push(vertex, "/", false);
            }
        }
    }
    sources.list.append(&mut transfer.contents);
    let op = CopyOp {
        sources: sources.list,
        destination: paths::destination(&cursor.state.cwd, &transfer.dest),
        owner: transfer.chown.clone(),
        link,
        mode,
        excludes: add.exclude.iter().map(text_of).collect(),
        parents: false,
    };
    transfer.finish(cursor, op, title, &sources.inputs, false)
}

impl Transfer {
    fn mode(
        &self,
        cursor: &Cursor<'_, '_, '_>,
        written: Option<&Word>,
    ) -> Result<Option<FileMode>, Error> {
        let (Some(text), Some(word)) = (&self.chmod, written) else {
            return Ok(None);
        };
        let mode = mode::parse(text).ok_or_else(|| {
            let text = text.clone();
            cursor.error_at(word.span, PlanProblem::Mode { text })
        })?;
        Ok(Some(mode))
    }

    fn check_owner(
        &self,
        cursor: &mut Cursor<'_, '_, '_>,
        written: Option<&Word>,
        root: Option<VertexId>,
    ) {
        if let (Some(owner), Some(word)) = (&self.chown, written) {
            cursor.check_owner(owner, word.span, root);
        }
    }

    fn title(&self, cursor: &mut Cursor<'_, '_, '_>) -> String {
        let lexing = Lexing::words(cursor.shared.escape);
        let line = cursor.line(&cursor.step.statement.source.text, lexing);
        cursor.title(&graph::mask_userinfo(&line))
    }

    fn finish(
        &self,
        cursor: &mut Cursor<'_, '_, '_>,
        op: CopyOp,
        title: String,
        inputs: &[VertexId],
        parents: bool,
    ) -> Result<(), Error> {
        if op.sources.len() > 1 && !op.destination.ends_with('/') {
            cursor.warn(format!(
                "{} of several sources to `{}`: unless that is a directory, each replaces the one \
                 before; end it with a `/`",
                self.keyword, self.dest
            ));
        }
        let span = cursor.step.span();
        cursor.shared.charge(op.destination.len(), span)?;
        let line = self.history(&op, parents);
        cursor.change(Op::Copy(op), title, inputs);
        cursor.record_layer(line);
        Ok(())
    }

    fn history(&self, op: &CopyOp, parents: bool) -> String {
        let mut words = vec![self.keyword.to_owned()];
        if parents {
            words.push("--parents".to_owned());
        }
        words.extend(self.chown.iter().map(|owner| format!("--chown={owner}")));
        words.extend(self.chmod.iter().map(|mode| format!("--chmod={mode}")));
        let sources = self.sources.iter();
        words.extend(sources.map(|(_, path)| graph::mask_userinfo(path)));
        for source in &op.sources {
            if let CopySource::Inline { name, .. } = source {
                words.push(format!("<<{name}"));
            }
        }
        words.push(self.dest.clone());
        format!("{} # buildkit", words.join(" "))
    }
}

/// Notes a source that the ignore file keeps out of the build context. Where it lets in what an
/// earlier line keeps out, there is no telling without looking at the files.
fn check_ignored(cursor: &mut Cursor<'_, '_, '_>, verb: &str, source: &str) {
    let ignore = &cursor.shared.options.ignore;
    if ignore.is_empty() || ignore.iter().any(|line| line.starts_with('!')) {
        return;
    }
    // A malformed line is told where the file is read.
    let Ok(patterns) = Patterns::new(ignore) else {
        return;
    };
    let file = clean_path(source);
    if file != "." && patterns.matches(&file) {
        cursor.find(Finding::CopyIgnoredFile { verb, file: &file });
    }
}

/// Refuses a source that is a malformed pattern. Behind the pivot of `--parents` it is one as in an
/// ignore file.
fn check_pattern(cursor: &mut Cursor<'_, '_, '_>, source: &str, span: Span, parents: bool) {
    let checked = match source.split_once("/./") {
        _ if !parents => graph::check_glob(source),
        None => Patterns::new([source]).map(drop),
        Some((base, below)) => {
            graph::check_glob(base).and_then(|()| Patterns::new([below]).map(drop))
        }
    };
    if checked.is_err() {
        let text = source.to_owned();
        cursor.refuse(span, PlanProblem::Pattern { text });
    }
}

/// Refuses an `--exclude` that is no pattern.
fn check_excludes(cursor: &mut Cursor<'_, '_, '_>, excludes: &[Word]) {
    for word in excludes {
        if Patterns::new([&word.text]).is_err() {
            let text = word.text.clone();
            cursor.refuse(word.span, PlanProblem::Pattern { text });
        }
    }
}

fn expand_sources(
    cursor: &mut Cursor<'_, '_, '_>,
    words: &[Word],
) -> Result<Vec<(Word, String)>, Error> {
    let words = words.iter();
    words
        .map(|word| Ok((word.clone(), cursor.expand(word)?)))
        .collect()
}

fn expand_contents(
    cursor: &mut Cursor<'_, '_, '_>,
    contents: &[Content],
) -> Result<Vec<CopySource>, Error> {
    let expand = |content: &Content| {
        let name = content.name.text.clone();
        if name.contains('/') || [".", ".."].contains(&name.as_str()) {
            return Err(cursor.error_at(content.name.span, PlanProblem::InlineName { name }));
        }
        let data = match content.expand {
            true => cursor.expand_content(content)?,
            false => content.text().into_owned(),
        };
        Ok(CopySource::Inline { name, data })
    };
    contents.iter().map(expand).collect()
}

/// `--checksum`, variables replaced, and where it stands.
struct Checksum {
    text: Option<String>,
    span: Option<Span>,
}

impl Checksum {
    fn check_http(&self, cursor: &Cursor<'_, '_, '_>, op: HttpOp) -> Result<HttpOp, Error> {
        let parse = |text: &String| {
            text.parse().map_err(|cause| {
                let text = text.clone();
                self.error(cursor, PlanProblem::Checksum { text, cause })
            })
        };
        let checksum = self.text.as_ref().map(parse).transpose()?;
        Ok(HttpOp { checksum, ..op })
    }

    fn error(&self, cursor: &Cursor<'_, '_, '_>, problem: PlanProblem) -> Error {
        match self.span {
            Some(span) => cursor.error_at(span, problem),
            None => cursor.error(problem),
        }
    }
}

/// Joins what the URL says with what the flags say.
fn settle_git(
    repository: Repository,
    url: &str,
    keep_git_dir: Option<bool>,
    checksum: Option<&str>,
) -> Result<Op, PlanProblem> {
    let conflict = |reason: &str| PlanProblem::GitUrl {
        url: url.to_owned(),
        reason: reason.to_owned(),
    };
    let mut op = repository.op;
    match (repository.keep_git_dir, keep_git_dir) {
        (Some(url), Some(flag)) if url != flag => {
            return Err(conflict("it contradicts --keep-git-dir"));
        }
        (url, flag) => op.keep_git_dir = url.or(flag) == Some(true),
    }
    match (&op.checksum, checksum) {
        (Some(url), Some(flag)) if url != flag => {
            return Err(conflict("it contradicts --checksum"));
        }
        (None, Some(flag)) => op.checksum = Some(flag.to_owned()),
        _ => {}
    }
    Ok(Op::Git(op))
}
