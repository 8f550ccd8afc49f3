//! Reads a Dockerfile: logical lines to statements, statements to stages.

use std::borrow::Cow;
use std::ops::Range;

use crate::dockerfile::Dockerfile;
use crate::dockerfile::Error;
use crate::dockerfile::Escape;
use crate::dockerfile::Instruction;
use crate::dockerfile::Problem;
use crate::dockerfile::Source;
use crate::dockerfile::Span;
use crate::dockerfile::Stage;
use crate::dockerfile::Statement;
use crate::dockerfile::Warning;
use crate::dockerfile::Word;
use crate::dockerfile::instruction::From;
use crate::dockerfile::instruction::Heredoc;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::exec;
use crate::dockerfile::instruction::head::Head;
use crate::dockerfile::instruction::heredoc;
use crate::dockerfile::instruction::keyword::Keyword;
use crate::dockerfile::lines::Logical;
use crate::dockerfile::lines::Reader;
use crate::dockerfile::nearest::nearest;

/// Makes text of a Dockerfile's bytes; each byte that is not UTF-8 becomes U+FFFD.
#[must_use]
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        decoded.push_str(chunk.valid());
        decoded.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(decoded)
}

/// Parses a Dockerfile.
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn parse(text: &str) -> Result<Dockerfile, Error> {
    let mut draft = Draft::new(text);
    loop {
        match draft.statement() {
            Ok(Some((source, parsed))) => add(&mut draft.dockerfile, source, parsed),
            Ok(None) => return Ok(draft.finish()),
            Err(failure) => Err(failure),
        }
        .map_err(|failure| failure.error)?;
    }
}

/// Parses a Dockerfile up to the first thing that is wrong with it, which is given too. What is
/// wrong with the words of a later line goes before what is wrong with an instruction.
pub(super) fn parse_partly(text: &str) -> (Dockerfile, Option<Failure>) {
    let mut draft = Draft::new(text);
    let mut first: Option<Failure> = None;
    loop {
        let added = match draft.statement() {
            Ok(Some(_)) if first.is_some() => Ok(()),
            Ok(Some((source, parsed))) => add(&mut draft.dockerfile, source, parsed),
            Ok(None) => return (draft.finish(), first),
            Err(failure) => Err(failure),
        };
        let Err(mut failure) = added else { continue };
        if failure.error.problem.is_of_words() {
            failure.line = None;
            return (draft.finish(), Some(failure));
        }
        first.get_or_insert(failure);
    }
}

/// What is wrong with a Dockerfile, and what is known of the line it is wrong with.
#[derive(Debug)]
pub(super) struct Failure {
    /// What is wrong.
    pub(super) error: Error,
    /// The line; none if it could not be split into words.
    pub(super) line: Option<Box<Rejected>>,
}

/// A line that is no instruction that can stand there.
#[derive(Debug)]
pub(super) struct Rejected {
    /// How it is written.
    pub(super) source: Source,
    /// What stands behind its keyword and flags.
    pub(super) arguments: String,
}

/// A Dockerfile of which a part has been read.
struct Draft<'a> {
    reader: Reader<'a>,
    dockerfile: Dockerfile,
    is_empty: bool,
}

impl<'a> Draft<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            reader: Reader::new(text),
            dockerfile: Dockerfile::default(),
            is_empty: true,
        }
    }

    /// Reads the next instruction; none at the end.
    fn statement(&mut self) -> Result<Option<(Source, Parsed)>, Failure> {
        let unreadable = |error| Failure { error, line: None };
        let Some(line) = self.reader.logical().map_err(unreadable)? else {
            if self.is_empty {
                let everything = self.reader.everything();
                return Err(unreadable(Error::new(everything, Problem::Empty)));
            }
            return Ok(None);
        };
        self.is_empty = false;
        if line.blank_lines {
            self.dockerfile.warnings.push(blank_lines(&line));
        }
        statement(&mut self.reader, line).map(Some)
    }

    fn finish(mut self) -> Dockerfile {
        self.dockerfile.escape = self.reader.escape;
        self.dockerfile.directives = self.reader.directives;
        self.dockerfile
    }
}

