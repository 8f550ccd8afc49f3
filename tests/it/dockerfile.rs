//! The Dockerfile room: golden folders, and what holds for any input.

use std::fs;

use proptest::prelude::*;
use rbuild::dockerfile::Dockerfile;
use rbuild::dockerfile::Escape;
use rbuild::dockerfile::Lexing;
use rbuild::dockerfile::Options;
use rbuild::dockerfile::Statement;
use rbuild::dockerfile::check as check_rules;
use rbuild::dockerfile::decode;
use rbuild::dockerfile::expand;
use rbuild::dockerfile::outline;
use rbuild::dockerfile::parse;
use rbuild::dockerfile::parse_ignore;
use rbuild::dockerfile::parse_instruction;
use rbuild::dockerfile::to_json;

use crate::support::golden::cases;
use crate::support::golden::check;
use crate::support::golden::facts;
use crate::support::random::repeatable;

#[test]
fn dockerfiles_are_parsed() {
    for case in cases("dockerfiles") {
        let bytes = fs::read(case.join("Dockerfile")).unwrap();
        let text = decode(&bytes);
        let dockerfile = parse(&text).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        let json = serde_json::to_string_pretty(&to_json(&dockerfile)).unwrap();
        check(&format!("{json}\n"), &case.join("parsed.json"));
        assert_reprints(&text, &dockerfile);
    }
}

#[test]
fn invalid_dockerfiles_are_refused() {
    for case in cases("invalid") {
        let bytes = fs::read(case.join("Dockerfile")).unwrap();
        let text = decode(&bytes);
        let Err(error) = parse(&text) else {
            panic!("{} is accepted", case.display())
        };
        check(&facts(&error, &text), &case.join("error.txt"));
    }
}

/// Every statement's text, found again by its span.
fn assert_spans(text: &str, statements: &[Statement]) {
    for statement in statements {
        let source = &statement.source;
        let keyword = source.keyword.span;
        assert_eq!(&text[keyword.start..keyword.end], source.keyword.text);
        assert_eq!(source.span.start, keyword.start);
        let lines = text[..source.span.end].matches('\n').count() + 1;
        assert!(source.span.end <= text.len());
        assert!(lines <= source.span.last_line as usize);
        for flag in &source.flags {
            assert!(text[flag.span.start..].starts_with("--"), "{flag:?}");
        }
    }
}

/// A parsed Dockerfile printed from its statements: as they stand in the text, or on one line each
/// unless that leaves something out.
fn print(text: &str, dockerfile: &Dockerfile, on_one_line: bool) -> String {
    let escape = dockerfile.escape.char();
    let mut printed = match dockerfile.escape {
        Escape::Backslash => String::new(),
        Escape::Backtick => "# escape=`\n".to_owned(),
    };
    let meta_args = dockerfile.meta_args.iter().map(|arg| &arg.source);
    let stages = dockerfile.stages.iter().flat_map(|stage| {
        let instructions = stage.instructions.iter().map(|statement| &statement.source);
        std::iter::once(&stage.from.source).chain(instructions)
    });
    for source in meta_args.chain(stages) {
        // The blanks at the end of the last line are in no span, but in some values.
        let mut ends = text.match_indices('\n').map(|(end, _)| end);
        let end = ends.find(|end| *end + 1 >= source.span.end);
        let end = end.unwrap_or(text.len());
        let has_heredoc = source.text.contains("<<");
        let is_joined = on_one_line && !has_heredoc && !source.text.ends_with(escape);
        let written = &text[source.span.start..end];
        printed.push_str(if is_joined { &source.text } else { written });
        printed.push('\n');
    }
    printed
}

/// The JSON of what a Dockerfile says, whatever lines say it.
fn meaning(dockerfile: &Dockerfile) -> serde_json::Value {
    fn forget_lines(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(fields) => {
                fields.remove("lines");
                fields.values_mut().for_each(forget_lines);
            }
            serde_json::Value::Array(values) => values.iter_mut().for_each(forget_lines),
            _ => {}
        }
    }
    let mut json = to_json(dockerfile);
    forget_lines(&mut json);
    // Directives and comments are not printed.
    json["directives"].take();
    json["warnings"].take();
    json
}

/// Printing what was parsed and parsing it again changes nothing, but the white space at the end of
/// statements that were put on one line.
fn assert_reprints(text: &str, dockerfile: &Dockerfile) {
    for on_one_line in [false, true] {
        let printed = print(text, dockerfile, on_one_line);
        let again = parse(&printed).unwrap_or_else(|error| panic!("{printed:?}: {error}"));
        if !on_one_line {
            assert_eq!(meaning(&again), meaning(dockerfile), "{printed:?}");
        }
        assert_eq!(print(&printed, &again, on_one_line), printed);
    }
}

