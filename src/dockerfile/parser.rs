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
    let mut reader = Reader::new(text);
    let mut dockerfile = Dockerfile::default();
    let mut empty = true;
    while let Some(line) = reader.logical()? {
        empty = false;
        if line.blank_lines {
            dockerfile.warnings.push(blank_lines(&line));
        }
        let (source, parsed) = statement(&mut reader, line)?;
        add(&mut dockerfile, source, parsed)?;
    }
    if empty {
        return Err(Error::new(reader.everything(), Problem::Empty));
    }
    dockerfile.escape = reader.escape;
    dockerfile.directives = reader.directives;
    Ok(dockerfile)
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
    let (source, parsed) = statement(&mut reader, line)?;
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
fn add(dockerfile: &mut Dockerfile, source: Source, parsed: Parsed) -> Result<(), Error> {
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
            return Err(Error::new(source.span, Problem::BeforeFrom { keyword }));
        }
    }
    Ok(())
}

fn blank_lines(line: &Logical<'_>) -> Warning {
    let message = format!("Empty continuation line found in: {}", line.text);
    let span = line.span(0..line.text.len());
    Warning {
        message,
        span: Span {
            last_line: line.last_line,
            ..span
        },
    }
}

/// Parses a line, and reads the here-documents that follow it.
fn statement(reader: &mut Reader<'_>, line: Logical<'_>) -> Result<(Source, Parsed), Error> {
    let whole = line.trimmed(0..line.text.len());
    let head = Head::parse(&line, whole.clone());
    let Some(keyword) = head.find(&line) else {
        let found = line.text[head.keyword.clone()].to_owned();
        let nearest = nearest(&found, &Keyword::names());
        let problem = Problem::UnknownInstruction { found, nearest };
        return Err(Error::new(line.span(head.keyword), problem));
    };
    let heredocs = heredocs(reader, &line, keyword, &head)?;
    let start = line.span(whole.clone());
    let mut arguments = Arguments {
        line: &line,
        keyword,
        flags: &head.flags,
        range: head.arguments,
        escape: reader.escape,
        heredocs,
    };
    let parsed = match Instruction::parse(&mut arguments)? {
        Some(instruction) => Parsed::Instruction(keyword, instruction),
        None => Parsed::From(From::parse(&arguments)?),
    };
    let source = Source {
        span: reader.span_from(start),
        keyword: line.word(head.keyword),
        flags: head.flags,
        text: line.text[whole].to_owned(),
        comments: line.comments,
    };
    Ok((source, parsed))
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