/// Parses one instruction on its own: the trigger of an `ONBUILD`.
///
/// # Errors
///
/// What is wrong with it; `FROM` and a second instruction are.
pub fn parse_instruction(text: &str, escape: Escape) -> Result<Statement, Error> {
    let mut reader = Reader::new(text);
    reader.escape = escape;
    let everything = reader.everything();
    let Some(line) = reader.logical()? else {
        return Err(Error::new(everything, Problem::Empty));
    };
    let parsed = statement(&mut reader, line);
    let (source, parsed) = parsed.map_err(|failure| failure.error)?;
    if let Some(more) = reader.logical()? {
        return Err(Error::new(
            more.span(0..more.text.len()),
            Problem::NotSingle,
        ));
    }
    match parsed {
        Parsed::Instruction(_, instruction) => Ok(Statement {
            source,
            instruction,
        }),
        Parsed::From(_) => {
            let trigger = Keyword::From.name();
            Err(Error::new(source.span, Problem::Trigger { trigger }))
        }
    }
}

/// What a line turned out to be.
enum Parsed {
    From(From),
    Instruction(Keyword, Instruction),
}

/// Puts a statement where it belongs.
fn add(dockerfile: &mut Dockerfile, source: Source, parsed: Parsed) -> Result<(), Failure> {
    let stage = dockerfile.stages.last_mut();
    match (parsed, stage) {
        (Parsed::From(from), _) => {
            let from = Statement {
                source,
                instruction: from,
            };
            dockerfile.stages.push(Stage {
                from,
                instructions: Vec::new(),
            });
        }
        (Parsed::Instruction(_, instruction), Some(stage)) => {
            stage.instructions.push(Statement {
                source,
                instruction,
            });
        }
        (Parsed::Instruction(_, Instruction::Arg(arg)), None) => {
            dockerfile.meta_args.push(Statement {
                source,
                instruction: arg,
            });
        }
        (Parsed::Instruction(keyword, _), None) => {
            let keyword = keyword.name();
            let error = Error::new(source.span, Problem::BeforeFrom { keyword });
            return Err(rejected(error, source, ""));
        }
    }
    Ok(())
}

fn blank_lines(line: &Logical<'_>) -> Warning {
    let message = format!("Empty continuation line found in: {}", line.text);
    let end = line.text.len();
    // The last of its lines, as other builders have it.
    let span = Span {
        first_line: line.last_line,
        last_line: line.last_line,
        ..line.span(end..end)
    };
    Warning {
        rule: None,
        message,
        span,
    }
}

fn rejected(error: Error, source: Source, arguments: &str) -> Failure {
    let arguments = arguments.to_owned();
    Failure {
        error,
        line: Some(Box::new(Rejected { source, arguments })),
    }
}

/// Parses a line, and reads the here-documents that follow it.
fn statement(reader: &mut Reader<'_>, line: Logical<'_>) -> Result<(Source, Parsed), Failure> {
    let whole = line.trimmed(0..line.text.len());
    let head = Head::parse(&line, whole.clone());
    let start = line.span(whole.clone());
    let parsed = instruction(reader, &line, &head);
    let source = Source {
        span: reader.span_from(start),
        keyword: line.word(head.keyword),
        flags: head.flags,
        text: line.text[whole].to_owned(),
        comments: line.comments,
    };
    match parsed {
        Ok(parsed) => Ok((source, parsed)),
        Err(error) => Err(rejected(error, source, &line.text[head.arguments])),
    }
}

fn instruction(reader: &mut Reader<'_>, line: &Logical<'_>, head: &Head) -> Result<Parsed, Error> {
    let Some(keyword) = head.find(line) else {
        let keyword = head.keyword.clone();
        let found = line.text[keyword.clone()].to_owned();
        let nearest = nearest(&found, &Keyword::names());
        let problem = Problem::UnknownInstruction { found, nearest };
        return Err(Error::new(line.span(keyword), problem));
    };
    let heredocs = heredocs(reader, line, keyword, head)?;
    let mut arguments = Arguments {
        line,
        keyword,
        flags: &head.flags,
        range: head.arguments.clone(),
        escape: reader.escape,
        heredocs,
    };
    Ok(match Instruction::parse(&mut arguments)? {
        Some(instruction) => Parsed::Instruction(keyword, instruction),
        None => Parsed::From(From::parse(&arguments)?),
    })
}