/// Pieces of which a Dockerfile's trouble is made.
const PIECES: &str = r#"FROM |RUN |COPY |ADD |ENV |ARG |LABEL |ONBUILD |HEALTHCHECK |CMD |SHELL |EXPOSE |VOLUME |USER |# escape=`|# syntax=x|#|\|`|"|'|$|{|}|[|]|,|<<EOF|<<-"E"|EOF|=|--from=a|--mount=|--|-| |	|a|b/c|é|\u00|:-|%%|//|NONE|interval=1s"#;

fn any_dockerfile() -> impl Strategy<Value = String> {
    let mut pieces: Vec<&str> = PIECES.split('|').collect();
    pieces.extend(["\n", "\n", "\n", "\r\n", "\u{feff}", "\u{a0}", "\u{0}"]);
    prop::collection::vec(prop::sample::select(pieces), 0..60).prop_map(|pieces| pieces.concat())
}

/// What begins an instruction that takes almost anything.
const STARTS: &str = "RUN a|RUN [\"a\"]|RUN <<EOF|ENV a |ENV a=b|ARG a|LABEL a=|COPY a |COPY <<EOF b|CMD |USER a|ONBUILD RUN |HEALTHCHECK CMD a|WORKDIR /|EXPOSE 1|#|FROM a|";

/// A Dockerfile that is valid more often than not.
fn likely_dockerfile() -> impl Strategy<Value = String> {
    let starts: Vec<&str> = STARTS.split('|').collect();
    let mut pieces: Vec<&str> = PIECES.split('|').collect();
    pieces.extend(["\\\n", "`\n", "\n", "\r\n"]);
    let pieces = prop::collection::vec(prop::sample::select(pieces), 0..6);
    let line = (prop::sample::select(starts), pieces)
        .prop_map(|(start, pieces)| format!("{start}{}\n", pieces.concat()));
    let head = prop::sample::select(vec!["FROM a\n", "# escape=`\nFROM a\n", "ARG a\nFROM a\n"]);
    (head, prop::collection::vec(line, 0..5))
        .prop_map(|(head, lines)| head.to_owned() + &lines.concat())
}

proptest! {
    #![proptest_config(repeatable())]

    #[test]
    fn print_and_reparse_is_stable(text in likely_dockerfile()) {
        if let Ok(dockerfile) = parse(&text) {
            assert_reprints(&text, &dockerfile);
        }
    }

    #[test]
    fn parsing_never_panics_and_is_deterministic(text in any_dockerfile()) {
        match (parse(&text), parse(&text)) {
            (Ok(first), Ok(second)) => {
                prop_assert_eq!(to_json(&first), to_json(&second));
                for stage in &first.stages {
                    assert_spans(&text, &stage.instructions);
                }
            }
            (Err(first), Err(second)) => {
                prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
                prop_assert!(text.get(first.span.start..first.span.end).is_some());
            }
            _ => prop_assert!(false, "one of two equal texts is refused"),
        }
        let _ = parse_instruction(&text, Escape::Backtick);
        let _ = parse_ignore(&text);
    }

    #[test]
    fn expanding_never_panics(text in any_dockerfile(), modes in 0..32_u32) {
        let mode = |bit: u32| modes & (1 << bit) != 0;
        let lexing = Lexing {
            escape: if mode(0) { Escape::Backtick } else { Escape::Backslash },
            raw_quotes: mode(1),
            raw_escapes: mode(2),
            skip_quotes: mode(3),
            keep_unset: mode(4),
        };
        let lookup = |name: &str| (name.len() == 1).then_some("a b");
        let first = expand(&text, lexing, &lookup);
        prop_assert_eq!(&first, &expand(&text, lexing, &lookup));
        if let Ok(expansion) = first {
            prop_assert!(expansion.words.iter().all(|word| !word.is_empty()));
        }
    }

    #[test]
    fn plain_words_are_left_alone(text in "[a-z0-9./:=,_ -]{0,40}") {
        let expansion = expand(&text, Lexing::default(), &|_| None).unwrap();
        prop_assert_eq!(&expansion.text, &text);
        let words: Vec<&str> = text.split_whitespace().collect();
        prop_assert_eq!(expansion.words, words);
    }

    #[test]
    fn bytes_are_decoded_one_by_one(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let text = decode(&bytes);
        let wrong = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum::<usize>();
        let valid = bytes.utf8_chunks().map(|chunk| chunk.valid().len()).sum::<usize>();
        prop_assert_eq!(text.len(), valid + wrong * '\u{fffd}'.len_utf8());
    }
}