/// The here-documents of a line; they follow it in the order of their marks.
fn heredocs(
    reader: &mut Reader<'_>,
    line: &Logical<'_>,
    keyword: Keyword,
    head: &Head,
) -> Result<Vec<Heredoc>, Error> {
    let mut heredocs = Vec::new();
    if !line.text.contains("<<") || !takes_heredocs(line, keyword, &head.arguments) {
        return Ok(heredocs);
    }
    let whole = 0..line.text.len();
    let marks = heredoc::marks(&line.text).map_err(|cause| {
        let text = line.text.clone().into_owned();
        Error::new(line.span(whole.clone()), Problem::Expand { text, cause })
    })?;
    let mut from = 0;
    for (mark, word) in marks {
        // The words have been lexed; where quotes were in odd places, the whole line stands for it.
        let place = line.text[from..].find(&word).map(|start| from + start);
        let place = place.map_or(whole.clone(), |start| start..start + word.len());
        from = place.end.min(line.text.len());
        let span = line.span(place);
        let Some((data, body)) = reader.heredoc(&mark.name, mark.chomp)? else {
            return Err(Error::new(
                span,
                Problem::HeredocWithoutEnd { name: mark.name },
            ));
        };
        heredocs.push(Heredoc {
            name: Word {
                text: mark.name,
                span,
            },
            descriptor: mark.descriptor,
            data: data.to_owned(),
            body,
            chomp: mark.chomp,
            expand: mark.expand,
        });
    }
    Ok(heredocs)
}

/// Whether here-documents can stand on a line: not in the exec form.
fn takes_heredocs(line: &Logical<'_>, keyword: Keyword, arguments: &Range<usize>) -> bool {
    if keyword == Keyword::Onbuild {
        let trigger = Head::parse(line, arguments.clone());
        let keyword = trigger
            .find(line)
            .filter(|keyword| keyword.takes_heredocs());
        return keyword.is_some() && !exec::is_exec(&line.text[trigger.arguments]);
    }
    keyword.takes_heredocs() && !exec::is_exec(&line.text[arguments.clone()])
}

#[cfg(test)]
mod tests {
    use super::decode;
    use super::parse;
    use super::parse_instruction;
    use crate::dockerfile::Escape;
    use crate::dockerfile::Instruction;
    use crate::dockerfile::Span;

    #[test]
    fn spans_lead_back_to_the_source() {
        let text =
            "\u{feff}# escape=`\r\nFROM a\r\n  COPY --chown=b `\r\n# c\r\n\r\n  d `\r\n\te\r\n";
        let dockerfile = parse(text).unwrap();
        let statement = &dockerfile.stages[0].instructions[0];
        let Instruction::Copy(copy) = &statement.instruction else {
            panic!("{statement:?}")
        };
        let shown = |span: Span| (&text[span.start..span.end], span.first_line, span.last_line);
        assert_eq!(shown(copy.sources[0].span), ("d", 6, 6));
        assert_eq!(shown(copy.dest.span), ("e", 7, 7));
        assert_eq!(shown(statement.source.keyword.span), ("COPY", 3, 3));
        assert_eq!(shown(statement.source.flags[0].span), ("--chown=b", 3, 3));
        let (whole, first, last) = shown(statement.source.span);
        assert!(
            whole.starts_with("COPY") && whole.ends_with('e'),
            "{whole:?}"
        );
        assert_eq!((first, last), (3, 7));
        assert_eq!(statement.source.text, "COPY --chown=b   d \te");
    }

    #[test]
    fn a_word_may_go_over_lines() {
        let text = "FROM a\nENV key=\"one\\\n two\" b=c\n";
        let dockerfile = parse(text).unwrap();
        let Instruction::Env(env) = &dockerfile.stages[0].instructions[0].instruction else {
            panic!("no ENV");
        };
        assert_eq!(env.pairs[0].value.text, "\"one two\"");
        let span = env.pairs[0].value.span;
        assert_eq!(&text[span.start..span.end], "key=\"one\\\n two\"");
        let span = env.pairs[1].value.span;
        assert_eq!(&text[span.start..span.end], "c");
    }

    #[test]
    fn a_trigger_is_one_instruction() {
        let statement = parse_instruction("copy <<A /x\n$b\nA", Escape::Backslash).unwrap();
        let Instruction::Copy(copy) = statement.instruction else {
            panic!("no COPY")
        };
        assert_eq!(copy.contents[0].data, "$b\n");
        for bad in ["", "RUN a\nRUN b", "FROM a", "FOO"] {
            parse_instruction(bad, Escape::Backslash).unwrap_err();
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(decode(b"a\xff\xe2\x82b"), "a\u{fffd}\u{fffd}\u{fffd}b");
    }
}