/// A megabyte of what other parsers choke on: none of it may take long, or any stack.
#[test]
fn hostile_input_takes_no_stack_and_little_time() {
    const MEGABYTE: usize = 1 << 20;
    let many = |piece: &str| piece.repeat(MEGABYTE / piece.len());
    let nested = format!("{}{}", many("${a:-"), "}".repeat(MEGABYTE / 5));
    let lines = |piece: &str| format!("FROM a\nRUN {}\n", many(piece));
    let continued = format!("{} {}", many("x\\\n"), "y");
    let texts = [
        lines("x\\\n"),
        lines("[\\\n"),
        format!("FROM a\nENV a={}\n", many("\"$'\\\n")),
        format!("FROM a\nENV a=\"{continued}"),
        format!("FROM a\nCOPY [\"{continued}"),
        format!("FROM a\nRUN --a={continued}"),
        format!("FROM a\nRUN <<A {}\nA\n", many("${a:-\\\n")),
        format!("FROM a\nRUN {}\n", many("<<A\\\n")),
        format!("FROM a\n{}", many("RUN <<E\nE\n")),
        format!("FROM a\n{}", many("#\n")),
        format!("FROM a\nRUN <<E\n{}\nE\n", many("a\n")),
        format!("FROM a\nONBUILD {}", many("ONBUILD \\\n")),
    ];
    // Work that grows faster than its text would not end.
    for text in &texts {
        drop(parse(text));
    }
    let value = "v".repeat(1000);
    for text in [
        &nested,
        &many("\"'\""),
        &many("$a"),
        &many("${a#*}"),
        &many("${a//a/b}"),
    ] {
        let _ = expand(text, Lexing::default(), &|name| {
            (name == "v").then_some(value.as_str())
        });
    }
}

/// What parses at once may still mean very much: neither checks nor outlines may take long.
#[test]
fn hostile_meaning_takes_little_time() {
    let numbered = |line: fn(usize) -> String| -> String { (0..1_000).map(line).collect() };
    let wide = format!("FROM scratch\nENV a={}\n", "a".repeat(60_000));
    for text in [
        format!("FROM scratch\nENV a=b\n{}", "ENV a=$a$a\n".repeat(18)),
        format!(
            "FROM scratch\n{}",
            numbered(|n| format!("ENV a{n}=$b{n}\n"))
        ),
        format!(
            "{}FROM scratch\n",
            numbered(|n| format!("ARG a{n}=$b{n}\n"))
        ),
        format!(
            "FROM scratch\n{}",
            numbered(|n| format!("ARG a{n}=$b{n}\n"))
        ),
        format!(
            "FROM scratch\n{}",
            numbered(|n| format!("ENV a{n}=b\nRUN x\n"))
        ),
        format!("FROM scratch\n{}", numbered(|n| format!("LABEL a{n}=b\n"))),
        format!(
            "FROM scratch\n{}",
            numbered(|n| format!("COPY --from=a{n} / /\n"))
        ),
        format!(
            "FROM scratch AS a0\n{}",
            numbered(|n| { format!("FROM a{n} AS a{}\nLABEL a{n}=b\nENV a{n}=b\n", n + 1) })
        ),
        format!(
            "FROM scratch AS a\n{}{}",
            numbered(|n| format!("LABEL a{n}=b\n")),
            "FROM a\n".repeat(1_000)
        ),
        format!(
            "FROM scratch\n{}",
            numbered(|n| format!("RUN --mount=type=secret,id=a{n} x\n"))
        ),
        format!("FROM scratch\n{}", "WORKDIR a\n".repeat(2_000)),
        format!("FROM scratch\n{}", "EXPOSE 1-65535\n".repeat(2)),
        format!("FROM scratch\n{}", "cmd x\n".repeat(1_000)),
        format!("{wide}{}", "ENV b=${a//a/aaaaaaaaaaaaaaaa}\n".repeat(2)),
        format!(
            "{wide}{}",
            "ENV b=${a##*a*a*a*aaaaaaaaaaaaaaab}\n".repeat(2)
        ),
    ] {
        let options = Options::plain("linux/amd64".parse().unwrap());
        drop(check_rules(&text, &options, &|_| None));
        drop(outline(&parse(&text).unwrap(), &options, &|_| None));
    }
}
